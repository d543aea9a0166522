import { describe, expect, it } from 'vitest';
import { load } from '../config/load-kit.ts';
import { accessWarnings } from './access-parts.ts';

async function warnings(oidc: string): Promise<string[]> {
  const { config } = await load(`access: { oidc: { client_id: x, ${oidc} } }\n`);
  return accessWarnings(config, false).filter((sentence) => sentence.includes('required_groups'));
}

describe('a browser log-in where everybody has an account', () => {
  it.each([
    'https://gitlab.com',
    'https://accounts.google.com',
    'https://login.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
  ])('is warned of: %s', async (issuer) => {
    expect(await warnings(`issuer: ${issuer}`)).toEqual([expect.stringContaining(issuer)]);
    expect(await warnings(`issuer: ${issuer}, required_groups: acme`)).toEqual([]);
    expect(await warnings(`issuer: ${issuer}, required_claims: hd=corp.example`)).toEqual([]);
  });

  it.each([
    'https://login.corp.example/realms/corp',
    'https://gitlab.corp.example',
    'https://login.microsoftonline.com/0e9bf24a-0000-4000-8000-000000000000/v2.0',
  ])('is none of %s', async (issuer) => {
    expect(await warnings(`issuer: ${issuer}`)).toEqual([]);
  });
});
