import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../gomod/module-path.ts';
import type { VersionQuery } from '../gomod/types.ts';
import { putVersion } from '../store/contract/kit.ts';
import type { Operation } from './operation.ts';
import { contextOf, makeTestProxy, textOf } from './test-proxy.ts';

const path = parseModulePath('example.com/a');
const main: Operation = { kind: 'query', path, query: 'main' as VersionQuery };
const info = JSON.stringify({ Version: 'v1.0.0', Time: '2024-01-02T03:04:05Z' });
const reason = 'example.com/a@v1.0.0 was unpublished on 2026-01-01: leaked a key';
const gone = { code: 'gone', message: reason };

describe('a query that resolves to a version that was unpublished', () => {
  it('is gone, with the reason, whatever sources say', async () => {
    const { proxy, sources } = await makeTestProxy();
    sources.says = () => info;
    sources.unpublished.set('example.com/a@v1.0.0', reason);
    await expect(proxy.handle(main, contextOf())).rejects.toMatchObject(gone);
  });

  it('is gone although its answer was kept before, fresh or stale', async () => {
    const { proxy, sources, clock, negatives } = await makeTestProxy();
    sources.says = () => info;
    expect(textOf(await proxy.handle(main, contextOf()))).toBe(info);
    sources.unpublished.set('example.com/a@v1.0.0', reason);
    for (const ageMs of [0, 120_000]) {
      await clock.advance(ageMs);
      negatives.forget(path);
      await expect(proxy.handle(main, contextOf())).rejects.toMatchObject(gone);
    }
  });

  it('is gone where nobody is asked', async () => {
    const { proxy, sources, store } = await makeTestProxy();
    sources.says = () => info;
    await putVersion(store, path, 'v1.0.0');
    expect(textOf(await proxy.handle(main, contextOf()))).toBe(info);
    sources.isOffline = true;
    expect(textOf(await proxy.handle(main, contextOf()))).toBe(info);
    sources.unpublished.set('example.com/a@v1.0.0', reason);
    await expect(proxy.handle(main, contextOf())).rejects.toMatchObject(gone);
  });

  it('is answered again when the branch has moved', async () => {
    const { proxy, sources, queries, negatives } = await makeTestProxy();
    sources.says = () => info;
    sources.unpublished.set('example.com/a@v1.0.0', reason);
    await expect(proxy.handle(main, contextOf())).rejects.toMatchObject(gone);
    const next = info.replace('v1.0.0', 'v1.0.1');
    sources.says = () => next;
    // As a push does.
    await queries.expire(path);
    negatives.forget(path);
    expect(textOf(await proxy.handle(main, contextOf()))).toBe(next);
  });
});
