/**
 * Conditional and range requests over real HTTP, on hits and on misses: 304, 206, 416, and when they must not be
 * (RFC 9110, sections 13 and 14; ruling 8).
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { ask, modferry, upstream, withDefaults } from './support.ts';

const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3' });

async function start() {
  const source = await upstream({ modules: [lib] });
  return { source, proxy: await modferry({ upstreams: [source] }) };
}

/** One pair for all tests that only need what it serves: a start costs more than most of them. */
let shared: { source: FakeUpstream; proxy: ModferryProcess };
beforeAll(async () => {
  const source = await startFakeUpstream({ modules: [lib] });
  shared = { source, proxy: await startModferry(withDefaults({ upstreams: [source] })) };
  return async () => {
    await shared.proxy.close();
    await source.close();
  };
});

describe('conditions', () => {
  it.each([
    '/example.com/lib/@v/v1.2.3.info',
    '/example.com/lib/@v/v1.2.3.mod',
    '/example.com/lib/@v/v1.2.3.zip',
  ])('answers 304 to %s when ETag or date show it unchanged, else 200', async (path) => {
    const { proxy } = shared;
    const first = await ask(proxy.url, path);
    const etag = first.headers.etag ?? '';
    const lastModified = first.headers['last-modified'] ?? '';

    for (const headers of [
      { 'if-none-match': etag },
      { 'if-none-match': `"other", ${etag}` },
      { 'if-none-match': '*' },
      { 'if-modified-since': lastModified },
    ]) {
      const answer = await ask(proxy.url, path, { headers });
      expect(answer).toMatchObject({ status: 304, body: Buffer.alloc(0), complete: true });
      expect(answer.headers.etag).toBe(etag);
    }
    for (const headers of [
      { 'if-none-match': '"other"' },
      { 'if-none-match': '"other"', 'if-modified-since': lastModified },
      { 'if-modified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' },
      { 'if-modified-since': 'yesterday' },
    ]) {
      expect(await ask(proxy.url, path, { headers })).toMatchObject({ status: 200, body: first.body });
    }
  });

  it.each(['/example.com/lib/@v/list', '/example.com/lib/@latest'])(
    'answers 304 to %s by its ETag only, because a union changes without a date',
    async (path) => {
      const { proxy } = shared;
      const first = await ask(proxy.url, path);

      const same = await ask(proxy.url, path, { headers: { 'if-none-match': first.headers.etag ?? '' } });
      const dated = await ask(proxy.url, path, {
        headers: { 'if-modified-since': new Date().toUTCString() },
      });

      expect(first.headers['last-modified']).toBeUndefined();
      expect(same).toMatchObject({ status: 304, complete: true });
      expect(dated).toMatchObject({ status: 200, body: first.body });
    },
  );
});

describe('ranges', () => {
  const path = '/example.com/lib/@v/v1.2.3.zip';
  const size = lib.zip.length;
  const parts: [string, number, number][] = [
    ['bytes=0-9', 0, 10],
    ['bytes=10-', 10, size],
    ['bytes=-7', size - 7, size],
    [`bytes=5-${size + 100}`, 5, size],
    [`bytes=-${size + 5}`, 0, size],
  ];

  it.each(parts)('gives %s of a zip as 206, on a hit', async (range, start_, end) => {
    const { proxy } = shared;
    await ask(proxy.url, path);
    const answer = await ask(proxy.url, path, { headers: { range } });
    expect(answer).toMatchObject({ status: 206, body: lib.zip.subarray(start_, end), complete: true });
    expect(answer.headers['content-range']).toBe(`bytes ${start_}-${end - 1}/${size}`);
    expect(answer.headers['content-length']).toBe(String(end - start_));
  });

  it('fills whole on a miss, then answers 206', async () => {
    const { source, proxy } = await start();
    const answer = await ask(proxy.url, path, { headers: { range: 'bytes=3-6' } });
    expect(answer).toMatchObject({ status: 206, body: lib.zip.subarray(3, 7) });
    expect(source.requests.map(({ headers }) => headers.range)).toEqual([undefined]);
    expect(await ask(proxy.url, path)).toMatchObject({ status: 200, body: lib.zip });
    expect(source.requests).toHaveLength(1);
  });

  it('answers 416 behind the end, with the size', async () => {
    const { proxy } = await start();
    for (let round = 0; round < 2; round += 1) {
      const answer = await ask(proxy.url, path, { headers: { range: `bytes=${size}-` } });
      expect(answer).toMatchObject({ status: 416, complete: true });
      expect(answer.headers['content-range']).toBe(`bytes */${size}`);
    }
  });

  it('gives the whole for several ranges, other units, and an If-Range that does not hold', async () => {
    const { proxy } = shared;
    const { headers } = await ask(proxy.url, path);
    for (const given of [
      { range: 'bytes=0-1,4-5' },
      { range: 'lines=1-2' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
    ]) {
      expect(await ask(proxy.url, path, { headers: given })).toMatchObject({ status: 200, body: lib.zip });
    }
    const holds = await ask(proxy.url, path, {
      headers: { range: 'bytes=0-1', 'if-range': headers.etag ?? '' },
    });
    expect(holds.status).toBe(206);
  });
});
