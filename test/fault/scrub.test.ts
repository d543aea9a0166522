/** The scrub of a running modferry: finds what the disk has changed, heals it, and goes on after a crash. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { events, get, suspects } from '../e2e/checksums-support.ts';
import { eventually, expectCleanStore, runModferry } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { artifactFile, filledStore, flipBit, setOffline } from './bit-rot.ts';

const modules = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) =>
  fakeModule({ path: `example.com/${name}`, paddingBytes: 40_000 }),
);
const [first, second, third] = modules as [(typeof modules)[0], (typeof modules)[0], (typeof modules)[0]];
/** At once, and as fast as it can. */
const now = { first_after: '0s', rate: 0 };

interface Status {
  readonly state: string;
  readonly artifacts?: number;
  readonly rotten?: number;
  readonly healed?: number;
  readonly quarantined?: number;
  readonly last: Partial<Status> | null;
}

async function status(proxy: ModferryProcess): Promise<Status> {
  const { stdout } = await runModferry(['scrub', 'status', '--json', '--data', proxy.dataDir]);
  return JSON.parse(stdout) as Status;
}

/** Resolves to the report of the first pass that came to its end. */
async function finished(proxy: ModferryProcess): Promise<Partial<Status>> {
  const { last } = await eventually(
    () => status(proxy),
    (told) => told.last !== null,
    60_000,
  );
  return last ?? {};
}

/** A process that was not heard of for a minute has lost the right to scrub. */
async function letAMinutePass(dataDir: string): Promise<void> {
  const file = join(dataDir, 'meta/scrub.json');
  const progress = JSON.parse(await readFile(file, 'utf8')) as { holder: { heartbeatAtMs: number } };
  progress.holder.heartbeatAtMs -= 61_000;
  await writeFile(file, JSON.stringify(progress));
}

describe('the scrub', () => {
  it('finds flipped bits in .zip, .mod and .info and heals them from the source', async () => {
    const store = await filledStore(modules);
    const rotten = [
      [first, 'zip'],
      [second, 'mod'],
      [third, 'info'],
    ] as const;
    for (const [module, ext] of rotten) await flipBit(artifactFile(store.dataDir, module, ext));
    const proxy = await store.start(now);
    expect(await finished(proxy)).toMatchObject({ artifacts: 18, rotten: 3, healed: 3, quarantined: 0 });
    await expectCleanStore(store.dataDir);
    for (const [module, ext] of rotten) {
      const answer = await get(proxy, module, ext);
      expect(answer.body.equals(module[ext]), `${module.path} ${ext}`).toBe(true);
    }
    const found = await suspects(store.dataDir);
    expect(found.map(({ cause, source, artifact }) => `${cause} ${source} ${artifact}`).toSorted()).toEqual([
      'rotten store info',
      'rotten store mod',
      'rotten store zip',
    ]);
    const told = await eventually(
      () => events(store.dataDir),
      (all) => all.filter(({ kind }) => kind === 'healed').length === 3,
    );
    expect(told.filter(({ kind }) => kind === 'rotten')).toHaveLength(3);
    expect(told.find(({ kind, data }) => kind === 'scrub' && data?.['healed'] === 3)).toBeDefined();
  });

  it('without a source takes them out: 502 with the cause, offline too, until a source has a good one', async () => {
    const store = await filledStore([first, second]);
    await flipBit(artifactFile(store.dataDir, first, 'zip'));
    await store.source.refuse();
    const proxy = await store.start(now);
    expect(await finished(proxy)).toMatchObject({ rotten: 1, healed: 0, quarantined: 1 });
    const [suspect] = await suspects(store.dataDir);
    expect(suspect).toMatchObject({ cause: 'rotten', source: 'store', module: first.path, artifact: 'zip' });
    const answer = await get(proxy, first, 'zip');
    expect(answer, answer.text).toMatchObject({ status: 502 });
    await setOffline(store.dataDir);
    const offline = await get(proxy, first, 'zip');
    expect(offline, offline.text).toMatchObject({ status: 502 });
    expect(offline.text).toContain(`in quarantine as ${suspect?.id}`);
    const go = await runGo(['mod', 'download', `${first.path}@v1.0.0`], {
      env: { GOPROXY: `${proxy.url},direct`, GOSUMDB: 'off' },
    });
    // A 404 would have sent it on to direct.
    expect(go).toMatchObject({ code: 1, stderr: expect.stringContaining('502 Bad Gateway') });
    expect(await get(proxy, second, 'zip')).toMatchObject({ status: 200 });

    await runModferry(['mode', 'normal', '--data', store.dataDir]);
    await store.source.listenAgain();
    await eventually(
      () => get(proxy, first, 'zip'),
      ({ status: code, body }) => code === 200 && body.equals(first.zip),
      30_000,
    );
    await expectCleanStore(store.dataDir);
  });

  it('goes on where it was when its process was killed', async () => {
    const store = await filledStore(modules);
    const slow = await store.start({ first_after: '0s', rate: '32KiB' });
    // Progress that is on disk, so that there is something to go on from.
    const before = await eventually(
      () => status(slow),
      ({ artifacts = 0, state }) => artifacts >= 4 && state === 'running',
      60_000,
    );
    expect(before.last).toBeNull();
    const seen = await eventually(
      () => events(store.dataDir, 'scrub'),
      (all) => all.length > 0,
    );
    expect(seen[0]?.data).toMatchObject({ resumed: false });
    await slow.kill();
    await flipBit(artifactFile(store.dataDir, modules.at(-1) ?? first, 'zip'));
    await letAMinutePass(store.dataDir);

    const again = await store.start(now);
    const report = await finished(again);
    expect(report).toMatchObject({ artifacts: 18, rotten: 1, healed: 1 });
    const told = await eventually(
      () => events(store.dataDir, 'scrub'),
      (all) => all.some(({ data }) => data?.['rotten'] === 1),
    );
    expect(told.some(({ data }) => data?.['resumed'] === true)).toBe(true);
    await expectCleanStore(store.dataDir);
  });
});
