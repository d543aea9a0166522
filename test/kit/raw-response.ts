/**
 * Reads HTTP/1.1 responses out of raw bytes, as plainly as possible and without repairing anything: headers stay in
 * their order with duplicates, and a response that was cut says so.
 */
import type { Ending } from './raw-http.ts';

export interface RawResponse {
  /** `HTTP/1.1 200 OK`; empty when no complete line came. */
  readonly statusLine: string;
  /** 0 when the status line is none of HTTP. */
  readonly status: number;
  /** Name as sent, value trimmed; order and duplicates kept. */
  readonly headers: readonly (readonly [string, string])[];
  /** Without chunk framing. What came of it, when cut. */
  readonly body: Buffer;
  /** True when Content-Length, the last chunk or (where there is neither) an orderly FIN ended it. */
  readonly endedCleanly: boolean;
  /** How the connection ended; undefined while it is open. */
  readonly ending: Ending | undefined;
}

interface Context {
  readonly method: string;
  readonly ending: Ending | undefined;
}

/** All responses in `bytes`; the last one may be partial. */
export function parseResponses(bytes: Buffer, context: Context): RawResponse[] {
  const found: RawResponse[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const [response, used] = parseOne(rest, context);
    found.push(response);
    if (!response.endedCleanly) break;
    rest = rest.subarray(used);
  }
  return found;
}

/** Values of a header by name, in any case. */
export function headerValues(response: RawResponse, name: string): string[] {
  const wanted = name.toLowerCase();
  return response.headers.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value);
}

function parseOne(bytes: Buffer, context: Context): [RawResponse, number] {
  const headEnd = bytes.indexOf('\r\n\r\n');
  const head = bytes.subarray(0, headEnd === -1 ? bytes.length : headEnd).toString('latin1');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? 0);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const partial = { statusLine, status, headers, ending: context.ending };
  if (headEnd === -1 || status === 0) {
    return [{ ...partial, body: Buffer.alloc(0), endedCleanly: false }, bytes.length];
  }
  const start = headEnd + 4;
  const content = bytes.subarray(start);
  const { body, usedBytes, isComplete } = readBody(content, partial, context);
  return [{ ...partial, body, endedCleanly: isComplete }, start + usedBytes];
}

function readBody(
  content: Buffer,
  head: Pick<RawResponse, 'status' | 'headers'>,
  context: Context,
): { body: Buffer; usedBytes: number; isComplete: boolean } {
  const values = (name: string): string | undefined =>
    head.headers.find(([key]) => key.toLowerCase() === name)?.[1].toLowerCase();
  const hasNone =
    context.method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304;
  if (hasNone) return { body: Buffer.alloc(0), usedBytes: 0, isComplete: true };
  if (values('transfer-encoding') === 'chunked') return readChunks(content);
  const length = values('content-length');
  if (length === undefined) {
    return { body: content, usedBytes: content.length, isComplete: context.ending === 'fin' };
  }
  const size = Number(length);
  return {
    body: content.subarray(0, size),
    usedBytes: Math.min(size, content.length),
    isComplete: content.length >= size,
  };
}

function readChunks(content: Buffer): { body: Buffer; usedBytes: number; isComplete: boolean } {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = content.indexOf('\r\n', at);
    if (lineEnd === -1) break;
    const size = Number.parseInt(content.subarray(at, lineEnd).toString('latin1'), 16);
    if (Number.isNaN(size)) break;
    if (size === 0) {
      // Trailers, if any, end with an empty line.
      const end = content.indexOf('\r\n\r\n', lineEnd - 1);
      if (end === -1) break;
      return { body: Buffer.concat(parts), usedBytes: end + 4, isComplete: true };
    }
    parts.push(content.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
    if (at > content.length) break;
  }
  return { body: Buffer.concat(parts), usedBytes: content.length, isComplete: false };
}
