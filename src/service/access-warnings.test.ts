/** What an operator is told at start about credentials in the clear. */
import { describe, expect, it } from 'vitest';
import { load } from '../config/load-kit.ts';
import { accessWarnings } from './access-parts.ts';

const tls = 'tls: {cert: a.pem, key: a.key}\n';
const users = 'access: {htpasswd: users}\n';

async function warned(yaml: string, hasTokens = false): Promise<string> {
  const { config } = await load(yaml);
  return accessWarnings(config, hasTokens).join('\n');
}

describe('credentials over plain HTTP', () => {
  it.each([
    ['every address', `listen: ':8080'\n${users}`, ':8080'],
    ['another machine can reach it', `listen: 192.0.2.1:80\n${users}`, '192.0.2.1:80'],
    ['beside https', `listen: ['https://:8443', '0.0.0.0:8080']\n${tls}${users}`, '0.0.0.0:8080'],
    ['a directory', "listen: ':80'\naccess: {ldap: {url: 'ldaps://l.example', user_base: dc=x}}\n", ':80'],
    ['an issuer', "listen: ':80'\naccess: {oidc: {issuer: 'https://i.example', client_id: x}}\n", ':80'],
  ])('are warned of: %s', async (_, yaml, address) => {
    const text = await warned(yaml);
    expect(text).toContain('credentials of clients come over plain HTTP at ');
    expect(text).toContain(address);
    expect(text).toContain('https://');
  });

  it('are warned of when the only ones are tokens', async () => {
    expect(await warned("listen: ':8080'\n", true)).toContain('over plain HTTP');
    expect(await warned("listen: ':8080'\n", false)).toBe('');
  });

  it.each([
    ['this machine', `listen: [localhost:8080, '127.0.0.1:1', '[::1]:2']\n${users}`],
    ['https', `listen: 'https://:8443'\n${tls}${users}`],
    ['a Unix socket', `listen: 'unix:/run/m.sock'\n${users}`],
  ])('are no trouble: %s', async (_, yaml) => {
    expect(await warned(yaml, true)).toBe('');
  });
});
