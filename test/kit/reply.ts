/**
 * A reply before any fault: status, headers and a body that can be read piece by piece, so that a file of half a
 * gigabyte needs no memory. Ranges and validators are answered as nginx does for plain files.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';

export interface Body {
  readonly sizeBytes: number;
  /** The bytes from `start` up to `end`, possibly fewer, never none while `start < end`. */
  read(start: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

/** How much one read or write moves. */
const CHUNK_BYTES = 256 * 1024;

export function bufferBody(bytes: Uint8Array): Body {
  return {
    sizeBytes: bytes.length,
    read: async (start, end) => bytes.subarray(start, Math.min(end, start + CHUNK_BYTES)),
    close: async () => {},
  };
}

export function textReply(status: number, text: string): Reply {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8' },
    body: bufferBody(Buffer.from(text)),
  };
}

/** A 200 of bytes in memory, with an ETag of their hash. */
export function bytesReply(contentType: string, bytes: Uint8Array): Reply {
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return {
    status: 200,
    headers: { 'Content-Type': contentType, ETag: etag, 'Accept-Ranges': 'bytes' },
    body: bufferBody(bytes),
  };
}

/** A 200 of a plain file with nginx's kind of validators; undefined when there is no such file. */
export async function fileReply(contentType: string, file: string): Promise<Reply | undefined> {
  const handle = await open(file).catch(() => undefined);
  if (!handle) return undefined;
  const { size, mtime } = await handle.stat();
  const etag = `"${Math.floor(mtime.getTime() / 1000).toString(16)}-${size.toString(16)}"`;
  return {
    status: 200,
    headers: {
      'Content-Type': contentType,
      ETag: etag,
      'Last-Modified': mtime.toUTCString(),
      'Accept-Ranges': 'bytes',
    },
    body: {
      sizeBytes: size,
      async read(start, end) {
        const target = Buffer.allocUnsafe(Math.min(end - start, CHUNK_BYTES));
        const { bytesRead } = await handle.read(target, 0, target.length, start);
        return target.subarray(0, bytesRead);
      },
      close: () => handle.close(),
    },
  };
}

/** Turns a full reply into a 304, 206 or 416 where the request asks for one. Single ranges only. */
export function conditional(headers: IncomingHttpHeaders, reply: Reply): Reply {
  if (reply.status !== 200) return reply;
  const etag = reply.headers['ETag'];
  if (etag !== undefined && headers['if-none-match'] === etag) {
    return { status: 304, headers: reply.headers, body: emptyBody(reply.body) };
  }
  const range = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '');
  const ifRange = headers['if-range'];
  const isCurrent = ifRange === undefined || ifRange === etag || ifRange === reply.headers['Last-Modified'];
  if (!range || range[0] === 'bytes=-' || !isCurrent || reply.headers['Accept-Ranges'] !== 'bytes')
    return reply;
  const size = reply.body.sizeBytes;
  const [, first = '', last = ''] = range;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start >= end) {
    return { status: 416, headers: { 'Content-Range': `bytes */${size}` }, body: emptyBody(reply.body) };
  }
  return {
    status: 206,
    headers: { ...reply.headers, 'Content-Range': `bytes ${start}-${end - 1}/${size}` },
    body: part(reply.body, start, end),
  };
}

/** Reads a body whole. For faults that need it in memory. */
export async function wholeBody(body: Body): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.sizeBytes; ) {
    const bytes = await body.read(at, body.sizeBytes);
    if (bytes.length === 0) break;
    parts.push(bytes);
    at += bytes.length;
  }
  return Buffer.concat(parts);
}

function emptyBody(inner: Body): Body {
  return { ...bufferBody(Buffer.alloc(0)), close: () => inner.close() };
}

function part(inner: Body, from: number, to: number): Body {
  return {
    sizeBytes: to - from,
    read: (start, end) => inner.read(from + start, from + end),
    close: () => inner.close(),
  };
}
