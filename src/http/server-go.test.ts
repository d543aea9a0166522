import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { runGo } from '../../test/kit/go.ts';
import { testAuthority } from '../../test/kit/tls.ts';
import { askerOf } from './asker.ts';
import { listen } from './server.ts';
import { limits, tlsTarget } from './test-tls.ts';

it('the go command speaks to plain HTTP and HTTPS side by side, and shows its credentials to HTTPS', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-go-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await testAuthority(folder);
  const { path, version, info, mod, zip } = fakeModule({ path: 'corp.example/lib' });
  const files: Readonly<Record<string, Buffer>> = {
    [`/${path}/@v/list`]: Buffer.from(`${version}\n`),
    [`/${path}/@v/${version}.info`]: info,
    [`/${path}/@v/${version}.mod`]: mod,
    [`/${path}/@v/${version}.zip`]: zip,
  };
  const seen = new Set<string | undefined>();
  const listening = await listen(
    [{ host: '127.0.0.1', port: 0 }, tlsTarget(await authority.issue())],
    limits,
    (request, response) => {
      seen.add(askerOf(request).authorization);
      const body = files[request.url ?? ''];
      response.writeHead(body === undefined ? 404 : 200).end(body);
    },
  );
  onTestFinished(() => listening.destroy());
  const download = async (url: string): Promise<string> => {
    const { hostname, port } = new URL(url);
    const proxy = `${new URL(url).protocol}//${hostname}:${port}`;
    const withPassword = url.startsWith('https') ? proxy.replace('//', '//u:p@') : proxy;
    const env = { GOPROXY: withPassword, SSL_CERT_FILE: authority.certFile };
    const { code, stderr } = await runGo(['mod', 'download', `${path}@${version}`], { env });
    return code === 0 ? 'downloaded' : stderr;
  };
  const [plain = '', secure = ''] = listening.urls;
  expect(await download(plain)).toBe('downloaded');
  expect(await download(secure)).toBe('downloaded');
  expect([...seen]).toEqual([undefined, `Basic ${Buffer.from('u:p').toString('base64')}`]);
  const asPlain = await runGo(['mod', 'download', `${path}@${version}`], {
    env: { GOPROXY: secure.replace('https:', 'http:') },
  });
  expect(asPlain.stderr).toContain('this port speaks HTTPS only: write https:// in GOPROXY');
});
