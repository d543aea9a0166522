import { describe, expect, it } from 'vitest';
import { signingKey } from '../../../test/kit/jwt-issuer.ts';
import { type JwtIssuer, jwtPresets } from './issuer-options.ts';
import { createJwtAuthenticator } from './jwt-authenticator.ts';
import {
  ask,
  audience,
  authenticator,
  claims,
  clock,
  good,
  kit,
  refused,
  rules,
  useIssuer,
} from './test-jwt.ts';

useIssuer();

describe('options', () => {
  it.each<[string, Partial<JwtIssuer>, RegExp]>([
    ['plain http', { issuer: 'http://login.corp.example' }, /not https/],
    ['keys over plain http', { jwksUrl: 'http://login.corp.example/keys' }, /not https/],
    ['no audience', { audience: [] }, /no audience/],
    ['alg none', { algorithms: ['none'] }, /algorithm none is not possible/],
    ['an HMAC', { algorithms: ['RS256', 'HS256'] }, /algorithm HS256 is not possible/],
    ['no rules', { rules: [] }, /mean nobody/],
    ['a rule without claims', { rules: [{ claims: {} }] }, /match every token/],
    ['a malformed pattern', { rules: [{ claims: { repository: 'acme/[' } }] }, /malformed/],
    ['no owner', { isPublic: true, rules: [{ claims: { ref: 'refs/heads/main' } }] }, /names no owner/],
    ['any owner', { isPublic: true, rules: [{ claims: { repository: '*/*' } }] }, /names no owner/],
    [
      'any owner in sub',
      { isPublic: true, rules: [{ claims: { sub: 'repo:*/*:ref:*/*/*' } }] },
      /names no owner/,
    ],
    [
      'a workflow that all may call',
      { isPublic: true, rules: [{ claims: { job_workflow_ref: 'acme/x' } }] },
      /names no owner/,
    ],
  ])('%s is refused', (_, options, message) => {
    expect(() => authenticator(options)).toThrow(message);
  });

  it.each([
    'https://token.actions.githubusercontent.com',
    'https://token.actions.githubusercontent.com/acme-corp',
    'https://gitlab.com',
  ])('know %s as an issuer for everybody, with or without a preset', (issuer) => {
    const branch = [{ claims: { ref: 'refs/heads/main' } }];
    expect(() => authenticator({ issuer, rules: branch })).toThrow(/names no owner/);
    expect(() => authenticator({ issuer, isPublic: false, rules: branch })).toThrow(/names no owner/);
    const owned = [{ claims: { repository_owner: ['acme', 'acme-labs'] } }];
    expect(() => authenticator({ issuer, rules: owned })).not.toThrow();
    const any = [{ claims: { repository_owner: ['acme', '*'] } }];
    expect(() => authenticator({ issuer, rules: any })).toThrow(/names no owner/);
    expect(() => authenticator({ issuer, rules: [{ claims: { repository_owner: [] } }] })).toThrow();
  });

  it('ask for no owner of an instance of one\u2019s own', () => {
    const issuer = 'https://gitlab.corp.example';
    expect(() => authenticator({ issuer, rules: [{ claims: { ref: 'main' } }] })).not.toThrow();
  });

  it('let only those log in who are in a required group, and whose claims are as required', async () => {
    const people = (required: JwtIssuer['required']) =>
      authenticator({ isForPeople: true, rules: [], nameClaim: 'sub', required });
    const signed = await good({ hd: 'corp.example', groups: ['dev', 'ops'] });
    const who = async (groups: string[], claims: Record<string, string[]> = {}) => {
      const answer = await ask(people({ groups, claims }), signed);
      return typeof answer === 'string' ? answer : answer.groups;
    };
    expect(await who([])).toEqual(['dev', 'ops']);
    expect(await who(['dev'])).toEqual(['dev', 'ops']);
    expect(await who(['sales', 'ops'])).toEqual(['dev', 'ops']);
    expect(await who(['sales'])).toBe('wrong');
    expect(await who([], { hd: ['corp.example'] })).toEqual(['dev', 'ops']);
    expect(await who([], { hd: ['other.example', 'corp.example'] })).toEqual(['dev', 'ops']);
    expect(await who([], { hd: ['other.example'] })).toBe('wrong');
    expect(await who([], { hd: ['corp.example'], tid: ['1'] })).toBe('wrong');
    expect(await who(['sales'], { hd: ['corp.example'] })).toBe('wrong');
    expect(refused).toContain('it does not have the required claims');
    expect(() => people({ groups: [], claims: { hd: ['['] } })).toThrow(/malformed/);
  });

  it('refuse one issuer named twice', () => {
    const one = { issuer: kit.issuer, audience, rules };
    expect(() => createJwtAuthenticator([one, one], { clock })).toThrow(/named twice/);
  });

  it('of the presets fit the claims that GitHub and GitLab document', async () => {
    const key = await signingKey('rsa', 'RS256');
    kit.keys = [key];
    const signed = (more: Readonly<Record<string, unknown>>) => key.sign(claims(more));
    const github = {
      ...jwtPresets.github,
      issuer: kit.issuer,
      audience,
      rules: [{ claims: { repository_owner: 'acme', ref: 'refs/heads/main' } }],
    };
    const gitlab = {
      ...jwtPresets.gitlab,
      issuer: kit.issuer,
      audience,
      rules: [{ claims: { namespace_path: 'acme/go', ref_protected: true } }],
    };
    const job = {
      repository_owner: 'acme',
      repository_owner_id: '65',
      ref: 'refs/heads/main',
      run_id: '1',
      event_name: 'push',
    };
    expect(await ask(authenticator(github), await signed(job))).toMatchObject({
      kind: 'jwt',
      name: 'repo:acme/app:ref:refs/heads/main',
    });
    const pipeline = {
      sub: 'project_path:acme/go/app:ref_type:branch:ref:main',
      namespace_path: 'acme/go',
      project_path: 'acme/go/app',
      ref_protected: 'true',
    };
    expect(await ask(authenticator(gitlab), await signed(pipeline))).toMatchObject({ name: pipeline.sub });
    expect(await ask(authenticator(gitlab), await signed({ ...pipeline, ref_protected: 'false' }))).toBe(
      'wrong',
    );
  });
});
