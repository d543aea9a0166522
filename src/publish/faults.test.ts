/** Uploads that are broken off in the middle of being published: by a fault of the disk, or by the end of the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { smallTmpfs } from '../../test/kit/temp.ts';
import type { ArtifactExt } from '../gomod/types.ts';
import type { Staged, Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import { steps } from './crash-child.ts';
import { libModule, mebibyte, modulePath, storeWith, tempFolder, testRegistry, v } from './test-registry.ts';

const lib = libModule();
const other = libModule({ goVersion: '1.22', files: { 'b.go': 'package lib\n' } });

/** The disk is full when this artifact is to be published. */
function fullAt(ext: ArtifactExt, canPurge: boolean): (store: Store) => Store {
  return (store) =>
    storeWith(store, {
      stage: async (key) => {
        const staged = await store.stage(key);
        if (key.ext !== ext) return staged;
        return new Proxy(staged, {
          get(target, name: keyof Staged) {
            if (name === 'publish') return () => Promise.reject(new StoreError('disk_full', 'no space left'));
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
      ...(canPurge ? {} : { purge: () => Promise.reject(new StoreError('io', 'no')) }),
    });
}

describe.each(['mod', 'zip', 'info'] as const)('a disk that is full when the .%s is published', (ext) => {
  it('says so, and nothing of the version stays', async () => {
    const test = await testRegistry({ wrap: fullAt(ext, true) });

    await expect(test.publish(lib.zip)).rejects.toMatchObject({ name: 'PublishError', code: 'disk_full' });
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
  });

  it.each([
    ['the same', lib],
    ['another', other],
  ])(
    'leaves no whole version even where nothing can be removed, and %s upload repairs it',
    async (_, next) => {
      const broken = await testRegistry({ wrap: fullAt(ext, false) });
      await expect(broken.publish(lib.zip)).rejects.toMatchObject({ code: 'disk_full' });
      expect(await broken.store.completeVersions(modulePath)).toEqual([]);

      const test = await broken.other();
      expect(await test.publish(next.zip)).toMatchObject({ outcome: 'published', h1: next.zipH1 });

      expect(await test.stored('v1.0.0', 'zip')).toEqual(next.zip);
      expect(await test.stored('v1.0.0', 'mod')).toEqual(next.mod);
      expect(await test.store.completeVersions(modulePath)).toEqual(['v1.0.0']);
    },
  );
});

/** Runs an upload in a process of its own, which kills itself at this step. */
async function killedAt(folder: string, step: string): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), folder, step], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin.end(lib.zip);
  await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
}

describe('a process that is killed while it publishes', () => {
  it.each(steps.flatMap((step) => [[step, 'the same', lib] as const, [step, 'another', other] as const]))(
    '(%s) leaves a whole version or none, and %s upload is taken or told what there is',
    async (step, _, next) => {
      const folder = tempFolder();
      await killedAt(folder, step);
      // What the dead left locked is free after some seconds; to wait for that once is enough.
      if (step !== 'zip published' || next === other)
        rmSync(join(folder, 'meta/publishing'), { recursive: true });

      const test = await testRegistry({ folder });
      const isWhole = step === 'info published';
      expect(await test.store.completeVersions(modulePath)).toEqual(isWhole ? ['v1.0.0'] : []);
      const result = test.publish(next.zip);

      if (isWhole && next === other) await expect(result).rejects.toMatchObject({ code: 'exists' });
      else await expect(result).resolves.toMatchObject({ outcome: isWhole ? 'present' : 'published' });
      const stored = isWhole ? lib : next;
      expect(await test.stored('v1.0.0', 'zip')).toEqual(stored.zip);
      expect(await test.stored('v1.0.0', 'mod')).toEqual(stored.mod);
      expect(await test.store.completeVersions(modulePath)).toEqual(['v1.0.0']);
      expect(test.registry.tombstoneOf(modulePath, v('v1.0.0'))).toBeUndefined();
    },
    30_000,
  );
});

/** Runs an upload in a process of its own; resolves to what it prints. */
async function publishedBy(folder: string, zip: Buffer): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), folder, 'never'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  child.stdin.end(zip);
  await once(child, 'close');
  return printed;
}

it('of several processes that publish one version at once, one wins', async () => {
  const folder = tempFolder();
  const zips = [lib, other, lib, other];

  const outcomes = await Promise.all(zips.map(({ zip }) => publishedBy(folder, zip)));

  const test = await testRegistry({ folder });
  const stored = await test.stored('v1.0.0', 'zip');
  const winner = stored?.equals(lib.zip) === true ? lib : other;
  expect(stored).toEqual(winner.zip);
  expect(await test.stored('v1.0.0', 'mod')).toEqual(winner.mod);
  const ofWinner = outcomes.filter((_, index) => zips[index] === winner);
  expect(ofWinner.toSorted()).toEqual(['present', 'published']);
  expect(outcomes.filter((_, index) => zips[index] !== winner)).toEqual(['exists', 'exists']);
}, 30_000);

it('a real disk that fills up while the upload comes', async () => {
  const disk = await smallTmpfs(4 * mebibyte);
  onTestFinished(disk.remove);
  const test = await testRegistry({ folder: disk.path });
  const { zip } = libModule({ paddingBytes: 6 * mebibyte });

  const refused = test.publish(zip, 'v1.0.0', { declaredBytes: undefined });

  await expect(refused).rejects.toMatchObject({ name: 'PublishError', code: 'disk_full' });
  expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
  expect(await test.publish(lib.zip)).toMatchObject({ outcome: 'published' });
});
