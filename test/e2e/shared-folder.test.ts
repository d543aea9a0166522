/**
 * Two modferry processes on one data folder (ruling 24): one fetch for both, a purge known to both, and the death
 * of one is no harm to the other.
 */
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { gate, hold } from '../kit/faults.ts';
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

const module = fakeModule({ path: 'example.com/m', paddingBytes: 512 * 1024 });
const path = '/example.com/m/@v/v1.0.0.zip';
const half = Math.floor(module.zip.length / 2);

async function two(rules: Parameters<typeof upstream>[0] = {}) {
  const data = await folder('data');
  const source = await upstream({ modules: [module], ...rules });
  const start = () => modferry({ upstreams: [source], dataDir: data.path });
  return { data, source, first: await start(), second: await start() };
}

describe('two processes on one folder', () => {
  it('ask the upstream once for a zip that is wanted of both at the same time', async () => {
    const middle = gate();
    const { data, source, first, second } = await two({
      rules: [{ match: '.zip', fault: hold(half, middle) }],
    });
    const one = ask(first.url, path);
    await middle.reached;
    const other = ask(second.url, path);
    const late = ask(second.url, path, { method: 'HEAD' });
    // The second process is at work on it, and not at the upstream.
    await ask(second.url, '/example.com/m/@v/v1.0.0.info');
    expect(source.count('.zip')).toBe(1);
    middle.open();

    expect((await one).body.equals(module.zip)).toBe(true);
    expect((await other).body.equals(module.zip)).toBe(true);
    expect((await late).headers['content-length']).toBe(String(module.zip.length));
    expect(source.count('.zip')).toBe(1);
    await first.stop();
    await second.stop();
    await expectCleanStore(data.path);
  });

  it('serve at once what the other one stored', async () => {
    const { source, first, second } = await two();
    for (const ext of ['info', 'mod', 'zip'] as const) {
      await ask(first.url, `/example.com/m/@v/v1.0.0.${ext}`);
      await eventually(
        () => storedZips(first.dataDir),
        (zips) => ext !== 'zip' || zips.length === 1,
      );
      expect((await ask(second.url, `/example.com/m/@v/v1.0.0.${ext}`)).body.equals(module[ext])).toBe(true);
      expect(source.count(`.${ext}`)).toBe(1);
    }
  });

  it('take over when the one that fills is killed', async () => {
    const middle = gate();
    const { data, source, first, second } = await two({
      rules: [{ match: '.zip', times: 1, fault: hold(half, middle) }],
    });
    const lost = ask(first.url, path);
    await middle.reached;
    const other = ask(second.url, path, { timeoutMs: 50_000 });
    await ask(second.url, '/example.com/m/@v/v1.0.0.info');
    expect(source.count('.zip')).toBe(1);
    await first.kill();

    expect((await lost).complete).toBe(false);
    const answer = await other;
    expect(answer.status).toBe(200);
    expect(answer.body.equals(module.zip)).toBe(true);
    expect(source.count('.zip')).toBe(2);
    await second.stop();
    await expectCleanStore(data.path);
    expect(await storedZips(data.path)).toHaveLength(1);
  });

  it('forget within a second what is purged through either of them', async () => {
    const { data, source, first, second } = await two();
    for (const each of [first, second, first, second]) await ask(each.url, path);
    await ask(second.url, '/example.com/m/@v/v1.0.0.mod');
    await eventually(
      () => storedZips(data.path),
      (zips) => zips.length === 1,
    );
    await source.refuse();

    const purged = await runModferry(['purge', '--data', data.path, 'example.com/m@v1.0.0']);
    const purgedAtMs = performance.now();
    expect(purged).toMatchObject({ code: 0, stdout: expect.stringContaining('purged example.com/m@v1.0.0') });
    for (const each of [first, second]) {
      for (const ext of ['zip', 'mod']) {
        await eventually(
          () => ask(each.url, `/example.com/m/@v/v1.0.0.${ext}`),
          ({ status }) => status === 502,
          1500,
        );
      }
    }
    expect(performance.now() - purgedAtMs).toBeLessThan(1500);
  });
});
