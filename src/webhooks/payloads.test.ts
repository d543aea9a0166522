import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBody } from './json-body.ts';
import { deliveryIdOf, eventOf, readPayload, type Told } from './payloads.ts';
import type { WebhookHeaders } from './signatures.ts';
import { commit, tagPush, zeros } from './test-webhooks.ts';
import { type Forge, forges } from './types.ts';

const repository = {
  clone_url: 'https://forge.example/team/lib.git',
  ssh_url: 'git@forge.example:team/lib.git',
};
const project = { git_http_url: repository.clone_url, git_ssh_url: repository.ssh_url };

function told(forge: Forge, headers: WebhookHeaders, body: unknown): Told {
  const parsed = parseBody(Buffer.from(JSON.stringify(body)), 'application/json');
  if (parsed === undefined) throw new Error('the body is no object');
  return readPayload(forge, headers, parsed);
}

function refsOf(answer: Told): unknown {
  return answer.kind === 'push' ? answer.push.refs.map(({ ref, after }) => [ref, after]) : answer;
}

const vectors: readonly [
  string,
  Forge,
  WebhookHeaders,
  object,
  readonly (readonly [string, string | undefined])[],
][] = [
  [
    'GitHub: branch',
    'github',
    { 'x-github-event': 'push' },
    { ref: 'refs/heads/main', before: zeros, after: commit, deleted: false, repository },
    [['refs/heads/main', commit]],
  ],
  [
    'GitHub: tag deleted',
    'github',
    { 'x-github-event': 'push' },
    { ref: 'refs/tags/v1.0.0', before: commit, after: zeros, deleted: true, repository },
    [['refs/tags/v1.0.0', undefined]],
  ],
  [
    'GitHub: tag created, of a module in a folder',
    'github',
    { 'x-github-event': 'create' },
    { ref: 'sub/v1.0.0', ref_type: 'tag', master_branch: 'main', repository },
    [['refs/tags/sub/v1.0.0', '']],
  ],
  [
    'GitHub: tag deleted, as an event of its own',
    'github',
    { 'x-github-event': 'delete' },
    { ref: 'v1.0.0', ref_type: 'tag', repository },
    [['refs/tags/v1.0.0', undefined]],
  ],
  [
    'Gitea: tag created',
    'gitea',
    { 'x-gitea-event': 'create' },
    { sha: commit, ref: 'v1.0.0', ref_type: 'tag', repository },
    [['refs/tags/v1.0.0', commit]],
  ],
  [
    'Forgejo: push',
    'gitea',
    { 'x-forgejo-event': 'push', 'x-gitea-event': 'push' },
    { ref: 'refs/tags/v2.0.0', before: zeros, after: commit, repository },
    [['refs/tags/v2.0.0', commit]],
  ],
  [
    'GitLab: push',
    'gitlab',
    { 'x-gitlab-event': 'Push Hook' },
    {
      object_kind: 'push',
      event_name: 'push',
      before: commit,
      after: commit,
      ref: 'refs/heads/main',
      project,
    },
    [['refs/heads/main', commit]],
  ],
  [
    'GitLab: tag deleted',
    'gitlab',
    { 'x-gitlab-event': 'Tag Push Hook' },
    { object_kind: 'tag_push', before: commit, after: zeros, ref: 'refs/tags/v1.0.0', project },
    [['refs/tags/v1.0.0', undefined]],
  ],
  [
    'GitLab: system hook of several refs',
    'gitlab',
    { 'x-gitlab-event': 'System Hook' },
    {
      event_name: 'repository_update',
      project,
      changes: [
        { before: zeros, after: commit, ref: 'refs/heads/main' },
        { before: commit, after: zeros, ref: 'refs/tags/v1.0.0' },
      ],
      refs: ['refs/heads/main', 'refs/tags/v1.0.0'],
    },
    [
      ['refs/heads/main', commit],
      ['refs/tags/v1.0.0', undefined],
    ],
  ],
  [
    'Gitee: push',
    'gitee',
    { 'x-gitee-event': 'Push Hook' },
    {
      hook_name: 'push_hooks',
      ref: 'refs/heads/main',
      before: commit,
      after: commit,
      deleted: false,
      repository,
    },
    [['refs/heads/main', commit]],
  ],
  [
    'generic: SHA-256 commits, and a deletion',
    'generic',
    {},
    {
      urls: [repository.clone_url],
      refs: [
        { ref: 'refs/tags/v1.0.0', after: 'ab'.repeat(32) },
        { ref: 'refs/heads/old', after: null },
      ],
    },
    [
      ['refs/tags/v1.0.0', 'ab'.repeat(32)],
      ['refs/heads/old', undefined],
    ],
  ],
];

describe('readPayload', () => {
  it.each(vectors)('reads %s', (_, forge, headers, body, refs) => {
    expect(refsOf(told(forge, headers, body))).toEqual(refs);
  });

  it.each(forges)('knows the repository by every address: %s', (forge) => {
    const { headers, body } = tagPush(forge);
    const answer = told(forge, headers, JSON.parse(body));
    expect(answer.kind === 'push' ? [...answer.push.urls].sort() : answer).toEqual([
      'git@forge.example:team/lib.git',
      'https://forge.example/team/lib',
      'https://forge.example/team/lib.git',
    ]);
  });

  it.each([
    ['github', { 'x-github-event': 'ping' }, { zen: 'Keep it logically awesome.' }],
    ['gitea', { 'x-gitea-event': 'ping' }, {}],
    ['gitee', { 'x-gitee-event': 'Push Hook', 'x-gitee-ping': 'true' }, {}],
    ['generic', {}, { ping: true }],
  ] as const)('knows a ping of %s', (forge, headers, body) => {
    expect(told(forge, headers, body)).toEqual({ kind: 'ping' });
  });

  it.each([
    ['github', { 'x-github-event': 'issues' }, { repository }],
    ['github', { 'x-github-event': 'create' }, { ref: null, ref_type: 'repository', repository }],
    ['github', {}, { ref: 'refs/heads/main', after: commit, repository }],
    ['gitlab', { 'x-gitlab-event': 'Issue Hook' }, { object_kind: 'issue' }],
    ['gitlab', { 'x-gitlab-event': 'System Hook' }, { event_name: 'user_create' }],
    ['gitee', { 'x-gitee-event': 'Note Hook' }, {}],
    ['generic', { 'x-modferry-event': 'release' }, {}],
  ] as const)('leaves alone what is no push: %s %j', (forge, headers, body) => {
    expect(told(forge, headers, body)).toEqual({ kind: 'ignored' });
  });

  it.each([
    ['no repository', { ref: 'refs/heads/main', after: commit }],
    ['no ref', { after: commit, repository }],
    ['a ref that is no ref', { ref: 'main', after: commit, repository }],
    ['a ref with line breaks', { ref: 'refs/heads/a\nb', after: commit, repository }],
    ['a ref that is too long', { ref: `refs/heads/${'a'.repeat(600)}`, after: commit, repository }],
    ['a commit that is none', { ref: 'refs/heads/main', after: '--upload-pack=x', repository }],
    ['a repository that is a list', { ref: 'refs/heads/main', after: commit, repository: [repository] }],
    [
      'addresses of other kinds',
      { ref: 'refs/heads/main', after: commit, repository: { clone_url: 'file:///etc' } },
    ],
    [
      'addresses that run things',
      { ref: 'refs/heads/main', after: commit, repository: { clone_url: 'ext::sh -c id' } },
    ],
    [
      'fields of a prototype',
      JSON.parse(
        `{"__proto__":${JSON.stringify({ repository, ref: 'refs/heads/main', after: commit })}}`,
      ) as object,
    ],
  ])('refuses %s', (_, body) => {
    expect(told('github', { 'x-github-event': 'push' }, body)).toMatchObject({ kind: 'malformed' });
  });

  it('keeps no credentials of an address', () => {
    const body = {
      urls: ['https://user:hunter2@forge.example/lib?private_token=hunter2'],
      refs: [{ ref: 'refs/heads/a', after: null }],
    };
    expect(told('generic', {}, body)).toMatchObject({ push: { urls: ['https://forge.example/lib'] } });
  });

  it('leaves out refs beyond the first 300', () => {
    const refs = Array.from({ length: 1_000 }, (_, index) => ({
      ref: `refs/tags/v1.0.${index}`,
      after: commit,
    }));
    const answer = told('generic', {}, { urls: [repository.clone_url], refs });
    expect(answer).toMatchObject({ kind: 'push', refsLeftOut: 700 });
    expect(refsOf(answer)).toHaveLength(300);
  });

  it('bears any JSON', () => {
    const names = [
      'ref',
      'after',
      'ref_type',
      'repository',
      'project',
      'changes',
      'clone_url',
      'object_kind',
      '__proto__',
    ];
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue(),
        fc.constantFrom('push', 'tag', commit, 'refs/tags/v1.0.0', repository.clone_url),
        fc.dictionary(fc.constantFrom(...names), tie('any')),
        fc.array(tie('any'), { maxLength: 4 }),
      ),
    })).any;
    const event = fc.constantFrom('push', 'create', 'delete', 'Push Hook', 'System Hook', '');
    fc.assert(
      fc.property(fc.constantFrom(...forges), event, value, (forge, name, any) => {
        const body = parseBody(Buffer.from(JSON.stringify({ any, ...(any as object) })), '');
        if (body === undefined) return;
        const headers = Object.fromEntries(forges.map((each) => [`x-${each}-event`, name]));
        const answer = readPayload(forge, headers, body);
        if (answer.kind === 'push') expect(answer.push.refs.length).toBeGreaterThan(0);
      }),
    );
    expect(Reflect.get({}, 'polluted')).toBe(undefined);
  });
});

describe('parseBody', () => {
  it('takes the form that GitHub and Gitea may send', () => {
    const body = Buffer.from(`payload=${encodeURIComponent('{"a":"é&="}')}`);
    expect(parseBody(body, 'application/x-www-form-urlencoded')).toEqual({ a: 'é&=' });
  });

  it.each([
    '',
    'null',
    '[]',
    '1',
    '{',
    '{"a":1}x',
    `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`,
    '['.repeat(1024 * 1024),
  ])('refuses what is no object, or too deep', (text) => {
    expect(parseBody(Buffer.from(text), 'application/json')).toBe(undefined);
  });

  it('is not misled by brackets in strings', () => {
    const text = JSON.stringify({ a: `${'['.repeat(100)}\\"${'{'.repeat(100)}` });
    expect(parseBody(Buffer.from(text), '')).toEqual(JSON.parse(text));
  });
});

describe('the names of a delivery', () => {
  it('are taken from the headers of the forge', () => {
    expect(deliveryIdOf('gitlab', { 'x-gitlab-webhook-uuid': 'same for all' })).toBe(undefined);
    expect(deliveryIdOf('gitlab', { 'idempotency-key': 'k', 'x-gitlab-event-uuid': 'e' })).toBe('k');
    expect(deliveryIdOf('gitea', { 'x-gitea-delivery': 'g' })).toBe('g');
    expect(deliveryIdOf('github', { 'x-gitea-delivery': 'g' })).toBe(undefined);
    expect(eventOf('github', { 'x-github-event': `push\u001b[2J${'x'.repeat(500)}` })).toMatch(
      /^push\?\?2Jx+$/,
    );
  });
});
