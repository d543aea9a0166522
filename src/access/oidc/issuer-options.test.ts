import { describe, expect, it } from 'vitest';
import { signingKey } from '../../../test/kit/jwt-issuer.ts';
import { type JwtIssuer, jwtPresets } from './issuer-options.ts';
import { createJwtAuthenticator } from './jwt-authenticator.ts';
import { ask, audience, authenticator, claims, clock, kit, rules, useIssuer } from './test-jwt.ts';

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
