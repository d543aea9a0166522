import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../gomod/module-path.ts';
import type { VersionQuery } from '../gomod/types.ts';
import { keyOf, put, putVersion, versionOf } from '../store/contract/kit.ts';
import type { MutableName } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import type { Operation } from './operation.ts';
import { bytesReply, contextOf, hang, makeTestProxy, settle, textOf, until } from './test-proxy.ts';

const path = parseModulePath('example.com/a');
const list: Operation = { kind: 'list', path };
const latest: Operation = { kind: 'latest', path };
const main: Operation = { kind: 'query', path, query: 'main' as VersionQuery };

function infoOf(version: string): string {
  return JSON.stringify({ Version: version, Time: '2024-01-02T03:04:05Z' });
}

function artifact(version: string, ext: 'info' | 'mod' | 'zip', module = path): Operation {
  return { kind: 'artifact', key: { path: module, version: versionOf(version), ext } };
}

type Proxy = Awaited<ReturnType<typeof makeTestProxy>>;

/** Keeps an answer in the store as a source gave it so long ago. */
async function keep(test: Proxy, name: MutableName, body: string, agoMs = 0): Promise<void> {
  await test.store.writeMutable(path, name, {
    body,
    confirmedAtMs: test.clock.now() - agoMs,
    sources: ['played'],
    ...(name === 'list' ? { facts: { bySource: { played: body.split('\n').filter(Boolean) } } } : {}),
  });
}

const day = 86_400_000;

describe('offline', () => {
  async function offline() {
    const test = await makeTestProxy();
    test.sources.says = () => {
      throw new Error('asked while offline');
    };
    test.sources.isOffline = true;
    return test;
  }

  it('serves stored artifacts and says 404 for others, naming the mode', async () => {
    const test = await offline();
    await putVersion(test.store, path, 'v1.0.0');

    for (const ext of ['info', 'mod', 'zip'] as const) {
      const reply = await test.proxy.handle(artifact('v1.0.0', ext), contextOf());
      expect(reply.source).toBe('store');
      if (reply.kind === 'file') await reply.file.close();
      await expect(test.proxy.handle(artifact('v1.1.0', ext), contextOf())).rejects.toMatchObject({
        code: 'not_fetched',
        message: expect.stringContaining('offline mode'),
      });
    }
    await settle();
    expect(test.upstream.asked).toEqual([]);
  });

  it('lists what is stored complete and nothing else, however much sources have listed', async () => {
    const test = await offline();
    await putVersion(test.store, path, 'v1.0.0');
    await put(test.store, keyOf(path, 'v1.1.0', 'mod'), 'module example.com/a\n');
    await keep(test, 'list', 'v1.0.0\nv1.1.0\nv1.2.0\n');

    expect(textOf(await test.proxy.handle(list, contextOf()))).toBe('v1.0.0\n');
    await expect(
      test.proxy.handle({ kind: 'list', path: parseModulePath('example.com/b') }, contextOf()),
    ).rejects.toMatchObject({ code: 'not_fetched', message: expect.stringContaining('offline mode') });
  });

  it('gives the kept @latest when its version is stored complete', async () => {
    const test = await offline();
    for (const version of ['v1.0.0', 'v1.1.0']) await putVersion(test.store, path, version);
    await keep(test, 'latest', infoOf('v1.0.0'), 5 * day);

    expect(textOf(await test.proxy.handle(latest, contextOf()))).toBe(infoOf('v1.0.0'));
  });

  it('computes @latest from what is stored when the kept one cannot be had', async () => {
    const test = await offline();
    await putVersion(test.store, path, 'v1.0.0');
    await put(test.store, keyOf(path, 'v1.1.0', 'info'), infoOf('v1.1.0'));
    await keep(test, 'latest', infoOf('v1.1.0'));

    expect(JSON.parse(textOf(await test.proxy.handle(latest, contextOf())))).toMatchObject({
      Version: 'v1.0.0',
    });
  });

  it('resolves a branch only to a version that is stored complete', async () => {
    const test = await offline();
    await keep(test, 'query:main', infoOf('v1.1.0'));
    await expect(test.proxy.handle(main, contextOf())).rejects.toMatchObject({ code: 'not_fetched' });

    await putVersion(test.store, path, 'v1.1.0');
    expect(textOf(await test.proxy.handle(main, contextOf()))).toBe(infoOf('v1.1.0'));
  });

  it.each([0, 120_000, 5 * day])('refreshes nothing that was confirmed %i ms ago', async (agoMs) => {
    const test = await makeTestProxy();
    await putVersion(test.store, path, 'v1.0.0');
    await keep(test, 'list', 'v1.0.0\n', agoMs);
    await keep(test, 'latest', infoOf('v1.0.0'), agoMs);
    await keep(test, 'query:main', infoOf('v1.0.0'), agoMs);
    test.sources.says = () => hang;
    const kept = [];
    for (const operation of [list, latest, main]) {
      // Made while online, as the hot cache holds them: fresh, stale, or of a dead source.
      test.sources.mayAnswer = false;
      kept.push(bytesReply(await test.proxy.handle(operation, contextOf())));
    }
    await settle();
    const before = test.upstream.asked.length;
    test.sources.isOffline = true;
    await test.clock.advance(120_000);

    for (const reply of kept) reply.refresh?.();
    for (const operation of [list, latest, main]) {
      await test.proxy.handle(operation, contextOf());
      await test.proxy.handle(operation, contextOf({ revalidate: true }));
    }
    await settle();

    expect(test.upstream.asked).toHaveLength(before);
  });

  it('looks ahead at nothing, and drops what waited', async () => {
    const test = await offline();
    await put(test.store, keyOf(path, 'v1.0.0', 'info'), infoOf('v1.0.0'));
    await put(
      test.store,
      keyOf(path, 'v1.0.0', 'mod'),
      'module example.com/a\nrequire example.com/b v1.0.0\n',
    );
    await test.proxy.handle(artifact('v1.0.0', 'info'), contextOf());
    await test.proxy.handle(artifact('v1.0.0', 'mod'), contextOf());
    test.lookAhead.complete(path, versionOf('v1.0.1'));
    test.lookAhead.afterMod(path, Buffer.from('module example.com/a\nrequire example.com/b v1.0.0\n'));
    // Queued while online, run after the mode has changed.
    test.sources.isOffline = false;
    test.lookAhead.complete(path, versionOf('v1.0.2'));
    test.sources.isOffline = true;
    await until(() => test.lookAhead.counts.dropped === 2);

    expect(test.upstream.asked).toEqual([]);
    expect(test.lookAhead.counts).toMatchObject({ started: 0, dropped: 2 });
  });

  it('does not ask for a rotten file, and says that it is rotten', async () => {
    const test = await offline();
    test.store.open = () => Promise.reject(new StoreError('rotten', 'rotten'));

    await expect(test.proxy.handle(artifact('v1.0.0', 'mod'), contextOf())).rejects.toMatchObject({
      code: 'rotten',
    });
    expect(test.upstream.asked).toEqual([]);
  });

  it('asks again as soon as the mode has ended', async () => {
    const test = await offline();
    await expect(test.proxy.handle(latest, contextOf())).rejects.toMatchObject({ code: 'not_fetched' });

    test.sources.isOffline = false;
    test.sources.says = (target) => (target.endsWith('/@latest') ? infoOf('v1.0.0') : undefined);

    expect(textOf(await test.proxy.handle(latest, contextOf()))).toBe(infoOf('v1.0.0'));
  });

  it('keeps its answers ready for no longer than a second', async () => {
    const test = await offline();
    await putVersion(test.store, path, 'v1.0.0');

    const reply = bytesReply(await test.proxy.handle(list, contextOf()));

    expect(reply).toMatchObject({ keep: true, cache: { kind: 'brief', maxAgeS: 0 } });
    if (reply.cache.kind !== 'brief') throw new Error('brief');
    expect(reply.cache.staleUntilMs - test.clock.now()).toBeLessThanOrEqual(1_000);
  });
});

describe('Disable-Module-Fetch', () => {
  it('is answered as offline, and not kept for others', async () => {
    const test = await makeTestProxy();
    await putVersion(test.store, path, 'v1.0.0');
    const context = contextOf({ storedOnly: true });

    for (const operation of [list, latest]) {
      expect(await test.proxy.handle(operation, context)).toMatchObject({ keep: false, source: 'store' });
    }
    await expect(test.proxy.handle(main, context)).rejects.toMatchObject({
      code: 'not_fetched',
      message: expect.stringContaining('fetching was not allowed'),
    });
    expect(test.upstream.asked).toEqual([]);
  });
});

describe('without any upstream configured', () => {
  it('answers list and @latest from what is stored, and tells why it has no more', async () => {
    const test = await makeTestProxy();
    test.sources.areConfigured = false;
    await putVersion(test.store, path, 'v1.0.0');

    expect(textOf(await test.proxy.handle(list, contextOf()))).toBe('v1.0.0\n');
    expect(textOf(await test.proxy.handle(latest, contextOf()))).toContain('v1.0.0');
    await expect(test.proxy.handle(main, contextOf())).rejects.toThrow('no upstream is configured');
    expect(test.upstream.asked).toEqual([]);
  });
});

describe('while every upstream is out', () => {
  async function dead() {
    const test = await makeTestProxy();
    test.sources.says = () => hang;
    test.sources.mayAnswer = false;
    return test;
  }

  it.each([list, latest, main])(
    'serves the old $kind at once with its age, ready for the next asker',
    async (operation) => {
      const test = await dead();
      await keep(test, 'list', 'v1.0.0\nv1.1.0\n', day);
      await keep(test, 'latest', infoOf('v1.1.0'), day);
      await keep(test, 'query:main', infoOf('v1.1.0'), day);

      const reply = bytesReply(await test.proxy.handle(operation, contextOf()));

      expect(textOf(reply)).toContain('v1.1.0');
      expect(reply).toMatchObject({
        keep: true,
        source: 'store',
        cache: { kind: 'brief', ageS: day / 1000 },
      });
      if (reply.cache.kind !== 'brief') throw new Error('brief');
      expect(reply.cache.freshUntilMs).toBe(test.clock.now() + 1_000);
      expect(reply.cache.staleUntilMs).toBe(test.clock.now() + 30_000);
      await settle();
      expect(test.upstream.asked).toHaveLength(1);
      reply.refresh?.();
      await settle();
      expect(test.upstream.asked).toHaveLength(1);
    },
  );

  it('answers a list and @latest that were never asked before from the store at once', async () => {
    const test = await dead();
    await putVersion(test.store, path, 'v1.0.0');

    expect(textOf(await test.proxy.handle(list, contextOf()))).toBe('v1.0.0\n');
    expect(textOf(await test.proxy.handle(latest, contextOf()))).toContain('v1.0.0');
    await test.upstream.untilAsked(2);
    expect(test.upstream.asked.sort()).toEqual(['/example.com/a/@latest', '/example.com/a/@v/list']);
  });

  it('does not say 404 for what it does not know', async () => {
    const test = await dead();
    test.sources.says = () => ({ error: 'connect' });

    for (const operation of [list, latest, main, artifact('v1.0.0', 'mod')]) {
      await expect(test.proxy.handle(operation, contextOf())).rejects.toMatchObject({ isAbsence: false });
    }
  });
});

describe('when the sources fail', () => {
  it('gives the @latest that a source once gave, with its age, before one that could be computed', async () => {
    const test = await makeTestProxy();
    await putVersion(test.store, path, 'v1.0.0');
    await keep(test, 'latest', infoOf('v1.1.0'), day);
    test.sources.says = () => ({ error: 'connect' });

    const reply = bytesReply(await test.proxy.handle(latest, contextOf()));

    expect(textOf(reply)).toBe(infoOf('v1.1.0'));
    expect(reply.cache).toMatchObject({ ageS: day / 1000 });
  });

  it('computes @latest where the sources say that they have none', async () => {
    const test = await makeTestProxy();
    await putVersion(test.store, path, 'v1.0.0');
    await keep(test, 'latest', infoOf('v1.1.0'), day);

    expect(textOf(await test.proxy.handle(latest, contextOf()))).toContain('v1.0.0');
  });

  it('lets an asker of an old list wait no longer than its patience', async () => {
    const test = await makeTestProxy();
    await keep(test, 'list', 'v1.0.0\n', day);
    test.sources.says = () => hang;

    const waiting = test.proxy.handle(list, contextOf());
    await test.upstream.untilAsked(1);
    await test.clock.advance(2_000);

    expect(await waiting).toMatchObject({ cache: { ageS: day / 1000 + 2 } });
  });
});
