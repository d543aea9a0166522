/**
 * Every lie that a checksum database, or a mirror in its place, can tell: nothing is published on its word, the client
 * hears the cause, and what is true is served as soon as anybody tells it, without a restart.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { get, info, proving } from '../e2e/checksums-support.ts';
import { ask, eventually, expectCleanStore, withDefaults } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { startFakeUpstream } from '../kit/fake-upstream.ts';
import { startModferry } from '../kit/modferry-process.ts';
import { hashesOf } from '../kit/module-hashes.ts';
import { type Lie, startSumdbLog } from '../kit/sumdb-log.ts';
import { SHARED_TILE_SIZE } from '../kit/sumdb-log-lies.ts';
import { zipWithOneFileChanged } from '../kit/zip-variants.ts';

const good = fakeModule({ path: 'example.com/lib' });
/** What a mirror would send that is in league with the liar. */
const evil = { ...good, zip: zipWithOneFileChanged(good) };
const { zipH1 } = hashesOf(evil);
const neighbour = fakeModule({ path: 'example.com/neighbour' });

const lies: readonly [name: string, lie: Lie, cause: RegExp][] = [
  ['a wrong hash', { kind: 'wrong_hash', zipH1 }, /not the one in the log/],
  ['the record of another module', { kind: 'no_line' }, /sum\.test\.example/],
  ['hash lines behind the tree in the signed note', { kind: 'line_in_note', zipH1 }, /sum\.test\.example/],
  ['a forged signature', { kind: 'forged_signature' }, /signature|signed/],
  ['a note of another key', { kind: 'wrong_key' }, /signature|signed|key/],
  ['a note without a signature', { kind: 'unsigned' }, /sign/],
  ['a head too old for the record', { kind: 'stale_head', size: 10 }, /not in the tree/],
  ['numbers beyond 2^53', { kind: 'huge_numbers' }, /sum\.test\.example/],
  ['a record beyond 2^53', { kind: 'huge_numbers', what: 'record' }, /sum\.test\.example/],
  ['a tree beyond 2^53', { kind: 'huge_numbers', what: 'tree' }, /sum\.test\.example/],
  ['an absurd tree', { kind: 'huge_numbers', what: 'tree', number: '9'.repeat(400) }, /sum\.test\.example/],
  ['no tiles', { kind: 'missing_tile' }, /sum\.test\.example/],
  ['wrong tiles', { kind: 'wrong_tile', atByte: 8000 }, /sum\.test\.example/],
  ['short tiles', { kind: 'short_tile' }, /sum\.test\.example/],
  ['long tiles', { kind: 'long_tile' }, /sum\.test\.example/],
  ['a tile forged beside those of the root', { kind: 'forged_shared_tiles', zipH1 }, /sum\.test\.example/],
  ['garbage', { kind: 'garbage', text: '\u0000\n\n\nnot a record' }, /sum\.test\.example/],
  ['nothing', { kind: 'garbage', text: '' }, /sum\.test\.example/],
  ['a log-in page', { kind: 'html' }, /sum\.test\.example/],
  ['a 500', { kind: 'status', status: 500 }, /500/],
  ['a 403', { kind: 'status', status: 403 }, /403/],
  ['half of each answer', { kind: 'cut' }, /sum\.test\.example/],
];

/** An honest log away at first, and a mirror whose `/sumdb/` is of a log with the same key and records that lies. */
async function liarInFront(lie: Lie, config: Record<string, unknown> = {}) {
  const resources = new AsyncDisposableStack();
  const logs = [await startSumdbLog({ pad: 300 }), await startSumdbLog({ pad: 300 })] as const;
  for (const log of logs) {
    resources.use(log);
    log.add(good);
    log.add(neighbour);
    log.pad(SHARED_TILE_SIZE - log.size);
  }
  const [honest, liar] = logs;
  liar.lie(lie);
  await honest.server.refuse();
  const source = resources.use(await startFakeUpstream({ modules: [good, neighbour], sumdb: liar.handler }));
  const options = withDefaults({ upstreams: [source], env: proving(honest), config });
  const proxy = resources.use(await startModferry(options));
  return { honest, liar, source, proxy, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Files in the folder that Go would read. */
async function publishedFiles(dataDir: string): Promise<string[]> {
  const all = await readdir(join(dataDir, 'download'), { recursive: true }).catch(() => []);
  return all.filter((name) => /\.(zip|mod)$/.test(name));
}

describe('a mirror that lies in place of the checksum database', () => {
  it.concurrent.each(lies)(
    '%s: nothing is published, and the client hears the cause',
    async (_, lie, cause) => {
      await using world = await liarInFront(lie);
      const { proxy } = world;
      const [zip, mod] = await Promise.all([get(proxy, good, 'zip'), get(proxy, good, 'mod')]);
      for (const answer of [zip, mod]) {
        expect(answer).toMatchObject({ status: 503, complete: true });
        expect(answer.headers['retry-after']).toMatch(/^\d+$/);
        expect(answer.text).toContain('sum.test.example');
        expect(answer.text).toContain('example.com/lib@v1.0.0');
      }
      expect(`${zip.text}${mod.text}`).toMatch(cause);
      expect(await publishedFiles(proxy.dataDir)).toEqual([]);
      expect((await ask(proxy.url, '/readyz')).status).toBe(200);
    },
  );

  it.concurrent.each(lies.filter((_, index) => index % 8 === 0))(
    '%s: the truth is served soon after the database itself is there',
    async (_, lie) => {
      await using world = await liarInFront(lie);
      const { proxy, honest } = world;
      expect(await get(proxy, good, 'zip')).toMatchObject({ status: 503 });
      await honest.server.listenAgain();
      const served = await eventually(
        () => get(proxy, good, 'zip'),
        ({ status }) => status === 200,
        15_000,
      );
      expect(served.body.equals(good.zip)).toBe(true);
      expect(served.headers['x-modferry-proof']).toBe('sumdb sum.test.example 300 768');
      expect(await get(proxy, good, 'mod')).toMatchObject({ status: 200, body: good.mod });
    },
  );

  it('is passed over in the same request when the database itself is there', async () => {
    await using world = await liarInFront({ kind: 'wrong_hash', zipH1 });
    await world.honest.server.listenAgain();
    expect(await get(world.proxy, good, 'zip')).toMatchObject({ status: 200, body: good.zip });
    expect(world.liar.count(`/lookup/${good.path}@v1.0.0`)).toBe(1);
    expect(world.honest.count(`/lookup/${good.path}@v1.0.0`)).toBe(1);
    expect((await info(world.proxy.dataDir, good)).zip).toMatchObject({ proof: { recordId: 300 } });
    await expectCleanStore(world.proxy.dataDir);
  });

  it.concurrent.each(['wrong_hash', 'line_in_note', 'forged_shared_tiles'] as const)(
    'cannot have a changed zip accepted by the lie %s',
    async (kind) => {
      await using world = await liarInFront({ kind, zipH1 });
      world.source.add(evil);
      expect(await get(world.proxy, good, 'zip')).toMatchObject({ status: 503 });
      expect(await publishedFiles(world.proxy.dataDir)).toEqual([]);
    },
  );
});

describe('a database that is slow', () => {
  it('is waited for', async () => {
    await using world = await liarInFront({ kind: 'slow', ms: 300 });
    expect(await get(world.proxy, good, 'zip')).toMatchObject({ status: 200, body: good.zip });
  });

  it('at a mirror, for ever: its own address is asked meanwhile', async () => {
    await using world = await liarInFront({ kind: 'hang' }, { timeouts: { first_byte: { meta: '500ms' } } });
    await world.honest.server.listenAgain();
    const startedMs = performance.now();
    const answer = await get(world.proxy, good, 'zip', { timeoutMs: 100_000 });
    expect(answer).toMatchObject({ status: 200, body: good.zip });
    expect(performance.now() - startedMs).toBeLessThan(20_000);
  });

  it('everywhere, for ever: the client hears of it in the end', async () => {
    const timeouts = { first_byte: { meta: '200ms', zip: '500ms' }, last_hope: '1s' };
    await using world = await liarInFront({ kind: 'hang' }, { timeouts });
    const answer = await get(world.proxy, good, 'zip');
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining('sum.test.example') });
  });
});
