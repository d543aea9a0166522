/**
 * HTTPS with certificates that are renewed under load, beside plain HTTP and a Unix socket; what an operator is warned
 * of; what `modferry env` gives to clients, used by the real go command; and the steps of `modferry upstreams test`.
 */
import { rename, stat, writeFile } from 'node:fs/promises';
import { Agent, get as getHttps } from 'node:https';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { makeGitRepo } from '../kit/git-repo.ts';
import { startGitServer } from '../kit/git-server.ts';
import { goHome, runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../kit/tls.ts';
import {
  type AccessLine,
  accessLines,
  alice,
  fileOf,
  listenTls,
  moduleA,
  moduleOpen,
  otherUrl,
  type Sources,
  send,
  start,
  startSources,
} from './access-support.ts';
import { eventually, folder, freePort, runModferry } from './support.ts';

const modA = fileOf(moduleA, 'mod');

let sources: Sources;
let authority: TestAuthority;
let proxy: ModferryProcess;
let certFile: string;
let keyFile: string;
let tlsUrl: string;
let socketUrl: string;

beforeAll(async () => {
  sources = await startSources();
  authority = await testAuthority(sources.dir.path);
  certFile = join(sources.dir.path, 'server.pem');
  keyFile = join(sources.dir.path, 'server.key');
  await install(await authority.issue({ commonName: 'one' }));
  const socket = join(sources.dir.path, 'modferry.sock');
  proxy = await start({
    config: { ...sources.config, tls: { cert: certFile, key: keyFile }, log: { access: 'all' } },
    args: [...listenTls, '--listen', `unix:${socket}`],
  });
  tlsUrl = await otherUrl(proxy, 'https:');
  socketUrl = await otherUrl(proxy, 'unix:');
});
afterAll(async () => {
  await proxy.close();
  await sources[Symbol.asyncDispose]();
});

/** As a renewal does it: the key first, each file in one step. */
async function install({ cert, key }: Pick<Certificate, 'cert' | 'key'>): Promise<void> {
  for (const [file, text] of [
    [keyFile, key],
    [certFile, cert],
  ] as const) {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  }
}

function handshake(options: { readonly maxVersion?: 'TLSv1.1' } = {}): Promise<PeerCertificate> {
  const { hostname: host, port } = new URL(tlsUrl);
  return new Promise((resolve, reject) => {
    const old =
      options.maxVersion === undefined
        ? {}
        : { ...options, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' };
    const socket = connect({ host, port: Number(port), ca: authority.cert, ...old }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('listening', () => {
  it('with HTTPS, plain HTTP and a Unix socket side by side gives the same answers', async () => {
    const ca = authority.cert;
    for (const url of [proxy.url, tlsUrl, socketUrl]) {
      for (const round of [1, 2]) {
        const known = await send(url, modA, { ca, as: alice });
        expect(known, `${url} ${round}`).toMatchObject({ status: 200, body: moduleA.mod });
        expect((await send(url, modA, { ca })).status).toBe(401);
        expect((await send(url, fileOf(moduleOpen, 'zip'), { ca })).body).toEqual(moduleOpen.zip);
      }
    }
    expect((await stat(socketUrl.slice('unix:'.length))).mode & 0o777).toBe(0o660);
    expect((await send(tlsUrl, '/', { ca })).text).toContain(`GOPROXY=${tlsUrl}`);
    expect((await send(proxy.url, '/')).text).toContain(`GOPROXY=${proxy.url}`);
  });

  it('refuses old TLS, and says what is wrong to plain HTTP on the TLS port', async () => {
    await expect(handshake({ maxVersion: 'TLSv1.1' })).rejects.toThrow();
    const told = await send(tlsUrl.replace('https:', 'http:'), '/healthz');
    expect(told).toMatchObject({ status: 400, text: expect.stringMatching(/https/i) });
  });

  it('puts a renewed certificate in force without a restart or a failed request', async () => {
    expect((await handshake()).subject.CN).toBe('one');
    const keptAlive = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert });
    onTestFinished(() => keptAlive.destroy());
    const overKept = (): Promise<number> =>
      new Promise((resolve, reject) => {
        getHttps(`${tlsUrl}/healthz`, { agent: keptAlive }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        }).on('error', reject);
      });
    let isOver = false;
    let asked = 0;
    const load = Array.from({ length: 4 }, async (_, index) => {
      while (!isOver) {
        const status =
          index === 0
            ? await overKept()
            : (await send(tlsUrl, modA, { ca: authority.cert, as: alice })).status;
        expect(status).toBe(200);
        asked += 1;
      }
    });
    try {
      // A pair that does not fit together is not used.
      const [two, three] = [
        await authority.issue({ commonName: 'two' }),
        await authority.issue({ commonName: 'three' }),
      ];
      await install({ cert: two.cert, key: three.key });
      // A reload looks at once; else the files are looked at every few seconds.
      proxy.signal('SIGHUP');
      await proxy.waitForLine(/the new certificate cannot be used, the old one stays/, 15_000);
      expect((await handshake()).subject.CN).toBe('one');
      await install(two);
      await proxy.waitForLine(/certificate loaded anew/, 15_000);
      await eventually(handshake, ({ subject }) => subject.CN === 'two');
    } finally {
      isOver = true;
    }
    await Promise.all(load);
    expect(asked).toBeGreaterThan(20);
  });
});

describe('modferry env', () => {
  /** Its variables, and what it said besides. */
  async function env(config: object): Promise<{ variables: Record<string, string>; stderr: string }> {
    const dir = await folder('env');
    const file = join(dir.path, 'modferry.yaml');
    await writeFile(file, JSON.stringify(config));
    const done = await runModferry(['env', '--format', 'json', '--config', file], {
      env: { HOME: dir.path },
    });
    expect(done.code, done.stderr).toBe(0);
    return { variables: JSON.parse(done.stdout) as Record<string, string>, stderr: done.stderr };
  }

  it('gives the https URL and GONOPROXY=none, with which go asks us even for what GOPRIVATE names', async () => {
    const { port } = new URL(tlsUrl);
    const { variables, stderr } = await env({
      ...sources.config,
      listen: [`127.0.0.1:${proxy.port}`, 'unix:/nowhere.sock', `https://127.0.0.1:${port}`],
      private: 'other.example',
      tls: { cert: certFile, key: keyFile },
    });
    expect(stderr).toBe('');
    expect(variables).toMatchObject({ GOPROXY: tlsUrl, GONOPROXY: 'none' });
    expect(variables['GONOSUMDB']?.split(',').toSorted()).toEqual([
      'corp.example/closed',
      'corp.example/team-a',
      'corp.example/team-b',
      'other.example',
    ]);
    await using home = await goHome();
    const netrc = `machine ${new URL(tlsUrl).host} login alice password alice-secret\n`;
    await writeFile(join(home.path, '.netrc'), netrc, { mode: 0o600 });
    const goEnv = {
      ...variables,
      GOAUTH: 'netrc',
      GOPRIVATE: 'corp.example',
      SSL_CERT_FILE: authority.certFile,
    };
    const got = await runGo(['mod', 'download', `${moduleA.path}@v1.0.0`], { home, env: goEnv });
    expect(got, got.stderr).toMatchObject({ code: 0 });
    const ofZip = (lines: readonly AccessLine[]) =>
      lines.filter(
        ({ artifact, module, by }) => artifact === 'zip' && module === moduleA.path && by === 'user:alice',
      );
    expect(ofZip(await accessLines(proxy, (lines) => ofZip(lines).length > 0))).toMatchObject([
      { status: 200 },
    ]);
  });

  it('warns where credentials would go over plain HTTP', async () => {
    const { variables, stderr } = await env({ ...sources.config, listen: '127.0.0.1:8080' });
    expect(variables['GOPROXY']).toBe('http://127.0.0.1:8080');
    expect(stderr).toContain('go sends credentials over https only');
  });
});

describe('modferry upstreams test', () => {
  async function steps(config: object, target: string) {
    const dir = await folder('steps');
    const file = join(dir.path, 'modferry.yaml');
    await writeFile(file, JSON.stringify(config));
    const args = ['upstreams', 'test', target, '--json', '--config', file, '--data', join(dir.path, 'data')];
    const { code, stdout } = await runModferry(args, { env: { HOME: dir.path } });
    const lines = stdout.split('\n').filter((line) => line !== '');
    const told = lines.map(
      (line) => JSON.parse(line) as { subject: string; name: string; outcome: string; remedy?: string },
    );
    return {
      code,
      told: told.map(({ subject, name, outcome }) => `${subject} ${name} ${outcome}`),
      remedy: told.find(({ outcome }) => outcome === 'failed')?.remedy,
      stdout,
    };
  }

  it('goes the whole way where it is good, and says which step is not', async () => {
    const dir = await folder('git');
    await makeGitRepo(join(dir.path, 'team/lib.git'), [
      { files: { 'go.mod': 'module git.corp.example/team/lib\n' }, tags: ['v1.0.0'] },
    ]);
    const git = await startGitServer({
      root: dir.path,
      tls: await authority.issue({ validTo: new Date(Date.now() + 30 * 86_400_000) }),
      access: { kind: 'basic', username: 'ci', password: 'git-secret' },
    });
    onTestFinished(git.close);
    const config = (password: string, url = git.url) => ({
      upstreams: [{ name: 'outer', url: sources.outer.url }],
      routes: [{ match: 'git.corp.example', private: true, sources: 'direct' }],
      network: { ca_file: authority.certFile },
      direct: {
        repositories: [{ match: 'git.corp.example', url: `${url}/{path}.git` }],
        credentials: [{ match: ['127.0.0.1', 'git.corp.example'], username: 'ci', password }],
        allow_hosts: '127.0.0.1',
        allow_addresses: '127.0.0.0/8',
      },
    });
    const module = 'git.corp.example/team/lib';
    const [good, wrong, untagged, down] = await Promise.all([
      steps(config('git-secret'), `${module}@v1.0.0`),
      steps(config('old'), `${module}@v1.0.0`),
      steps(config('git-secret'), `${module}@v1.9.0`),
      steps(config('git-secret', `https://127.0.0.1:${await freePort()}`), module),
    ]);
    const ofDirect = good.told.filter((line) => line.startsWith('direct '));
    expect(ofDirect, good.stdout).toContain('direct tls ok');
    expect(ofDirect, good.stdout).toContain('direct authentication ok');
    expect(ofDirect.every((line) => line.endsWith(' ok'))).toBe(true);
    expect(good.code).toBe(0);
    expect(wrong.code).toBe(1);
    expect(wrong.told).toContain('direct authentication failed');
    expect(wrong.remedy).toContain('credentials');
    expect(untagged.told, untagged.stdout).toContain('direct tag failed');
    expect(down.told).toContain('direct tcp failed');
    for (const { stdout } of [good, wrong, untagged, down]) expect(stdout).not.toContain('git-secret');
  });

  it('of an upstream: the certificate that nobody here knows', async () => {
    const config = { upstreams: [{ name: 'there', url: tlsUrl }] };
    const unknown = await steps(config, moduleOpen.path);
    expect(unknown.code).toBe(1);
    expect(unknown.told).toContain('there tls failed');
    const known = await steps({ ...config, network: { ca_file: authority.certFile } }, moduleOpen.path);
    expect(known, known.stdout).toMatchObject({ code: 0 });
  });
});
