/** The modes: what is served and published while the checksum database is away, and what becomes of it when it is back. */
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { goHome, goProject, runGo } from '../kit/go.ts';
import { zipWithOneFileChanged } from '../kit/zip-variants.ts';
import { events, get, info, proving, sumdbLog, suspects } from './checksums-support.ts';
import {
  ask,
  eventually,
  expectCleanStore,
  folder,
  modferry,
  runModferry,
  storedZips,
  upstream,
} from './support.ts';

const lib = fakeModule({ path: 'example.com/lib' });
const next = fakeModule({ path: 'example.com/next' });
const changed = { ...lib, zip: zipWithOneFileChanged(lib) };

describe('mode require', () => {
  it('publishes nothing while the database is away, says so, and recovers without a restart', async () => {
    const log = await sumdbLog({ pad: 7, modules: [lib, next] });
    await log.server.refuse();
    const source = await upstream({ modules: [lib, next] });
    const proxy = await modferry({ upstreams: [source], env: proving(log) });
    for (const ext of ['mod', 'zip'] as const) {
      const answer = await get(proxy, lib, ext);
      expect(answer).toMatchObject({ status: 503, text: expect.stringContaining(log.name) });
      expect(answer.text).toContain('not proven, so not published');
      expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(15);
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    // Nothing could prove a .info in any case.
    expect(await get(proxy, lib, 'info')).toMatchObject({ status: 200 });
    const go = await runGo(['mod', 'download', `${next.path}@v1.0.0`], {
      env: { GOPROXY: `${proxy.url},direct`, GOSUMDB: 'off' },
    });
    expect(go).toMatchObject({ code: 1, stderr: expect.stringContaining('503 Service Unavailable') });
    expect(go.stderr).toContain(log.name);
    expect(await storedZips(proxy.dataDir)).toEqual([]);

    await log.server.listenAgain();
    const sinceMs = performance.now();
    await eventually(
      () => get(proxy, lib, 'zip'),
      ({ status }) => status === 200,
      15_000,
    );
    expect(performance.now() - sinceMs).toBeLessThan(15_000);
    expect(await get(proxy, next, 'zip')).toMatchObject({ status: 200, body: next.zip });
    await expectCleanStore(proxy.dataDir);
  });

  it('says that the database has no such record, and takes one that comes later', async () => {
    const log = await sumdbLog({ pad: 7 });
    const source = await upstream({ modules: [lib] });
    const proxy = await modferry({ upstreams: [source], env: proving(log) });
    const answer = await get(proxy, lib, 'zip');
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining('private:') });
    log.add(lib);
    await eventually(
      () => get(proxy, lib, 'zip'),
      ({ status }) => status === 200,
      20_000,
    );
  });
});

describe('mode prefer', () => {
  const config = { checksums: { prefer: ['example.com'], headers: 'full' } };

  it('publishes as unproven while the database is away, visibly, and proves it when it is back', async () => {
    const log = await sumdbLog({ pad: 7, modules: [lib, next] });
    await log.server.refuse();
    const source = await upstream({ modules: [lib, next] });
    const proxy = await modferry({ upstreams: [source], env: proving(log), config });
    const answer = await get(proxy, lib, 'zip');
    expect(answer).toMatchObject({ status: 200, body: lib.zip });
    expect(answer.headers).toMatchObject({
      'x-modferry-proof': 'none unreachable',
      'x-modferry-source': `127.0.0.1:${source.port}`,
    });
    await eventually(
      () => info(proxy.dataDir, lib),
      ({ zip }) => zip?.unproven === 'unreachable',
    );
    expect((await runModferry(['info', '--data', proxy.dataDir, `${lib.path}@v1.0.0`])).stdout).toContain(
      'not proven yet',
    );

    await log.server.listenAgain();
    // It asks by itself; the first pause is ten seconds.
    const proven = await eventually(
      () => info(proxy.dataDir, lib),
      ({ zip }) => zip?.proof !== null,
      40_000,
    );
    expect(proven.zip).toMatchObject({ proof: { by: 'sumdb', recordId: 7 }, unproven: null });
    expect(log.count(`/lookup/${lib.path}@v1.0.0`)).toBeGreaterThan(0);
    // Ready answers are dropped together, within a second or two.
    await eventually(
      async () => (await get(proxy, lib, 'zip')).headers['x-modferry-proof'],
      (proof) => String(proof).startsWith('sumdb sum.test.example 7 '),
    );
  });

  it('takes back what turns out other than proven, and serves the right one instead', async () => {
    const log = await sumdbLog({ pad: 7, modules: [lib, next] });
    await log.server.refuse();
    const sources = [
      await upstream({ modules: [changed] }),
      await upstream({ modules: [lib, next] }),
    ] as const;
    const data = await folder('data');
    const start = () => modferry({ dataDir: data.path, upstreams: sources, env: proving(log), config });
    const proxy = await start();
    expect(await get(proxy, lib, 'zip')).toMatchObject({ status: 200, body: changed.zip });
    await eventually(
      () => info(data.path, lib),
      ({ zip }) => zip?.unproven === 'unreachable',
    );
    // It is known over a restart, and tried at the start.
    await proxy.stop();
    await log.server.listenAgain();
    const again = await start();
    const healed = await eventually(
      () => get(again, lib, 'zip'),
      ({ status, body }) => status === 200 && body.equals(lib.zip),
      40_000,
    );
    expect(healed.headers['x-modferry-proof']).toMatch(/^sumdb /);
    expect(await suspects(data.path)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          source: 'store',
          artifact: 'zip',
          cause: 'mismatch',
          expectedH1: lib.zipH1,
        }),
      ]),
    );
    const told = await eventually(
      () => events(data.path),
      (all) => all.some(({ kind }) => kind === 'healed'),
    );
    expect(told.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['mismatch', 'healed']));
    await expectCleanStore(data.path);
  });
});

describe('GOSUMDB=off', () => {
  it('in the environment is honoured with a warning; by go env -w alone it is not inherited', async () => {
    const source = await upstream({ modules: [lib] });
    const off = await modferry({ upstreams: [source] });
    await off.waitForLine(/GOSUMDB=off.*unproven/);
    const answer = await get(off, lib, 'zip');
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.headers['x-modferry-proof']).toBe('none off');

    await using home = await goHome();
    const goenv = `${home.path}/goenv`;
    const written = await runGo(['env', '-w', 'GOSUMDB=off'], {
      home,
      env: { GOENV: goenv, GOSUMDB: undefined },
    });
    expect(written).toMatchObject({ code: 0 });
    const env = { GOSUMDB: undefined, GOENV: goenv, GOTOOLCHAIN: 'local' };
    const inherited = await modferry({ upstreams: [source], env });
    // No database is reachable here, so nothing is proven; that it is missed is the proof.
    const refused = await get(inherited, lib, 'mod', { timeoutMs: 60_000 });
    expect(refused.status, refused.text).toBe(503);
    expect(refused.text).toContain('sum.golang.org');
  });

  it('does not hold for toolchains, which only the official database proves', async () => {
    const toolchain = fakeModule({
      path: 'golang.org/toolchain',
      version: 'v0.0.1-go1.99.0.linux-amd64',
      hasGoMod: false,
    });
    const source = await upstream({ modules: [toolchain] });
    const proxy = await modferry({ upstreams: [source] });
    const answer = await ask(proxy.url, `/golang.org/toolchain/@v/${toolchain.version}.zip`, {
      timeoutMs: 60_000,
    });
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining('sum.golang.org') });
    expect(await storedZips(proxy.dataDir)).toEqual([]);
    await using project = await goProject();
    const go = await runGo(['version'], {
      cwd: project.path,
      env: { GOPROXY: proxy.url, GOSUMDB: 'off', GOTOOLCHAIN: 'go1.99.0' },
    });
    expect(go.code).not.toBe(0);
  });
});
