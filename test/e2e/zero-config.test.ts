/**
 * `modferry serve` with no configuration at all: upstreams and private patterns from this machine's Go settings,
 * never itself, and no private name ever sent out (rulings 3 and 21).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { goHome, runGo } from '../kit/go.ts';
import { ask, folder, freePort, modferry, upstream } from './support.ts';

const module = fakeModule({ path: 'example.com/m' });

/** A machine of one's own: HOME with a GOENV file in it, and a working folder that is empty. */
async function machine() {
  const dir = await folder('machine');
  const home = join(dir.path, 'home');
  await mkdir(join(home, '.config/go'), { recursive: true });
  const goEnv = join(home, '.config/go/env');
  const env = { HOME: home, GOENV: goEnv };
  return {
    env,
    data: join(dir.path, 'data'),
    goEnvWrite: async (setting: string) => {
      await using own = await goHome();
      const result = await runGo(['env', '-w', setting], {
        home: own,
        env: { GOENV: goEnv, GOPROXY: undefined },
      });
      expect(result).toMatchObject({ code: 0, stderr: '' });
    },
  };
}

describe('modferry serve without configuration', () => {
  it('says where it listens and stores, whom it asks and what to give to clients', async () => {
    const { env, goEnvWrite } = await machine();
    const source = await upstream({ modules: [module] });
    await goEnvWrite(`GOPROXY=${source.url},direct`);
    const proxy = await modferry({ wholeArgs: ['serve', '--listen', '127.0.0.1:0'], env });

    const [, stored = ''] = await proxy.waitForLine(/^ +storing in +(\S+)$/);
    expect(stored).toMatch(/\/modferry-data\/download$/);
    await proxy.waitForLine(new RegExp(`upstreams +127\\.0\\.0\\.1:${source.port} \\(from go env\\)`));
    await proxy.waitForLine(new RegExp(`for clients +go env -w GOPROXY=${proxy.url}$`));
    expect(await ask(proxy.url, '/example.com/m/@v/v1.0.0.zip')).toMatchObject({
      status: 200,
      body: module.zip,
    });
    // A miss that only the client's next entry can have, says so.
    expect((await ask(proxy.url, '/example.com/none/@latest')).text).toContain('direct');
  });

  it('takes GOPROXY of the environment before that of go env -w', async () => {
    const { env, goEnvWrite } = await machine();
    const source = await upstream({ modules: [module] });
    await goEnvWrite('GOPROXY=http://127.0.0.1:9');
    const proxy = await modferry({
      wholeArgs: ['serve', '--listen', '127.0.0.1:0'],
      env: { ...env, GOPROXY: source.url },
    });
    await proxy.waitForLine(new RegExp(`upstreams +127\\.0\\.0\\.1:${source.port} \\(from environment\\)`));
    expect((await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod')).status).toBe(200);
  });

  it('after go env -w GOPROXY=<itself> and a restart it warns and uses the last good list', async () => {
    const { env, data, goEnvWrite } = await machine();
    const source = await upstream({ modules: [module] });
    await goEnvWrite(`GOPROXY=${source.url}`);
    const port = await freePort();
    const wholeArgs = ['serve', '--listen', `127.0.0.1:${port}`, '--data', data];
    const before = await modferry({ wholeArgs, env });
    await before.stop();
    await goEnvWrite(`GOPROXY=http://localhost:${port}`);

    const after = await modferry({ wholeArgs, env });
    await after.waitForLine(/names this very server/);
    await after.waitForLine(new RegExp(`upstreams +127\\.0\\.0\\.1:${source.port} \\(from last good\\)`));
    expect(await ask(after.url, '/example.com/m/@v/v1.0.0.mod')).toMatchObject({
      status: 200,
      body: module.mod,
    });
  });

  it('leaves itself out of a longer list and goes on with the rest', async () => {
    const { env, goEnvWrite } = await machine();
    const source = await upstream({ modules: [module] });
    const port = await freePort();
    await goEnvWrite(`GOPROXY=http://127.0.0.1:${port}|${source.url}`);
    const proxy = await modferry({ wholeArgs: ['serve', '--listen', `127.0.0.1:${port}`], env });
    await proxy.waitForLine(/names this very server/);
    expect((await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod')).status).toBe(200);
  });

  it.each(['off', 'direct'])('serves only what is stored with GOPROXY=%s, and says so', async (goProxy) => {
    const { env, data } = await machine();
    const source = await upstream({ modules: [module] });
    const wholeArgs = ['serve', '--listen', '127.0.0.1:0', '--data', data];
    const filling = await modferry({ wholeArgs, env: { ...env, GOPROXY: source.url } });
    await ask(filling.url, '/example.com/m/@v/v1.0.0.mod');
    await filling.stop();
    const asked = source.requests.length;

    const proxy = await modferry({ wholeArgs, env: { ...env, GOPROXY: goProxy } });
    await proxy.waitForLine(new RegExp(`GOPROXY=${goProxy} leaves no server`));
    expect(await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod')).toMatchObject({
      status: 200,
      body: module.mod,
    });
    const missing = await ask(proxy.url, '/example.com/other/@v/v1.0.0.mod');
    expect(missing.status).toBe(404);
    expect(missing.headers['cache-control']).toBe('no-store');
    expect(source.requests).toHaveLength(asked);
  });
});

describe('private names', () => {
  const secret = fakeModule({ path: 'git.corp.example/team/secret' });
  const paths = [
    ...[
      '@v/list',
      '@latest',
      '@v/v1.0.0.info',
      '@v/v1.0.0.mod',
      '@v/v1.0.0.zip',
      '@v/main.info',
      'sub/pkg/@v/list',
      'sub/pkg/@latest',
    ].map((name) => `/git.corp.example/team/secret/${name}`),
    '/git.corp.example/team/@v/list',
    '/sumdb/sum.golang.org/lookup/git.corp.example/team/secret@v1.0.0',
  ];

  it.each([
    ['GOPRIVATE of the environment', { GOPRIVATE: 'git.corp.example' }, {}, 404],
    ['GONOPROXY of the environment', { GONOPROXY: '*.corp.example' }, {}, 404],
    // Private modules are for those who are known.
    ['private: of the configuration', {}, { private: ['git.corp.example/team'] }, 401],
  ])('by %s never reach a public upstream, whatever is asked', async (_, env, config, status) => {
    const source = await upstream({
      modules: [secret, module],
      sumdb: () => {
        throw new Error('nobody may ask');
      },
    });
    const proxy = await modferry({
      upstreams: [source],
      env,
      config: { ...config, look_ahead: { enabled: true } },
    });
    for (const path of paths.filter(
      (each) => !('private' in config) || !each.startsWith('/git.corp.example/team/@v'),
    )) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(proxy.url, path, { method });
        expect(answer.status, path).toBe(path.startsWith('/sumdb/') ? 404 : status);
        expect(answer.headers['cache-control'], path).toBe('no-store');
        if (method === 'GET' && answer.status === 404) expect(answer.text).toMatch(/private/);
      }
    }
    expect(source.requests.map(({ path }) => path)).toEqual([]);
    // The upstream is used for everything else.
    expect((await ask(proxy.url, '/example.com/m/@v/v1.0.0.zip')).status).toBe(200);
  });

  it('required by a public go.mod are not looked ahead for', async () => {
    const open = fakeModule({
      path: 'example.com/open',
      requires: { [secret.path]: 'v1.0.0', [module.path]: 'v1.0.0' },
    });
    const source = await upstream({ modules: [secret, module, open] });
    const proxy = await modferry({
      upstreams: [source],
      env: { GOPRIVATE: 'git.corp.example' },
      config: { look_ahead: { enabled: true } },
    });
    await ask(proxy.url, '/example.com/open/@v/v1.0.0.mod');
    // The public one is fetched ahead: by then the private one would have been asked for, too.
    await source.waitForRequest('/example.com/m/@v/v1.0.0.mod');
    await proxy.stop();
    expect(source.requests.filter(({ path }) => path.includes('corp.example'))).toEqual([]);
  });

  it('are asked of an upstream that is declared private, and of no other', async () => {
    const open = await upstream();
    const closed = await upstream({ modules: [secret] });
    const config = {
      private: ['git.corp.example'],
      access: { private: { read: 'anonymous' } },
      direct: { enabled: false },
      upstreams: [open.url, { url: closed.url, private: true }],
    };
    const proxy = await modferry({ config });
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const answer = await ask(proxy.url, `/${secret.path}/@v/v1.0.0.${ext}`);
      expect(answer).toMatchObject({ status: 200, body: secret[ext] });
    }
    expect((await ask(proxy.url, `/${secret.path}/@v/list`)).text).toBe('v1.0.0\n');
    expect(open.requests).toHaveLength(0);
  });
});

describe('a configuration beside it', () => {
  it('modferry.yaml of the working folder is found, and flags win over it', async () => {
    const dir = await folder('cwd');
    const source = await upstream({ modules: [module] });
    await writeFile(
      join(dir.path, 'modferry.yaml'),
      `upstreams: ["http://127.0.0.1:9"]\ndata: ${dir.path}/data\n`,
    );
    const proxy = await modferry({
      command: [
        '/bin/sh',
        '-c',
        `cd "$0" && exec "$@"`,
        dir.path,
        join(import.meta.dirname, '../../bin/modferry'),
      ],
      wholeArgs: ['serve', '--listen', '127.0.0.1:0', '--upstream', source.url],
    });
    await proxy.waitForLine(new RegExp(`storing in +${dir.path}/data/download`));
    expect((await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod')).status).toBe(200);
  });
});
