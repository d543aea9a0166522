/** Names that no checksum database may hear: a recording log and a recording upstream tell what went out. */
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { goHome, runGo } from '../kit/go.ts';
import { get, info, proving, sumdbLog } from './checksums-support.ts';
import { ask, modferry, upstream } from './support.ts';

const secret = fakeModule({ path: 'corp.example/secret' });
const open = fakeModule({ path: 'example.com/open' });

describe('a module that no checksum database may hear of', () => {
  it.each([
    ['GONOSUMDB', { GONOSUMDB: 'corp.example' }, {}, 200],
    ['checksums.off', {}, { checksums: { off: ['corp.example/*'] } }, 200],
    ['GOPRIVATE', { GOPRIVATE: 'corp.example/*' }, {}, 404],
    ['private:', {}, { private: ['corp.example'] }, 401],
  ])('by %s: no lookup of it leaves, ours or a client’s', async (_, env, config, status) => {
    const log = await sumdbLog({ pad: 5, modules: [secret, open] });
    const source = await upstream({ modules: [secret, open], sumdb: log.handler });
    const proxy = await modferry({ upstreams: [source], env: { ...proving(log), ...env }, config });
    for (const ext of ['info', 'mod', 'zip'] as const) {
      expect((await get(proxy, secret, ext)).status, ext).toBe(status);
    }
    expect((await ask(proxy.url, `/sumdb/${log.name}/lookup/${secret.path}@v1.0.0`)).status).toBe(404);
    await using home = await goHome();
    const go = (path: string, goEnv: Record<string, string> = {}) =>
      runGo(['mod', 'download', `${path}@v1.0.0`], {
        home,
        env: { GOPROXY: proxy.url, GOSUMDB: log.verifierKey, ...goEnv },
      });
    // A client that was not told: it must hear of it as go understands, and nothing may leave by it either.
    expect((await go(secret.path)).code).toBe(1);
    if (status === 200) {
      const told = await go(secret.path, { GONOSUMDB: 'corp.example' });
      expect(told, told.stderr).toMatchObject({ code: 0 });
      expect((await info(proxy.dataDir, secret)).zip).toMatchObject({ proof: null, unproven: 'off' });
    } else {
      expect(source.requests.some(({ path }) => path.includes('corp.example'))).toBe(false);
    }
    expect(await go(open.path)).toMatchObject({ code: 0 });

    expect(log.count(/open/)).toBeGreaterThan(0);
    expect(log.count(/corp\.example/)).toBe(0);
    expect(source.requests.some(({ path }) => /^\/sumdb\/.*corp\.example/.test(path))).toBe(false);
  });

  it('is refused to clients with 403 where the configuration says so', async () => {
    const log = await sumdbLog({ pad: 5, modules: [secret] });
    const source = await upstream({ modules: [secret], sumdb: log.handler });
    const config = { checksums: { off: ['corp.example/*'], private_lookup: 'forbidden' } };
    const proxy = await modferry({ upstreams: [source], env: proving(log), config });
    expect((await ask(proxy.url, `/sumdb/${log.name}/lookup/${secret.path}@v1.0.0`)).status).toBe(403);
    expect(log.requests).toEqual([]);
  });

  it('cannot be reached by the name of a database that is not known', async () => {
    const log = await sumdbLog({ pad: 5, modules: [secret] });
    const source = await upstream({ modules: [secret], sumdb: log.handler });
    const proxy = await modferry({ upstreams: [source], env: proving(log) });
    for (const name of ['other.example', `127.0.0.1:${source.port}`, 'sum.test.example/..', '%2e%2e']) {
      const answer = await ask(proxy.url, `/sumdb/${name}/lookup/${secret.path}@v1.0.0`);
      expect([400, 404], `${name}: ${answer.status}`).toContain(answer.status);
    }
    expect(log.requests).toEqual([]);
    expect(source.requests).toEqual([]);
  });
});
