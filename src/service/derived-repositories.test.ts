import { describe, expect, it } from 'vitest';
import type { RepositoryRule } from '../vcs/find/repository-rule.ts';
import { deriveRepositories } from './derived-repositories.ts';

const depth = (elements: number) => ({ kind: 'depth', elements }) as const;

function rootsOf(rules: readonly RepositoryRule[], url: string, isTaken = true): string[] {
  const derive = deriveRepositories(rules, () => isTaken);
  return derive(url).map((one) => `${one.root} ${one.url}`);
}

const plain: RepositoryRule = {
  patterns: ['git.corp.example/*'],
  url: 'https://git.corp.example/{path}.git',
  root: depth(3),
};

describe('deriveRepositories', () => {
  it.each([
    'https://git.corp.example/Team/lib.git',
    'https://git.corp.example/Team/lib/',
    'git@git.corp.example:Team/lib.git',
    'ssh://git@Git.Corp.Example:2222/Team/lib',
  ])('finds the root module of %s, as it is written', (url) => {
    expect(rootsOf([plain], url)).toEqual([
      'git.corp.example/Team/lib https://git.corp.example/Team/lib.git',
    ]);
  });

  it.each<[string, RepositoryRule, string, string[]]>([
    [
      'a host that the pattern names and the URL does not',
      { ...plain, url: 'ssh://git@10.0.0.5:2222/repos/{path}.git' },
      'ssh://git@10.0.0.5:2222/repos/team/lib.git',
      ['git.corp.example/team/lib ssh://git@10.0.0.5:2222/repos/team/lib.git'],
    ],
    [
      'a host taken from the module path',
      { patterns: ['*.corp.example'], url: 'https://{host}/{path}', root: depth(3) },
      'https://a.corp.example/team/lib',
      ['a.corp.example/team/lib https://a.corp.example/team/lib'],
    ],
    [
      'sub-groups',
      { ...plain, root: { kind: 'probe', order: 'longest' } },
      'https://git.corp.example/g/sub/deep/proj.git',
      ['git.corp.example/g/sub/deep/proj https://git.corp.example/g/sub/deep/proj.git'],
    ],
    [
      'one repository that a rule names',
      {
        patterns: ['go.corp.example/mono'],
        url: 'https://git.corp.example/all/mono.git',
        root: { kind: 'explicit', path: 'go.corp.example/mono' },
      },
      'https://git.corp.example/ALL/mono',
      ['go.corp.example/mono https://git.corp.example/all/mono.git'],
    ],
  ])('reads %s backwards', (_, rule, url, expected) => {
    expect(rootsOf([rule], url)).toEqual(expected);
  });

  it('finds none where no rule leads', () => {
    expect(rootsOf([plain], 'https://git.corp.example/a/b/c.git')).toEqual([]);
    expect(rootsOf([plain], 'https://other.example/team/lib.git')).toEqual([]);
    expect(rootsOf([plain], 'https://git.corp.example.evil.test/team/lib')).toEqual([]);
    expect(rootsOf([plain], 'https://gitxcorp.example/team/lib')).toEqual([]);
    expect(rootsOf([plain], 'https://git.corp.example/team/lib.git', false)).toEqual([]);
    for (const url of ['', 'x', 'https://git.corp.example/', 'https://git.corp.example/../../etc/passwd']) {
      expect(rootsOf([plain], url), url).not.toContain('..');
    }
    const named = { ...plain, url: 'https://git.corp.example/flat/{name}.git' };
    expect(rootsOf([named], 'https://git.corp.example/flat/lib.git')).toEqual([]);
    // A glob is no host.
    const globbed = { ...plain, patterns: ['*.corp.example'] };
    expect(rootsOf([globbed], 'https://git.corp.example/team/lib')).toEqual([]);
  });

  it('leaves to an earlier rule what is its own', () => {
    const earlier = { ...plain, patterns: ['git.corp.example/team'], url: 'https://other.example/{path}' };
    expect(rootsOf([earlier, plain], 'https://git.corp.example/team/lib.git')).toEqual([]);
    expect(rootsOf([earlier, plain], 'https://git.corp.example/b/lib.git')).toHaveLength(1);
  });
});
