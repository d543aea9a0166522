import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import type { PurgeOrder } from './purge-stored.ts';
import { purgeOnFolder } from './purge-stored.ts';
import {
  libModule,
  module,
  modulePath,
  storeWith,
  type TestRegistry,
  testRegistry,
  v,
} from './test-registry.ts';

const lib = libModule();
const other = libModule({ goVersion: '1.22', files: { 'b.go': 'package lib\n' } });

function order(changes: Partial<PurgeOrder> = {}): PurgeOrder {
  return { path: modulePath, version: v('v1.0.0'), isForced: false, who: 'local', ...changes };
}

/** As a fill would have published it. */
async function fetched(test: TestRegistry, version: string): Promise<void> {
  const bodies = { info: Buffer.from(`{"Version":"${version}"}`), mod: lib.mod, zip: lib.zip };
  for (const ext of ['info', 'mod', 'zip'] as const) {
    const staged = await test.store.stage({ path: modulePath, version: v(version), ext });
    await staged.write([bodies[ext]]);
    await staged.publish({ sha256: '0'.repeat(64), source: 'direct', unproven: 'off' });
    await staged.close();
  }
}

describe.each([
  ['a registry', (test: TestRegistry, what: PurgeOrder) => test.registry.purge(what)],
  [
    'nothing but the folder',
    (test: TestRegistry, what: PurgeOrder) =>
      purgeOnFolder(what, test.store, join(test.folder, 'meta'), systemClock),
  ],
] as const)('a purge through %s', (_, purge) => {
  it('refuses a version that was published here, and points to unpublish', async () => {
    const test = await testRegistry();
    await test.publish(lib.zip);
    await expect(purge(test, order())).rejects.toMatchObject({
      code: 'published_here',
      message: expect.stringMatching(
        /^corp\.test\/lib@v1\.0\.0 was published here .* modferry unpublish corp\.test\/lib@v1\.0\.0 --reason …, or purge with --force/,
      ),
    });
    expect(await test.stored('v1.0.0', 'zip')).toEqual(lib.zip);
  });

  it('refuses a module of which one version was published here', async () => {
    const test = await testRegistry();
    await fetched(test, 'v0.9.0');
    await test.publish(lib.zip);
    await expect(purge(test, order({ version: undefined }))).rejects.toMatchObject({
      code: 'published_here',
      message: expect.stringContaining(`${module} has versions that were published here (v1.0.0)`),
    });
    expect(await test.store.completeVersions(modulePath)).toHaveLength(2);
  });

  it.each([
    ['version', order({ isForced: true })],
    ['module', order({ version: undefined, isForced: true })],
  ])('of a %s by force leaves the name taken', async (_kind, forced) => {
    const test = await testRegistry();
    await test.publish(lib.zip);
    expect(await purge(test, forced)).toMatchObject({ removedVersions: 1, tombstones: 1 });
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
    await expect(test.publish(other.zip)).rejects.toMatchObject({ code: 'tombstone' });
    await expect(test.publish(lib.zip)).rejects.toMatchObject({ code: 'tombstone' });
    expect(test.registry.tombstoneOf(modulePath, v('v1.0.0'))).toMatchObject({
      reason: 'purged',
      who: 'local',
    });
  });

  it('takes what was fetched as before, and leaves no tombstone', async () => {
    const test = await testRegistry();
    await fetched(test, 'v1.0.0');
    expect(await purge(test, order({ isForced: true }))).toMatchObject({
      removedVersions: 1,
      tombstones: 0,
    });
    await fetched(test, 'v1.0.0');
    expect(await purge(test, order({ version: undefined }))).toMatchObject({ removedVersions: 1 });
    expect(existsSync(join(test.folder, 'meta', 'tombstones.jsonl'))).toBe(false);
  });

  it('knows what was published here although the disk has spoilt it', async () => {
    const test = await testRegistry();
    await test.publish(lib.zip);
    const folder = join(test.folder, 'download', module, '@v');
    for (const ext of ['info', 'mod', 'zip']) writeFileSync(join(folder, `v1.0.0.${ext}`), 'rot');
    const { registry } = await test.other();
    await expect(registry.purge(order())).rejects.toMatchObject({ code: 'published_here' });
  });
});

it('a purge of what was taken back already needs no force', async () => {
  const test = await testRegistry({
    wrap: (store) => storeWith(store, { purge: () => Promise.reject(new Error('broken off')) }),
  });
  await test.publish(lib.zip);
  await expect(test.registry.unpublish(modulePath, v('v1.0.0'), 'leaked a key', 'token:ops')).rejects.toThrow(
    'broken off',
  );
  expect(await purgeOnFolder(order(), test.store, join(test.folder, 'meta'), systemClock)).toMatchObject({
    removedVersions: 1,
    tombstones: 0,
  });
  expect(test.registry.tombstoneOf(modulePath, v('v1.0.0'))).toMatchObject({ reason: 'leaked a key' });
});

it('a purge takes what an upload left that did not become whole', async () => {
  const test = await testRegistry();
  await test.publish(lib.zip);
  rmSync(join(test.folder, 'download', module, '@v', 'v1.0.0.info'));
  expect(await test.registry.purge(order())).toMatchObject({ tombstones: 0 });
  expect(await test.publish(other.zip)).toMatchObject({ outcome: 'published' });
});
