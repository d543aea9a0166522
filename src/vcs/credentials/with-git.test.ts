import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type GitAccess, startGitServer } from '../../../test/kit/git-server.ts';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import { testAuthority } from '../../../test/kit/tls.ts';
import { Secret } from '../../lib/secret.ts';
import { secretReference } from '../../lib/secret-reference.ts';
import type { CredentialUse } from './entries.ts';
import { entry, finderOf, tempFolder } from './test-finder.ts';
import { lsRemote, repositories } from './test-git.ts';

const secret = 'hunter2-T0k3n';
const basic: GitAccess = { kind: 'basic', username: 'oauth2', password: secret };
const bearer: GitAccess = { kind: 'bearer', token: secret };

async function tlsServer(access: GitAccess) {
  const authority = await testAuthority(tempFolder());
  const server = await startGitServer({ root: await repositories(), access, tls: await authority.issue() });
  onTestFinished(server.close);
  return { server, url: `${server.url}/team/lib.git`, caFile: authority.certFile };
}

function file(text: string, mode = 0o600): string {
  const path = join(tempFolder(), 'file');
  writeFileSync(path, text, { mode });
  return path;
}

const header = `Authorization: Basic ${Buffer.from(`oauth2:${secret}`).toString('base64')}`;

/** Each way to have the same credential, by name. */
const ways: readonly [string, GitAccess, (url: string) => CredentialUse][] = [
  ['a token', basic, () => ({ kind: 'token', token: new Secret(secret) })],
  ['a bearer token', bearer, () => ({ kind: 'token', token: new Secret(secret), header: 'bearer' })],
  ['a password', basic, () => ({ kind: 'password', username: 'oauth2', password: new Secret(secret) })],
  [
    'a .netrc',
    basic,
    () => ({ kind: 'netrc', file: file(`machine 127.0.0.1 login oauth2 password ${secret}\n`) }),
  ],
  [
    'a command',
    basic,
    (url) => ({
      kind: 'command',
      argv: [file(`#!/bin/sh\nprintf '%s\\n\\n%s\\n\\n' '${new URL(url).origin}' '${header}'\n`, 0o755)],
    }),
  ],
];

describe('credentials with real git over TLS', () => {
  it.each(ways)('%s opens the repository, and shows up nowhere', async (_what, access, use) => {
    const { server, url, caFile } = await tlsServer(access);
    const finder = finderOf([entry('127.0.0.1', use(url))]);
    const tried = await lsRemote(finder, url, caFile);

    expect(tried).toMatchObject({
      code: 'ok',
      printed: expect.stringContaining('refs/tags/v1.0.0') as string,
    });
    server.access = { kind: 'expired' };
    const refused = await lsRemote(finder, url, caFile);
    expect(refused).toMatchObject({
      code: 'auth',
      message: expect.stringContaining('does not accept') as string,
    });
    const encoded = Buffer.from(`oauth2:${secret}`).toString('base64');
    for (const text of [JSON.stringify(tried), JSON.stringify(refused)]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(encoded);
    }
    expect(server.requests.some(({ url: asked }) => asked.includes(secret))).toBe(false);
  });

  it('none at all says so', async () => {
    const { url, caFile } = await tlsServer(basic);
    const tried = await lsRemote(finderOf([]), url, caFile);

    expect(tried).toMatchObject({
      code: 'auth',
      message: expect.stringContaining('none are configured') as string,
    });
  });

  it('a token file that was rotated is used within the same request', async () => {
    const { url, caFile } = await tlsServer(basic);
    const path = file('old');
    const token = secretReference(`file:${path}`, { env: {}, resolvePath: (each) => each });
    if (token === undefined) throw new Error('no reference');
    const finder = finderOf([entry('127.0.0.1', { kind: 'token', token })]);
    expect((await lsRemote(finder, url, caFile)).code).toBe('auth');
    writeFileSync(path, `${secret}\n`);

    expect((await lsRemote(finder, url, caFile)).code).toBe('ok');
  });

  it('an expired token of a command is had anew, once', async () => {
    const { server, url, caFile } = await tlsServer(bearer);
    const log = file('');
    const origin = new URL(url).origin;
    // Without a URL it has an old token, as a cache would; asked because of a refusal it gets a new one.
    const body = `echo "$#" >> '${log}'\n[ $# = 0 ] && token=expired || token=${secret}\n`;
    const print = `printf '%s\\n\\nAuthorization: Bearer %s\\n\\n' '${origin}' "$token"\n`;
    const argv = [file(`#!/bin/sh\n${body}${print}`, 0o755)];
    const finder = finderOf([entry('127.0.0.1', { kind: 'command', argv })]);

    expect((await lsRemote(finder, url, caFile)).code).toBe('ok');
    expect((await lsRemote(finder, url, caFile)).code).toBe('ok');
    const tried = server.requests.filter(({ kind }) => kind === 'advertise').map(({ status }) => status);
    expect(tried).toEqual([401, 200, 200]);
  });

  it('an expired token of a GitHub App is had anew, once', async () => {
    let tokens = 0;
    const api = await listenOn(
      createServer((_request, response) => {
        tokens += 1;
        const token = tokens === 1 ? 'revoked' : secret;
        const expires_at = new Date(Date.now() + 3_600_000).toISOString();
        response.writeHead(201).end(JSON.stringify({ token, expires_at }));
      }),
    );
    onTestFinished(api.close);
    const access: GitAccess = { kind: 'basic', username: 'x-access-token', password: secret };
    const { url, caFile } = await tlsServer(access);
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const use = {
      kind: 'github_app',
      appId: '1',
      privateKey: new Secret(privateKey),
      installationId: '2',
      apiUrl: `http://127.0.0.1:${api.port}`,
    } as const;
    const finder = finderOf([entry('127.0.0.1', use)]);

    expect((await lsRemote(finder, url, caFile)).code).toBe('ok');
    expect((await lsRemote(finder, url, caFile)).code).toBe('ok');
    expect(tokens).toBe(2);
  });
});
