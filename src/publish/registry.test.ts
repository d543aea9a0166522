import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeModuleZip } from '../../test/kit/make-zip.ts';
import { repackedZip } from '../../test/kit/zip-variants.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import {
  chunksOf,
  keyOf,
  libModule,
  mebibyte,
  module,
  modulePath,
  storeWith,
  type TestRegistry,
  testRegistry,
  v,
} from './test-registry.ts';

function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Files of this process that are being received. */
function staging(folder: string): string[] {
  const run = join(folder, 'run');
  return readdirSync(run).flatMap((name) => readdirSync(join(run, name, 'staging')));
}

async function putFromGit(test: TestRegistry, ext: 'mod' | 'zip' | 'info', body: Buffer, h1?: string) {
  const staged = await test.store.stage(keyOf('v1.0.0', ext));
  await staged.write([body]);
  const facts = { sha256: sha256Of(body), source: 'direct', unproven: 'off' } as const;
  await staged.publish(h1 === undefined ? facts : { ...facts, h1 });
  await staged.close();
}

describe('an upload', () => {
  it('finds a place while another publisher holds all that one may have, who is told to come again', async () => {
    const test = await testRegistry({ places: { maxUploadsEach: 1, maxPlaceWaitMs: 20 } });
    const { zip } = libModule();
    const begun = Promise.withResolvers<void>();
    const gone = new AbortController();
    const stalled = expect(
      test.publish(zip, 'v1.0.0', {
        who: 'token:slow',
        signal: gone.signal,
        body: (async function* () {
          begun.resolve();
          await new Promise((_, reject) => {
            gone.signal.addEventListener('abort', () => reject(new Error('gone')));
          });
          yield zip;
        })(),
      }),
    ).rejects.toThrow('gone');
    await begun.promise;
    await expect(test.publish(zip, 'v1.0.0', { who: 'token:slow' })).rejects.toMatchObject({
      name: 'PublishError',
      code: 'busy',
    });
    expect(await test.publish(zip, 'v1.0.0', { who: 'token:ci' })).toMatchObject({ outcome: 'published' });
    gone.abort(new Error('gone'));
    await stalled;
  });

  it('becomes .zip, .mod and .info of the version', async () => {
    const test = await testRegistry();
    const { zip, mod, zipH1, modH1 } = libModule();

    const published = await test.publish(zip);

    expect(published).toEqual({
      path: module,
      version: 'v1.0.0',
      outcome: 'published',
      h1: zipH1,
      goModH1: modH1,
      sizeBytes: zip.length,
    });
    expect(await test.stored('v1.0.0', 'zip')).toEqual(zip);
    expect(await test.stored('v1.0.0', 'mod')).toEqual(mod);
    expect(await test.store.completeVersions(modulePath)).toEqual(['v1.0.0']);
    expect(test.changed).toEqual([`${module}@v1.0.0`]);
  });

  it('is recorded as published and unproven, with the time of the upload in its .info', async () => {
    const test = await testRegistry({ clock: new FakeClock(Date.UTC(2026, 4, 6, 7, 8, 9, 10)) });

    await test.publish(libModule().zip);

    const info = await test.stored('v1.0.0', 'info');
    expect(info?.toString()).toBe('{"Version":"v1.0.0","Time":"2026-05-06T07:08:09Z"}');
    const file = await test.store.open(keyOf('v1.0.0', 'zip'));
    expect(file?.record).toMatchObject({ source: 'published', unproven: 'off' });
    await file?.close();
  });

  it('that is repeated is present, with the same bytes and packed anew alike', async () => {
    const test = await testRegistry();
    const lib = libModule();
    await test.publish(lib.zip);

    expect(await test.publish(lib.zip)).toMatchObject({ outcome: 'present', h1: lib.zipH1 });
    const repacked = repackedZip(lib);
    expect(repacked).not.toEqual(lib.zip);
    expect(await test.publish(repacked)).toMatchObject({ outcome: 'present', sizeBytes: lib.zip.length });
    expect(await test.stored('v1.0.0', 'zip')).toEqual(lib.zip);
    expect(test.changed).toHaveLength(1);
  });

  it('with other content is refused with both hashes, and the first bytes stay', async () => {
    const test = await testRegistry();
    const first = libModule();
    const other = libModule({ files: { 'more.go': 'package lib\n' } });
    await test.publish(first.zip);

    const refused = test.publish(other.zip);

    await expect(refused).rejects.toMatchObject({ name: 'PublishError', code: 'exists' });
    await expect(refused).rejects.toThrow(first.zipH1);
    await expect(refused).rejects.toThrow(other.zipH1);
    expect(await test.stored('v1.0.0', 'zip')).toEqual(first.zip);
  });

  it('counts as present when a source already brought the same, and is refused when it brought another', async () => {
    const test = await testRegistry();
    const git = libModule();
    await putFromGit(test, 'info', git.info);
    await putFromGit(test, 'mod', git.mod, git.modH1);
    await putFromGit(test, 'zip', git.zip, git.zipH1);

    expect(await test.publish(git.zip)).toMatchObject({ outcome: 'present' });
    expect(await test.stored('v1.0.0', 'info')).toEqual(git.info);
    await expect(test.publish(libModule({ files: { a: 'b' } }).zip)).rejects.toMatchObject({
      code: 'exists',
      message: expect.stringContaining('(from direct)'),
    });
  });

  it('does not replace a go.mod that a source brought before the zip', async () => {
    const test = await testRegistry();
    const git = libModule();
    await putFromGit(test, 'mod', git.mod, git.modH1);

    const refused = test.publish(libModule({ goVersion: '1.22' }).zip);

    await expect(refused).rejects.toMatchObject({ code: 'exists' });
    expect(await test.stored('v1.0.0', 'mod')).toEqual(git.mod);
    expect(await test.stored('v1.0.0', 'zip')).toBeUndefined();
  });

  it('heals a stored zip that has rotted, and only with the same content', async () => {
    const test = await testRegistry();
    const lib = libModule();
    await test.publish(lib.zip);
    const file = join(test.folder, 'download', module, '@v', 'v1.0.0.zip');
    writeFileSync(file, Buffer.alloc(lib.zip.length - 1));

    await expect(test.publish(libModule({ files: { a: 'b' } }).zip)).rejects.toMatchObject({
      code: 'rotten',
    });
    expect(await test.publish(lib.zip)).toMatchObject({ outcome: 'present' });
    expect(await test.stored('v1.0.0', 'zip')).toEqual(lib.zip);
  });
});

describe('an upload is refused', () => {
  it.each([
    ['v2.0.0', /no version that corp.test\/lib can have/],
    ['v1.0', /no version that corp.test\/lib can have/],
    ['master', /no version that corp.test\/lib can have/],
    ['-x', /no version that corp.test\/lib can have/],
    ['v2.0.0+incompatible', /\+incompatible is for repositories without a go.mod/],
    ['v0.0.0-20240102030405-abcdef123456', /pseudo-version/],
  ])('for the version %s', async (version, message) => {
    const test = await testRegistry();

    const refused = test.publish(libModule({ version }).zip, version);

    await expect(refused).rejects.toMatchObject({ code: 'invalid' });
    await expect(refused).rejects.toThrow(message);
  });

  it('but for a pseudo-version where they are allowed', async () => {
    const test = await testRegistry({ upload: { allowPseudo: true } });
    const version = 'v0.0.0-20240102030405-abcdef123456';

    expect(await test.publish(libModule({ version }).zip, version)).toMatchObject({ outcome: 'published' });
  });

  it.each([
    ['without a go.mod', { 'a.go': 'package a\n' }, /the zip has no go\.mod; add one/],
    [
      'whose go.mod declares another path',
      { 'go.mod': 'module corp.test/other\n' },
      /declares "corp.test\/other"/,
    ],
    [
      'whose go.mod declares a sub-path',
      { 'go.mod': `module ${module}/sub\n` },
      /declares "corp.test\/lib\/sub"/,
    ],
    ['whose go.mod differs in case', { 'go.mod': 'module corp.test/Lib\n' }, /declares "corp.test\/Lib"/],
    ['whose go.mod has no module line', { 'go.mod': 'go 1.22\n' }, /no module line/],
    ['whose go.mod has two', { 'go.mod': `module ${module}\nmodule ${module}\n` }, /a second module line/],
    ['whose go.mod is no text', { 'go.mod': Buffer.from([0x6d, 0xff, 0xfe]) }, /not UTF-8/],
    ['whose go.mod is empty', { 'go.mod': '' }, /no module line/],
    ['with a second go.mod below', { 'go.mod': `module ${module}\n`, 'b/go.mod': 'module b\n' }, /go\.mod/],
  ])('for a zip %s', async (_, files, message) => {
    const test = await testRegistry();

    const refused = test.publish(makeModuleZip(module, 'v1.0.0', files));

    await expect(refused).rejects.toMatchObject({ name: 'PublishError', code: 'invalid' });
    await expect(refused).rejects.toThrow(message);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
    expect(staging(test.folder)).toEqual([]);
  });

  it('as soon as its declared size is over the limit, without reading', async () => {
    const test = await testRegistry({ upload: { limits: { zipBytes: 1000 } } });
    let isRead = false;
    // oxlint-disable-next-line require-yield
    const body = (async function* () {
      isRead = true;
      await Promise.resolve();
      throw new Error('read');
    })();

    await expect(
      test.publish(Buffer.alloc(0), 'v1.0.0', { body, declaredBytes: 1001 }),
    ).rejects.toMatchObject({
      code: 'too_large',
    });
    expect(isRead).toBe(false);
  });

  it('as soon as its real size is over the limit', async () => {
    const test = await testRegistry({ upload: { limits: { zipBytes: 2 * mebibyte } } });
    let sentBytes = 0;
    const endless = (async function* () {
      for (;;) {
        await Promise.resolve();
        sentBytes += 65_536;
        yield Buffer.alloc(65_536);
      }
    })();

    const refused = test.publish(Buffer.alloc(0), 'v1.0.0', { body: endless, declaredBytes: undefined });

    await expect(refused).rejects.toMatchObject({ code: 'too_large' });
    expect(sentBytes).toBeLessThanOrEqual(2 * mebibyte + 2 * 65_536);
    expect(staging(test.folder)).toEqual([]);
  });

  it('when the disk has less left than it declares', async () => {
    const test = await testRegistry({ upload: { limits: { zipBytes: Number.MAX_SAFE_INTEGER } } });

    const refused = test.publish(Buffer.alloc(0), 'v1.0.0', { declaredBytes: 2 ** 52 });

    await expect(refused).rejects.toMatchObject({ name: 'PublishError', code: 'disk_full' });
  });

  it('and leaves nothing behind when the client goes away in the middle', async () => {
    const test = await testRegistry();
    const { zip } = libModule({ paddingBytes: mebibyte });
    const body = (async function* () {
      yield* chunksOf(zip.subarray(0, mebibyte / 2));
      throw new Error('the connection ended');
    })();

    await expect(test.publish(zip, 'v1.0.0', { body })).rejects.toThrow('the connection ended');
    expect(staging(test.folder)).toEqual([]);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
  });

  it('and ends at once when it is aborted while nothing comes', async () => {
    const test = await testRegistry();
    const abort = new AbortController();
    const silent: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          setImmediate(() => abort.abort(new Error('gone')));
          return new Promise(() => {});
        },
      }),
    };

    const refused = test.publish(Buffer.alloc(0), 'v1.0.0', {
      body: silent,
      declaredBytes: 5,
      signal: abort.signal,
    });

    await expect(refused).rejects.toThrow('gone');
    expect(staging(test.folder)).toEqual([]);
  });
});

describe('two uploads of one version at once', () => {
  const first = libModule();
  const second = libModule({ files: { 'other.go': 'package lib\n\nconst Other = true\n' } });
  const third = libModule({ goVersion: '1.22' });

  it.each([
    ['other files', first, second],
    ['other go.mod files', first, third],
  ])('with %s: one wins in one process', async (_, one, other) => {
    const test = await testRegistry();

    const results = await Promise.allSettled([test.publish(one.zip), test.publish(other.zip)]);

    const winner = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(results[1 - winner]).toMatchObject({ reason: { code: 'exists' } });
    const stored = winner === 0 ? one : other;
    expect(await test.stored('v1.0.0', 'zip')).toEqual(stored.zip);
    expect(await test.stored('v1.0.0', 'mod')).toEqual(stored.mod);
  });

  it('one wins among several processes, round after round', async () => {
    const here = await testRegistry();
    const there = await here.other();
    for (let round = 0; round < 8; round += 1) {
      const version = `v1.${round}.0`;
      const zips = [first, third, second].map((lib) =>
        makeModuleZip(module, version, { 'go.mod': lib.mod, 'a.go': lib.zip.toString('hex') }),
      );

      const results = await Promise.allSettled(
        zips.map((zip, index) => (index % 2 === 0 ? here : there).publish(zip, version)),
      );

      const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exists' });
      }
      expect(await there.stored(version, 'zip')).toEqual(zips[winners[0] ?? 0]);
    }
  });

  it('with the same content: one is published, one is present', async () => {
    const here = await testRegistry();
    const there = await here.other();

    const results = await Promise.all([here.publish(first.zip), there.publish(repackedZip(first))]);

    expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['present', 'published']);
  });
});

describe('unpublish', () => {
  it('removes the version and keeps its name with who, when and why', async () => {
    const clock = new FakeClock(Date.UTC(2026, 1, 3));
    const test = await testRegistry({ clock });
    await test.publish(libModule().zip);

    const tombstone = await test.registry.unpublish(modulePath, v('v1.0.0'), ' leaked a key ', 'user:alice');

    const expected = {
      path: module,
      version: 'v1.0.0',
      reason: 'leaked a key',
      who: 'user:alice',
      atMs: clock.now(),
    };
    expect(tombstone).toEqual(expected);
    expect(test.registry.tombstoneOf(modulePath, v('v1.0.0'))).toEqual(expected);
    expect(test.registry.tombstones(modulePath)).toEqual([expected]);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
    expect(test.changed).toHaveLength(2);
  });

  it('leaves the name taken: the same content is refused with the reason', async () => {
    const test = await testRegistry();
    const { zip } = libModule();
    await test.publish(zip);
    await test.registry.unpublish(modulePath, v('v1.0.0'), 'leaked a key', 'user:alice');

    const refused = test.publish(zip);

    await expect(refused).rejects.toMatchObject({ code: 'tombstone' });
    await expect(refused).rejects.toThrow(/by user:alice \(leaked a key\)/);
    expect(await test.publish(libModule({ version: 'v1.0.1' }).zip, 'v1.0.1')).toMatchObject({
      outcome: 'published',
    });
  });

  it('refuses an upload that was under way when it happened, in another process too', async () => {
    const here = await testRegistry();
    const there = await here.other();
    const { zip } = libModule();
    await here.publish(zip);
    const body = (async function* () {
      yield zip.subarray(0, 100);
      await there.registry.unpublish(modulePath, v('v1.0.0'), 'no', 'user:bob');
      yield zip.subarray(100);
    })();

    await expect(here.publish(zip, 'v1.0.0', { body })).rejects.toMatchObject({ code: 'tombstone' });
    expect(await here.store.holdsAnyOf(modulePath)).toBe(false);
  });

  it('is known to every process within two seconds, and after a restart', async () => {
    const here = await testRegistry();
    const there = await here.other();
    await here.publish(libModule().zip);

    const purged = new Promise((resolve) => there.store.onPurge(resolve));
    await here.registry.unpublish(modulePath, v('v1.0.0'), 'no', 'user:bob');
    await purged;
    await expect
      .poll(() => there.registry.tombstoneOf(modulePath, v('v1.0.0'))?.reason, { timeout: 2_000 })
      .toBe('no');

    const later = await here.other();
    expect(later.registry.tombstoneOf(modulePath, v('v1.0.0'))?.reason).toBe('no');
  });

  it('twice keeps the first reason', async () => {
    const test = await testRegistry();
    await test.publish(libModule().zip);
    await test.registry.unpublish(modulePath, v('v1.0.0'), 'first', 'user:a');

    const again = await test.registry.unpublish(modulePath, v('v1.0.0'), 'second', 'user:b');

    expect(again).toMatchObject({ reason: 'first', who: 'user:a' });
    expect(test.registry.tombstones(modulePath)).toHaveLength(1);
  });

  it('is refused for what is not there, and for what a source brought', async () => {
    const test = await testRegistry();
    await expect(test.registry.unpublish(modulePath, v('v1.0.0'), 'x', 'u')).rejects.toMatchObject({
      code: 'absent',
    });
    const git = libModule();
    await putFromGit(test, 'info', git.info);
    await putFromGit(test, 'mod', git.mod, git.modH1);
    await putFromGit(test, 'zip', git.zip, git.zipH1);

    await expect(test.registry.unpublish(modulePath, v('v1.0.0'), 'x', 'u')).rejects.toMatchObject({
      code: 'absent',
      message: expect.stringContaining('modferry purge'),
    });
    expect(await test.stored('v1.0.0', 'zip')).toEqual(git.zip);
  });

  it.each([
    ['', 'a reason is needed'],
    ['  ', 'a reason is needed'],
    ['a\nb', 'control characters'],
    ['\u001b[2J', 'control characters'],
    ['x'.repeat(501), 'longer than 500'],
  ])('needs a reason that can be shown (%j)', async (reason, message) => {
    const test = await testRegistry();
    await test.publish(libModule().zip);

    const refused = test.registry.unpublish(modulePath, v('v1.0.0'), reason, 'u');

    await expect(refused).rejects.toMatchObject({ code: 'invalid' });
    await expect(refused).rejects.toThrow(message);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(true);
  });

  it('removes at the next start what a crash left of a version that was taken back', async () => {
    const test = await testRegistry();
    const lib = libModule();
    await test.publish(lib.zip);
    const failing = await test.other({
      wrap: (store) => storeWith(store, { purge: () => Promise.reject(new Error('killed')) }),
    });
    await expect(failing.registry.unpublish(modulePath, v('v1.0.0'), 'no', 'u')).rejects.toThrow('killed');
    expect(await test.stored('v1.0.0', 'zip')).toEqual(lib.zip);

    const next = await test.other();
    await next.registry.settled;

    expect(await next.store.holdsAnyOf(modulePath)).toBe(false);
  });
});

it('names that mean something to objects are names like others', async () => {
  const test = await testRegistry();
  const path = parseModulePath('corp.test/__proto__');

  expect(test.registry.tombstones(path)).toEqual([]);
  expect(test.registry.tombstoneOf(path, v('v1.0.0'))).toBeUndefined();
});
