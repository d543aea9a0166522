/**
 * A reply of a use case on the wire: status, headers, conditional and range answers, and the body from wherever it
 * is. Every way out writes the exchange's access line.
 */
import type { BytesReply, Reply } from '../proxy/types.ts';
import type { BufferPool } from './buffer-pool.ts';
import { isNotModified, resolveRange } from './conditional.ts';
import type { Exchange } from './exchange.ts';
import { bodyHeaders, etagOf } from './headers.ts';
import { headerOf } from './hop.ts';
import { type ProvenanceSetting, provenanceHeaders } from './provenance.ts';
import { type ReadAt, sendFrom } from './send.ts';

export interface ReplyDeps {
  readonly pool: BufferPool;
  /** A client that takes no byte for this long is cut off. */
  readonly idleWriteMs: number;
  /** How much of an artifact's provenance answers tell. */
  provenance(): ProvenanceSetting;
}

/** Gives back what the reply holds, however it ends. `signal` ends waiting for a body that is still arriving. */
export async function sendReply(
  exchange: Exchange,
  reply: Reply,
  signal: AbortSignal,
  deps: ReplyDeps,
): Promise<void> {
  switch (reply.kind) {
    case 'bytes':
      return sendBytes(exchange, reply, deps);
    case 'file': {
      const { file } = reply;
      try {
        const { sizeBytes, sha256, modifiedAtMs } = file.record;
        await sendRanged(exchange, reply, deps, {
          sizeBytes,
          sha256,
          lastModifiedMs: modifiedAtMs,
          readAt: (target, length, position) => file.readAt(target, length, position),
        });
      } finally {
        await file.close();
      }
      return;
    }
    case 'growing': {
      const { follower, opened } = reply;
      try {
        await sendRanged(exchange, reply, deps, {
          sizeBytes: opened.sizeBytes,
          sha256: opened.verified?.sha256,
          lastModifiedMs: opened.verified?.verifiedAtMs,
          readAt: (target, length, position) => follower.readAt(target, length, position, signal),
        });
      } finally {
        follower.leave();
      }
      return;
    }
    case 'passing': {
      const { body } = reply;
      try {
        await sendRanged(exchange, reply, deps, {
          sizeBytes: body.sizeBytes,
          sha256: undefined,
          lastModifiedMs: undefined,
          readAt: (target, length, position) => body.readAt(target, length, position),
        });
      } finally {
        body.close();
      }
      return;
    }
    default:
      reply satisfies never;
  }
}

function sendBytes(exchange: Exchange, reply: BytesReply, deps: ReplyDeps): void {
  const { request, response } = exchange;
  const etag = etagOf(reply.sha256);
  const validators = { etag, lastModifiedMs: reply.lastModifiedMs };
  const more = provenanceHeaders(reply.provenance, deps.provenance());
  const facts = { ...reply, ...validators, isGuarded: exchange.isGuarded, more };
  if (notModified(exchange, facts)) return;
  const range = resolveRange(
    request.headers.range,
    headerOf(request, 'if-range'),
    reply.body.length,
    validators,
  );
  if (range.kind === 'unsatisfiable') {
    unsatisfiable(exchange, reply.body.length);
    return;
  }
  const body = range.kind === 'part' ? reply.body.subarray(range.start, range.endExclusive) : reply.body;
  const headers = bodyHeaders({ ...facts, contentLength: body.length });
  if (range.kind === 'part') headers.push('Content-Range', contentRange(range, reply.body.length));
  const status = range.kind === 'part' ? 206 : 200;
  const firstByteMs = exchange.elapsedMs;
  response.writeHead(status, headers);
  request.socket.setTimeout(deps.idleWriteMs);
  response.once('close', () => {
    const sent = request.method === 'HEAD' ? 0 : body.length;
    exchange.log(status, sent, reply.source, !response.writableFinished, firstByteMs);
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function sendRanged(
  exchange: Exchange,
  reply: Reply,
  deps: ReplyDeps,
  body: {
    sizeBytes: number | undefined;
    sha256: string | undefined;
    lastModifiedMs: number | undefined;
    readAt: ReadAt;
  },
): Promise<void> {
  const { request, response } = exchange;
  const etag = body.sha256 === undefined ? undefined : etagOf(body.sha256);
  const facts = {
    contentType: reply.contentType,
    cache: reply.cache,
    etag,
    lastModifiedMs: body.lastModifiedMs,
    isGuarded: exchange.isGuarded,
    more: provenanceHeaders(reply.provenance, deps.provenance()),
  };
  if (etag !== undefined && notModified(exchange, { ...facts, etag })) return;
  let start = 0;
  let end = body.sizeBytes;
  const extra: string[] = [];
  if (etag !== undefined && body.sizeBytes !== undefined) {
    const range = resolveRange(request.headers.range, headerOf(request, 'if-range'), body.sizeBytes, {
      etag,
      lastModifiedMs: body.lastModifiedMs,
    });
    if (range.kind === 'unsatisfiable') {
      unsatisfiable(exchange, body.sizeBytes);
      return;
    }
    if (range.kind === 'part') {
      start = range.start;
      end = range.endExclusive;
      extra.push('Content-Range', contentRange(range, body.sizeBytes));
    }
  }
  const status = extra.length > 0 ? 206 : 200;
  const contentLength = end === undefined ? undefined : end - start;
  let firstByteMs = exchange.elapsedMs;
  const begin = (): void => {
    response.writeHead(status, [...bodyHeaders({ ...facts, contentLength }), ...extra]);
    firstByteMs = exchange.elapsedMs;
  };
  if (request.method === 'HEAD') {
    begin();
    response.end();
    exchange.log(status, 0, reply.source, false, firstByteMs);
    return;
  }
  try {
    // A source that breaks after the first byte cuts the connection: that is the answer (design rule 2).
    const sent = await sendFrom(response, deps.pool, body.readAt, start, end, deps.idleWriteMs, begin);
    exchange.log(status, sent.bytes, reply.source, !sent.complete, firstByteMs);
  } catch (error) {
    if (!response.headersSent && !response.destroyed) {
      exchange.fail(error);
      return;
    }
    exchange.log(status, 0, reply.source, true, firstByteMs);
  }
}

function notModified(
  exchange: Exchange,
  facts: {
    etag: string;
    lastModifiedMs: number | undefined;
    cache: Reply['cache'];
    contentType: Reply['contentType'];
    isGuarded: boolean;
    more: readonly string[];
  },
): boolean {
  const { request, response } = exchange;
  const current = isNotModified(
    {
      ifNoneMatch: headerOf(request, 'if-none-match'),
      ifModifiedSince: headerOf(request, 'if-modified-since'),
    },
    facts,
  );
  if (!current) return false;
  response.writeHead(304, bodyHeaders({ ...facts, contentLength: undefined }));
  response.end();
  exchange.log(304, 0, 'store', false);
  return true;
}

function unsatisfiable(exchange: Exchange, sizeBytes: number): void {
  exchange.text(416, `the file has ${sizeBytes} bytes\n`, { 'content-range': `bytes */${sizeBytes}` });
}

function contentRange(range: { start: number; endExclusive: number }, sizeBytes: number): string {
  return `bytes ${range.start}-${range.endExclusive - 1}/${sizeBytes}`;
}
