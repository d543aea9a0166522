import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../gomod/glob.ts';
import { isGlob } from './identity-checks.ts';
import { load, textsOf } from './load-kit.ts';

const tls = `tls: { cert: a, key: b, client_ca: c, client_auth: optional }
`;
const jwt = (entry: string): string => `access:
  jwt:
    - { audience: a, ${entry} }
`;

describe('what could not be used at the start is a fault of the configuration', () => {
  it.each<[string, string, string]>([
    ['a route that would be called private', 'routes: [{ match: private }]', 'set name'],
    ['a route that would be called public', 'routes: [{ match: "public,x" }]', 'set name'],
    ['a route called GOPRIVATE', 'routes: [{ match: x.example, name: GOPRIVATE }]', 'set name'],
    [
      'an LDAP filter for everybody',
      'access: { ldap: { url: ldap://x, user_base: dc=x, user_filter: (uid=x) } }',
      '{user}',
    ],
    [
      'an LDAP filter without parentheses',
      'access: { ldap: { url: ldap://x, user_base: dc=x, user_filter: "uid={user}" } }',
      'parentheses',
    ],
    [
      'an LDAP account without password',
      'access: { ldap: { url: ldap://x, user_base: dc=x, bind_dn: cn=x } }',
      'bind_password',
    ],
    [
      'an issuer over http',
      'access: { oidc: { issuer: http://login.corp.example, client_id: x } }',
      'plain http',
    ],
    [
      'an issuer without scheme',
      'access: { oidc: { issuer: login.corp.example, client_id: x } }',
      'no scheme',
    ],
    ['a required claim that is no pattern', 'access: { oidc: { required_claims: "hd=[" } }', 'malformed'],
    ['a required claim without value', 'access: { oidc: { required_claims: hd } }', 'hd=corp.example'],
    [
      'jobs of an issuer over http',
      jwt('issuer: http://ci.corp.example, rules: [{claims: {sub: a}}]'),
      'plain http',
    ],
    [
      'keys over http',
      jwt('issuer: https://ci, jwks_url: http://ci, rules: [{claims: {sub: a}}]'),
      'plain http',
    ],
    ['jobs without rules', jwt('issuer: https://ci'), 'mean nobody'],
    ['a rule without claims', jwt('issuer: https://ci, rules: [{claims: {}}]'), 'match every token'],
    ['a claim that is no pattern', jwt('issuer: https://ci, rules: [{claims: {sub: "a["}}]'), 'malformed'],
    ['a preset without owner', jwt('preset: github, rules: [{claims: {ref: main}}]'), 'names no owner'],
    ['any owner', jwt('preset: gitlab, rules: [{claims: {namespace_path: "*"}}]'), 'names no owner'],
    [
      'a public issuer without preset',
      jwt('issuer: https://token.actions.githubusercontent.com/acme, rules: [{claims: {ref: main}}]'),
      'names no owner',
    ],
    [
      'one issuer twice',
      `${jwt('preset: gitlab, rules: [{claims: {project_id: 1}}]')}    - { audience: a, issuer: https://gitlab.com, rules: [{claims: {project_id: 2}}] }`,
      'named twice',
    ],
    ['certificates that nobody asks for', 'access: { certificates: [{ match: "cn:x" }] }', 'tls.client_auth'],
    [
      'a certificate rule of no kind',
      `${tls}access: { certificates: [{ match: ci-* }] }`,
      'begin it with cn:',
    ],
    [
      'a certificate rule without pattern',
      `${tls}access: { certificates: [{ match: "cn:" }] }`,
      'begin it with cn:',
    ],
    ['a fingerprint that is none', `${tls}access: { certificates: [{ match: "fingerprint:ab" }] }`, '64 hex'],
    [
      'a certificate pattern that is none',
      `${tls}access: { certificates: [{ match: "dns:[a" }] }`,
      'malformed',
    ],
  ])('%s', async (_, yaml, text) => {
    expect((await textsOf(load(yaml))).join('\n')).toContain(text);
  });

  it('and what can be used is none', async () => {
    const yaml = `${tls}access:
  certificates: [{ match: 'cn:CI [a-z]*' }, { match: 'fingerprint:${'AB:'.repeat(31)}AB' }]
  ldap: { url: ldap://x, user_dn: 'uid={user},dc=x' }
  oidc:
    issuer: http://127.0.0.1:1234/realm
    client_id: x
    required_groups: dev
    required_claims: [hd=corp.example, hd=corp2.example, 'tid=a=b']
  jwt:
    - { preset: gitlab, issuer: https://gitlab.corp.example, audience: a, rules: [{ claims: { ref: main } }] }
    - preset: github
      audience: a
      rules: [{ claims: { repository_owner: [acme, acme-labs], run: [1, 2], ref_protected: true } }]
routes: [{ match: private/x }, { match: private, name: own }]
`;
    const { config } = await load(yaml);
    expect(config.access.oidc.required).toEqual({
      groups: ['dev'],
      claims: { hd: ['corp.example', 'corp2.example'], tid: ['a=b'] },
    });
    expect(config.access.jwt[1]?.rules[0]?.claims['repository_owner']).toEqual(['acme', 'acme-labs']);
  });
});

it('an LDAP name that is none is a fault, but for the account of an Active Directory', async () => {
  const ldap = (more: string) => load(`access: { ldap: { url: ldap://x, bind_password: x, ${more} } }\n`);
  for (const more of [
    'user_base: people',
    'user_base: dc=x, group_base: groups',
    'user_base: dc=x, bind_dn: me',
  ]) {
    expect((await textsOf(ldap(more))).join('\n')).toContain('no distinguished name');
  }
  await expect(ldap('user_base: dc=x, bind_dn: me@corp.example')).resolves.toBeDefined();
});

describe('the shape of a pattern', () => {
  it('is that of Go', () => {
    const text = fc.array(fc.constantFrom('a', '*', '?', '[', ']', '^', '-', '\\', '/', '\u{1f600}', '\n'));
    fc.assert(
      fc.property(text, (parts) => {
        const pattern = parts.join('');
        fc.pre(pattern !== '');
        expect(isGlob(pattern)).toBe(compileGlob(pattern) !== undefined);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is seen at once, however long it is', () => {
    const startedAtMs = performance.now();
    for (const part of ['[a', '[a-', '\\', '*', 'a]', '[^']) isGlob(part.repeat(25_000));
    expect(performance.now() - startedAtMs).toBeLessThan(200);
  });
});
