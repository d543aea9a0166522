import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { readBody } from './read-body.ts';
import { ask, failure, TestServers } from './test-servers.ts';

const servers = new TestServers();
afterEach(() => servers.closeAll());

const file = 'abcdefghij';

/** A server that answers every request alike, and what it was asked. */
async function answering(reply: (response: ServerResponse) => void) {
  const asked: IncomingHttpHeaders[] = [];
  const url = await servers.serve((request, response) => {
    asked.push(request.headers);
    reply(response);
  });
  return { upstream: servers.upstreamAt(url), asked };
}

function part(headers: Record<string, string>, body = file.slice(4)) {
  return answering((response) => response.writeHead(206, headers).end(body));
}

describe('going on in the middle of a zip', () => {
  it('asks for the rest under a strong ETag, and tells where the answer stands', async () => {
    const { upstream, asked } = await part({
      'Content-Range': 'bytes 4-9/10',
      'Content-Length': '6',
      ETag: '"e"',
    });
    const answer = await ask(upstream, { fromByte: 4, ifRange: '"e"' });

    expect(asked[0]).toMatchObject({ range: 'bytes=4-', 'if-range': '"e"', 'accept-encoding': 'identity' });
    expect(answer).toMatchObject({ offset: 4, totalBytes: 10, contentLength: 6, etag: '"e"' });
    expect((await readBody(answer, 100)).toString()).toBe('efghij');
  });

  it('takes a 200 for the whole file', async () => {
    const { upstream } = await answering((response) => response.setHeader('Content-Length', 10).end(file));
    const answer = await ask(upstream, { fromByte: 4 });

    expect(answer).toMatchObject({ offset: 0, totalBytes: 10, contentLength: 10 });
    expect((await readBody(answer, 100)).toString()).toBe(file);
  });

  it.each(['W/"e"', 'e', '"e', ''])('never sends %s as If-Range', async (ifRange) => {
    const { upstream, asked } = await part({ 'Content-Range': 'bytes 4-9/10' });
    (await ask(upstream, { fromByte: 4, ifRange })).cancel();

    expect(asked[0]?.range).toBe('bytes=4-');
    expect(asked[0]).not.toHaveProperty('if-range');
  });

  it('asks for small answers and from byte 0 always whole', async () => {
    const { upstream, asked } = await answering((response) => response.end(file));
    (await ask(upstream, { fromByte: 4, answerClass: 'meta' })).cancel();
    (await ask(upstream, { fromByte: 0, ifRange: '"e"' })).cancel();

    expect(asked).toHaveLength(2);
    for (const headers of asked) {
      expect(headers).not.toHaveProperty('range');
      expect(headers).not.toHaveProperty('if-range');
    }
  });

  it.each([
    ['no Content-Range', {}],
    ['another beginning', { 'Content-Range': 'bytes 3-8/10' }],
    ['an earlier end', { 'Content-Range': 'bytes 4-8/10' }],
    ['an end behind the file', { 'Content-Range': 'bytes 4-10/10' }],
    ['an unknown length', { 'Content-Range': 'bytes 4-9/*' }],
    ['nonsense', { 'Content-Range': 'lines 4-9/10' }],
    ['a length that does not fit', { 'Content-Range': 'bytes 4-19/20', 'Content-Length': '6' }],
    [
      'several parts',
      { 'Content-Range': 'bytes 4-9/10', 'Content-Type': 'multipart/byteranges; boundary=x' },
    ],
  ])('is protocol for a 206 with %s', async (_what, headers) => {
    const { upstream } = await part(headers);
    expect(await failure(ask(upstream, { fromByte: 4 }))).toMatchObject({ code: 'protocol', status: 206 });
  });

  it('is protocol for a 206 that nobody asked for', async () => {
    const { upstream } = await part({ 'Content-Range': 'bytes 4-9/10' });
    expect((await failure(ask(upstream))).code).toBe('protocol');
  });

  it('is status for a 416', async () => {
    const { upstream } = await answering((response) => response.writeHead(416).end());
    expect(await failure(ask(upstream, { fromByte: 4 }))).toMatchObject({ code: 'status', status: 416 });
  });

  it('is truncated when a part of unknown length ends before the range does', async () => {
    const { upstream } = await part({ 'Content-Range': 'bytes 4-9/10' }, 'efg');
    const answer = await ask(upstream, { fromByte: 4 });
    expect((await failure(readBody(answer, 100))).code).toBe('truncated');
  });
});
