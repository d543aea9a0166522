import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../gomod/module-path.ts';
import { keyOf, put, putVersion, sha256Of, versionOf } from '../store/contract/kit.ts';
import { StoreError } from '../store/store-error.ts';
import type { Operation } from './operation.ts';
import { contextOf, makeTestProxy, textOf } from './test-proxy.ts';

const path = parseModulePath('example.com/a');
const version = versionOf('v1.0.0');
const list: Operation = { kind: 'list', path };
const latest: Operation = { kind: 'latest', path };
const info = '{"Version":"v1.0.0"}';

function mod(of: string): Operation {
  return { kind: 'artifact', key: { path, version: versionOf(of), ext: 'mod' } };
}

describe('explain', () => {
  it('tells what is stored, who lists it and how fresh that is, without asking anybody', async () => {
    const test = await makeTestProxy();
    await put(test.store, keyOf(path, version, 'mod'), 'module example.com/a\n', {
      h1: 'h1:x',
      source: 'one',
    });
    test.sources.says = (target) => (target.endsWith('/list') ? 'v1.0.0\nv1.1.0\n' : info);
    await test.proxy.handle(list, contextOf());
    await test.proxy.handle(latest, contextOf());
    await test.clock.advance(61_500);
    const before = test.upstream.asked.length;

    const facts = await test.proxy.explain(path, version);

    expect(facts).toEqual({
      module: path,
      version,
      isOffline: false,
      artifacts: {
        info: { state: 'absent' },
        mod: {
          state: 'stored',
          source: 'one',
          storedAtMs: expect.any(Number),
          sizeBytes: 21,
          sha256: sha256Of('module example.com/a\n'),
          h1: 'h1:x',
        },
        zip: { state: 'absent' },
      },
      completeVersions: 0,
      list: {
        state: 'stale',
        confirmedAtMs: test.clock.now() - 61_500,
        ageS: 61,
        isRefreshing: false,
        lastFailure: null,
        sources: { played: 2 },
        listedBy: ['played'],
      },
      latest: {
        state: 'stale',
        confirmedAtMs: test.clock.now() - 61_500,
        ageS: 61,
        isRefreshing: false,
        lastFailure: null,
        version,
        source: 'played',
      },
      negatives: [],
      withdrawnForS: null,
    });
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
    expect(test.upstream.asked).toHaveLength(before);
  });

  it('knows nothing of a module nobody asked for', async () => {
    const test = await makeTestProxy();

    expect(await test.proxy.explain(path)).toMatchObject({
      version: null,
      artifacts: {},
      completeVersions: 0,
      list: null,
      latest: null,
      negatives: [],
    });
    expect(test.upstream.asked).toEqual([]);
  });

  it('tells how the last refresh failed', async () => {
    const test = await makeTestProxy();
    test.sources.says = () => 'v1.0.0\n';
    await test.proxy.handle(list, contextOf());
    await test.clock.advance(700_000);
    test.sources.says = () => ({ error: 'connect' });
    await test.proxy.handle(list, contextOf());

    expect((await test.proxy.explain(path)).list).toMatchObject({
      state: 'error',
      lastFailure: expect.stringContaining('no source could answer'),
    });
  });

  it('tells absences in force with the seconds they have left, and a withdrawn version', async () => {
    const test = await makeTestProxy();
    test.sources.says = (target) => (target.endsWith('/list') ? 'v1.0.0\nv1.1.0\n' : undefined);
    await test.proxy.handle(list, contextOf());
    await expect(test.proxy.handle(mod('v1.0.0'), contextOf())).rejects.toMatchObject({ code: 'absent' });
    await expect(test.proxy.handle(latest, contextOf())).rejects.toMatchObject({ code: 'absent' });
    await test.clock.advance(10_400);

    const facts = await test.proxy.explain(path, version);

    expect(facts.withdrawnForS).toBe(590);
    expect(facts.negatives).toEqual(
      expect.arrayContaining([
        { what: 'latest', code: 'absent', message: expect.any(String), isPartial: false, leftS: 20 },
        { what: 'v1.0.0.mod', code: 'absent', message: expect.any(String), isPartial: false, leftS: 50 },
      ]),
    );
    await test.clock.advance(60_000);
    expect((await test.proxy.explain(path, version)).negatives).toEqual([]);
  });

  it('tells that a stored file is rotten, and goes on when the disk fails', async () => {
    const test = await makeTestProxy();
    test.store.open = () => Promise.reject(new StoreError('rotten', 'the hash differs'));
    test.store.completeVersions = () => Promise.reject(new StoreError('io', 'EIO'));

    expect(await test.proxy.explain(path, version)).toMatchObject({
      artifacts: { zip: { state: 'rotten', reason: 'the hash differs' } },
      completeVersions: null,
    });
  });
});

describe('clearNegatives', () => {
  it('forgets what was absent of one module, puts its versions back into the list, and counts both', async () => {
    const test = await makeTestProxy();
    const other = parseModulePath('example.com/ab');
    test.sources.says = (target) => (target.endsWith('/list') ? 'v1.0.0\nv1.1.0\n' : undefined);
    await test.proxy.handle(list, contextOf());
    await expect(test.proxy.handle(mod('v1.0.0'), contextOf())).rejects.toMatchObject({ code: 'absent' });
    await expect(test.proxy.handle({ kind: 'latest', path: other }, contextOf())).rejects.toThrow();
    expect(textOf(await test.proxy.handle(list, contextOf()))).toBe('v1.1.0\n');

    expect(test.proxy.clearNegatives(path)).toBe(2);
    expect(test.proxy.clearNegatives(path)).toBe(0);

    test.sources.says = (target) => (target.endsWith('.mod') ? 'module example.com/a\n' : undefined);
    expect(textOf(await test.proxy.handle(list, contextOf()))).toBe('v1.0.0\nv1.1.0\n');
    expect(textOf(await test.proxy.handle(mod('v1.0.0'), contextOf()))).toBe('module example.com/a\n');
    expect(test.proxy.clearNegatives(other)).toBe(1);
  });

  it('does not count what was over already', async () => {
    const test = await makeTestProxy();
    await putVersion(test.store, 'example.com/z', 'v1.0.0');
    await expect(test.proxy.handle(latest, contextOf())).rejects.toMatchObject({ code: 'absent' });
    await test.clock.advance(30_000);

    expect(test.proxy.clearNegatives(path)).toBe(0);
  });
});
