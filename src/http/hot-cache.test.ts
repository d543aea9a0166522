import { describe, expect, it } from 'vitest';
import { HotCache, type HotEntry } from './hot-cache.ts';

function entry(bytes: number, mutableOf?: string): HotEntry {
  return {
    body: Buffer.alloc(bytes),
    headers: [],
    etag: '"x"',
    lastModifiedMs: undefined,
    counter: { requests: 0, bytes: 0 },
    logTail: '',
    freshUntilMs: Number.POSITIVE_INFINITY,
    staleUntilMs: Number.POSITIVE_INFINITY,
    refresh: undefined,
    mutableOf,
  };
}

describe('HotCache', () => {
  it('stays within its bytes by dropping what was not asked lately', () => {
    const cache = new HotCache(25_000);
    for (let index = 0; index < 20; index += 1) cache.put(`/${index}`, entry(9_000));

    expect(cache.bytes).toBeLessThanOrEqual(25_000);
    expect(cache.get('/19')).toBeDefined();
    expect(cache.get('/0')).toBeUndefined();
  });

  it('forgets the list of one module and nothing else', () => {
    const cache = new HotCache(1_000_000);
    cache.put('/a/@v/list', entry(1, 'a'));
    cache.put('/a/@latest', entry(1, 'a'));
    cache.put('/a/@v/v1.0.0.mod', entry(1));
    cache.put('/b/@v/list', entry(1, 'b'));

    cache.forgetMutable('a');

    expect(cache.get('/a/@v/list')).toBeUndefined();
    expect(cache.get('/a/@latest')).toBeUndefined();
    expect(cache.get('/a/@v/v1.0.0.mod')).toBeDefined();
    expect(cache.get('/b/@v/list')).toBeDefined();
  });

  it('forgets artifacts under all spellings of their URLs and nothing else, and keeps none begun before', () => {
    const cache = new HotCache(1_000_000);
    const named = (artifact: string): HotEntry => ({ ...entry(1), artifact });
    cache.put('/a/@v/v1.0.0.mod', named('a@v1.0.0.mod'));
    cache.put('/%61/@v/v1.0.0.mod', named('a@v1.0.0.mod'));
    cache.put('/a/@v/v1.0.0.info', named('a@v1.0.0.info'));
    cache.put('/a/@v/list', entry(1, 'a'));
    const { mark } = cache;

    cache.forgetArtifacts(['a@v1.0.0.mod', 'b@v1.0.0.mod']);
    cache.put('/c/@v/v1.0.0.mod', named('c@v1.0.0.mod'), mark);
    cache.put('/c/@v/list', entry(1, 'c'), mark);

    const urls = ['/a/@v/v1.0.0.mod', '/%61/@v/v1.0.0.mod', '/a/@v/v1.0.0.info', '/a/@v/list'];
    expect(urls.map((url) => cache.get(url) !== undefined)).toEqual([false, false, true, true]);
    expect(cache.get('/c/@v/v1.0.0.mod')).toBeUndefined();
    expect(cache.get('/c/@v/list')).toBeDefined();
    cache.put('/a/@v/v1.0.0.mod', named('a@v1.0.0.mod'));
    expect(cache.get('/a/@v/v1.0.0.mod')).toBeDefined();
  });

  it('keeps nothing that was begun before a purge', () => {
    const cache = new HotCache(1_000_000);
    const { mark } = cache;

    cache.clear();
    cache.put('/a', entry(1), mark);

    expect(cache.get('/a')).toBeUndefined();
  });

  it('keeps no list that was begun before a change, but artifacts all the same', () => {
    const cache = new HotCache(1_000_000);
    const { mark } = cache;

    cache.forgetMutable('a');
    cache.put('/a/@v/list', entry(1, 'a'), mark);
    cache.put('/a/@v/v1.0.0.mod', entry(1), mark);

    expect(cache.get('/a/@v/list')).toBeUndefined();
    expect(cache.get('/a/@v/v1.0.0.mod')).toBeDefined();
  });

  it('does not keep what is larger than the whole cache', () => {
    const cache = new HotCache(100);

    cache.put('/a', entry(5_000, 'a'));

    expect(cache.get('/a')).toBeUndefined();
  });
});
