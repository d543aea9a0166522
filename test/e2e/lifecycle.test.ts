/**
 * The process itself: how it stops with transfers under way, how it takes a new configuration, and what it says
 * when it cannot start.
 */
import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { gate, hold } from '../kit/faults.ts';
import { openRaw } from '../kit/raw-http.ts';
import { ask, eventually, expectCleanStore, folder, modferry, runModferry, upstream } from './support.ts';

const module = fakeModule({ path: 'example.com/m', paddingBytes: 512 * 1024 });
const zipPath = '/example.com/m/@v/v1.0.0.zip';
const half = Math.floor(module.zip.length / 2);

async function heldTransfer(server: Record<string, string> = {}) {
  const middle = gate();
  const source = await upstream({ modules: [module], rules: [{ match: '.zip', fault: hold(half, middle) }] });
  const proxy = await modferry({
    upstreams: [source],
    config: { server },
    env: { MODFERRY_INGEST_HOLD: '50ms' },
  });
  const begun = Promise.withResolvers<void>();
  const client = ask(proxy.url, zipPath, { onData: () => begun.resolve() });
  await begun.promise;
  return { middle, source, proxy, client };
}

describe('SIGTERM', () => {
  it('lets a transfer under way finish, refuses new connections, and ends with 0', async () => {
    const { middle, proxy, client } = await heldTransfer();
    proxy.signal('SIGTERM');
    await proxy.waitForLine(/stopping/);
    await eventually(
      () =>
        openRaw(proxy.port).then(
          (raw) => (raw.destroy(), 'open'),
          () => 'refused',
        ),
      (state) => state === 'refused',
    );
    middle.open();

    const answer = await client;
    expect(answer.complete).toBe(true);
    expect(answer.body.equals(module.zip)).toBe(true);
    expect(await proxy.exited).toEqual({ code: 0, signal: null });
    await expectCleanStore(proxy.dataDir);
    // The line of a request that ended while stopping is not lost.
    expect(proxy.stderr()).toMatch(/"artifact":"zip"[^\n]*"status":200/);
  });

  it('keeps accepting for drain_wait while /readyz says 503 and /healthz 200', async () => {
    const { middle, proxy, client } = await heldTransfer({ drain_wait: '2s' });
    expect((await ask(proxy.url, '/readyz')).status).toBe(200);
    proxy.signal('SIGTERM');
    await proxy.waitForLine(/stopping/);
    const ready = await eventually(
      () => ask(proxy.url, '/readyz'),
      ({ status }) => status === 503,
    );
    expect(ready.text).toBe('stopping\n');
    expect((await ask(proxy.url, '/healthz')).status).toBe(200);
    expect((await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod')).status).toBe(200);
    middle.open();
    expect((await client).complete).toBe(true);
    expect(await proxy.exited).toEqual({ code: 0, signal: null });
  });

  it('cuts what is not done within the drain time', async () => {
    const { proxy, client } = await heldTransfer({ drain: '300ms' });
    expect(await proxy.stop()).toEqual({ code: 0, signal: null });
    expect((await client).complete).toBe(false);
  });

  it('stops at once on a second signal, with the transfer cut', async () => {
    const { proxy, client } = await heldTransfer();
    proxy.signal('SIGTERM');
    await proxy.waitForLine(/stopping/);
    proxy.signal('SIGTERM');
    // The drain time of 30 s is far longer than stop() waits before it fails.
    const exit = await proxy.exited;
    expect(exit.signal).toBeNull();
    expect((await client).complete).toBe(false);
  });

  it('ends with idle keep-alive connections open', async () => {
    const proxy = await modferry({ upstreams: ['http://127.0.0.1:9'] });
    await using idle = await openRaw(proxy.port);
    await idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.waitFor(/ok\n$/);
    expect(await proxy.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await idle.ended).toBe('fin');
  });
});

describe('SIGHUP', () => {
  const other = fakeModule({ path: 'example.com/other' });

  async function reloadable() {
    const first = await upstream();
    const second = await upstream({ modules: [other] });
    const proxy = await modferry({ upstreams: [first] });
    const write = (config: unknown) => writeFile(proxy.configFile ?? '', JSON.stringify(config));
    return { first, second, proxy, write };
  }

  it('puts a good configuration in force: the new upstream is used and remembered absences are forgotten', async () => {
    const { second, proxy, write } = await reloadable();
    expect((await ask(proxy.url, '/example.com/other/@v/v1.0.0.mod')).status).toBe(404);
    await write({ upstreams: [second.url] });
    proxy.signal('SIGHUP');
    await proxy.waitForLine(/configuration applied/);
    expect(await ask(proxy.url, '/example.com/other/@v/v1.0.0.mod')).toMatchObject({
      status: 200,
      body: other.mod,
    });
  });

  it('refuses a bad one with its fault, and the old one goes on', async () => {
    const { first, second, proxy, write } = await reloadable();
    await write({ upstreams: [second.url], upstreamz: [], listen: 'nowhere' });
    proxy.signal('SIGHUP');
    await proxy.waitForLine(/configuration refused/);
    await proxy.waitForLine(/upstreamz/);
    expect((await ask(proxy.url, '/example.com/other/@v/v1.0.0.mod')).status).toBe(404);
    expect(first.count('.mod')).toBe(1);
    expect(second.requests).toHaveLength(0);
  });

  it('warns of a setting that needs a restart', async () => {
    const { second, proxy, write } = await reloadable();
    await write({ upstreams: [second.url], path_prefix: '/other' });
    proxy.signal('SIGHUP');
    await proxy.waitForLine(/pathPrefix|path_prefix/);
    await proxy.waitForLine(/restart/);
    expect((await ask(proxy.url, '/example.com/other/@v/v1.0.0.mod')).status).toBe(200);
  });

  it('does not disturb a transfer under way', async () => {
    const { middle, proxy, client, source } = await heldTransfer();
    await writeFile(
      proxy.configFile ?? '',
      JSON.stringify({ upstreams: [source.url], ingest: { tail: '128KiB' } }),
    );
    proxy.signal('SIGHUP');
    await proxy.waitForLine(/configuration applied/);
    middle.open();
    expect((await client).body.equals(module.zip)).toBe(true);
  });
});

describe('a start that cannot be', () => {
  it('names the port that is in use, and ends with 1', async () => {
    const proxy = await modferry({ upstreams: ['http://127.0.0.1:9'] });
    const data = await folder('data');
    const second = await runModferry([
      'serve',
      '--listen',
      `127.0.0.1:${proxy.port}`,
      '--data',
      data.path,
      '--upstream',
      'off',
    ]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`127.0.0.1:${proxy.port} is in use`);
    expect(second.stderr).toContain('--listen');
    expect(second.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('names an unknown MODFERRY_ variable with a suggestion, and ends with 78', async () => {
    const data = await folder('data');
    const result = await runModferry(['serve', '--listen', '127.0.0.1:0', '--data', data.path], {
      env: { MODFERRY_UPSTREM: 'off' },
    });
    expect(result.code).toBe(78);
    expect(result.stderr).toContain('MODFERRY_UPSTREM');
    expect(result.stderr).toContain('MODFERRY_UPSTREAM');
  });

  it('names a data folder that cannot be made', async () => {
    const data = await folder('data');
    await writeFile(`${data.path}/file`, '');
    const result = await runModferry([
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--data',
      `${data.path}/file/data`,
      '--upstream',
      'off',
    ]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`${data.path}/file/data`);
    expect(result.stderr).not.toContain('unexpected');
  });
});
