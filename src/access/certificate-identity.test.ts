import { describe, expect, it } from 'vitest';
import { certificateReader } from './certificate-identity.ts';
import type { ClientCertificate } from './types.ts';

const certificate: ClientCertificate = {
  commonName: 'build-7',
  units: ['ci', 'infra'],
  names: ['dns:build-7.corp.example', 'email:x@corp.example', 'uri:spiffe://corp.example/ns/ci'],
  fingerprint: 'ab'.repeat(32),
};

function read(match: string | undefined, given: Partial<ClientCertificate> = {}, byCommonName = false) {
  const rules = match === undefined ? [] : [{ match, name: 'mapped', groups: ['g'] }];
  return certificateReader({ rules, byCommonName })({ ...certificate, ...given });
}

describe('certificateReader', () => {
  it('knows a certificate by its common name, with its units as groups', () => {
    expect(read(undefined, {}, true)).toEqual({
      kind: 'certificate',
      name: 'build-7',
      groups: ['ci', 'infra'],
      scopes: undefined,
      expiresAtMs: undefined,
    });
    expect(read(undefined)).toBeUndefined();
  });

  it.each([
    ['cn:build-*', true],
    ['cn:build', false],
    ['dns:*.corp.example', true],
    ['dns:corp.example', false],
    ['email:*@corp.example', true],
    ['uri:spiffe://corp.example/ns/*', true],
    ['uri:spiffe://corp.example/*', false],
    ['dns:spiffe*', false],
    [`fingerprint:${'AB:'.repeat(31)}AB`, true],
    [`fingerprint:${'ac'.repeat(32)}`, false],
  ])('rule %s: %s', (match, isMatch) => {
    expect(read(match)?.name).toBe(isMatch ? 'mapped' : undefined);
    if (isMatch) expect(read(match)?.groups).toEqual(['g']);
  });

  it('names it by what matched where neither the rule nor a common name does', () => {
    const reader = certificateReader({
      rules: [{ match: 'dns:*.corp.example', name: undefined, groups: [] }],
      byCommonName: false,
    });
    expect(reader(certificate)?.name).toBe('build-7');
    expect(reader({ ...certificate, commonName: '' })?.name).toBe('build-7.corp.example');
  });

  it.each(['', 'a\nb', 'a\u0000', 'a\u001b[2J', 'x'.repeat(201)])(
    'knows nobody by the name %j',
    (commonName) => {
      expect(read(undefined, { commonName }, true)).toBeUndefined();
    },
  );

  it('reads hostile names quickly', () => {
    const startedAtMs = performance.now();
    expect(read('cn:*a*a*a*b', { commonName: 'a'.repeat(50_000) })).toBeUndefined();
    expect(performance.now() - startedAtMs).toBeLessThan(50);
  });

  it.each(['build', 'cn:', 'cn:[', 'ip:1', 'fingerprint:ab', ''])('refuses the rule %j', (match) => {
    expect(() => read(match)).toThrow(expect.objectContaining({ code: 'bad_certificate_rule' }));
  });
});
