/** Until when askers wait: what sources are told of it, for every kind of request, when several share one fetch. */
import { describe, expect, it, vi } from 'vitest';
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import type { Operation } from './operation.ts';
import { contextOf, hang, makeTestProxy, textOf, until } from './test-proxy.ts';

const path = 'example.com/m' as ModulePath;
const version = 'v1.0.0' as Version;

const operations: readonly (readonly [string, Operation])[] = [
  ['.info', { kind: 'artifact', key: { path, version, ext: 'info' } }],
  ['.mod', { kind: 'artifact', key: { path, version, ext: 'mod' } }],
  ['.zip', { kind: 'artifact', key: { path, version, ext: 'zip' } }],
  ['list', { kind: 'list', path }],
  ['@latest', { kind: 'latest', path }],
  ['a query', { kind: 'query', path, query: 'main' as VersionQuery }],
  ['the checksum database', { kind: 'sumdb', rest: 'sum.test/latest' }],
];

/** A source that is silent until it is told to say "absent". Behind it one that hangs; its request tells the time left. */
async function makeCascade() {
  const clock = new FakeClock(Date.now());
  const opened = Promise.withResolvers<void>();
  let asked = 0;
  const first: Upstream = {
    name: 'first',
    isPrivate: false,
    // So that the next one is asked after it, and not beside it, also for list and @latest.
    stopsOnError: true,
    async fetch() {
      asked += 1;
      await opened.promise;
      throw new UpstreamError('first', 'absent', 'not found');
    },
    close: async () => {},
  };
  const test = await makeTestProxy({ clock, first: [first] });
  test.sources.says = () => hang;
  /** Undefined: waits as long as it takes. Resolves when it waits for the answer, to a function that lets it leave. */
  async function ask(operation: Operation, withinMs: number | undefined): Promise<() => Promise<void>> {
    const left = new AbortController();
    const listens = vi.spyOn(left.signal, 'addEventListener');
    const atMs = clock.monotonic() + (withinMs ?? 0);
    const deadlineAtMs = withinMs === undefined ? undefined : () => atMs;
    const reply = test.proxy.handle(operation, contextOf({ signal: left.signal, deadlineAtMs }));
    reply.catch(() => {});
    // It listens for its own leaving once it waits for the shared fetch.
    await until(() => listens.mock.calls.length > 0);
    return async () => {
      left.abort(new Error('gone'));
      await expect(reply).rejects.toThrow('gone');
    };
  }
  /** Milliseconds that the second source was told; `none` when it was told none. */
  async function told(): Promise<number | 'none'> {
    opened.resolve();
    await test.upstream.untilAsked(1);
    expect(asked).toBe(1);
    return test.upstream.requests[0]?.remainingMs ?? 'none';
  }
  return { ...test, clock, ask, told };
}

describe.each(operations)('what a source is told of the time left for %s', (_name, operation) => {
  it('is what its only asker has', async () => {
    const { clock, ask, told } = await makeCascade();
    await ask(operation, 3_000);
    await clock.advance(400);
    expect(await told()).toBe(2_600);
  });

  it('is the latest of several, also of one that joined later', async () => {
    const { clock, ask, told } = await makeCascade();
    await ask(operation, 3_000);
    await clock.advance(400);
    await ask(operation, 9_000);
    await clock.advance(100);
    await ask(operation, 2_000);
    expect(await told()).toBe(8_900);
  });

  it('is nothing when one of them waits as long as it takes', async () => {
    const { ask, told } = await makeCascade();
    await ask(operation, 3_000);
    await ask(operation, undefined);
    expect(await told()).toBe('none');
  });

  it('is that of those who are left', async () => {
    const { ask, told } = await makeCascade();
    const leave = await ask(operation, undefined);
    await ask(operation, 3_000);
    await leave();
    expect(await told()).toBe(3_000);
  });
});

describe('an asker with too little time', () => {
  const small = operations.filter(([name]) => name !== '.zip');
  const body = (target: string): string => {
    if (target.endsWith('.mod')) return `module ${path}\n`;
    if (target.startsWith('/sumdb/')) return 'go.sum database tree\n9\nv1.0.0\n\n— sum.test sig\n';
    return target.endsWith('list') ? 'v1.0.0\n' : '{"Version":"v1.0.0"}';
  };

  it.each(small)('asks nobody for %s, and its failure is nobody else’s', async (_name, operation) => {
    const test = await makeTestProxy();
    test.sources.says = body;
    const deadlineAtMs = () => test.clock.monotonic() + 499;
    await expect(test.proxy.handle(operation, contextOf({ deadlineAtMs }))).rejects.toMatchObject({
      code: 'timeout',
      isTooLate: true,
      outcomes: [{ message: 'not asked: too little time was left' }],
    });
    expect(test.upstream.asked).toEqual([]);
    await test.proxy.handle(operation, contextOf());
    expect(test.upstream.asked.length).toBeGreaterThan(0);
  });

  it.each(small)('makes no absence of %s for others: not everybody was asked', async (name, operation) => {
    let leftMs = 600;
    const absent: Upstream = {
      name: 'absent',
      isPrivate: false,
      stopsOnError: true,
      fetch() {
        // Enough for this one, and for nobody behind it.
        leftMs = 100;
        return Promise.reject(new UpstreamError('absent', 'absent', 'not found'));
      },
      close: async () => {},
    };
    const test = await makeTestProxy({ first: [absent] });
    test.sources.says = body;
    const deadlineAtMs = () => test.clock.monotonic() + leftMs;
    await expect(test.proxy.handle(operation, contextOf({ deadlineAtMs }))).rejects.toMatchObject({
      isTooLate: true,
    });
    expect(test.upstream.asked).toEqual([]);
    const reply = await test.proxy.handle(operation, contextOf());
    expect(textOf(reply)).toContain(name === '.mod' ? 'module' : 'v1.0.0');
  });
});
