/**
 * Carries a reply out on the wire, with the faults a script ordered. Faults that change what is said come first,
 * then the byte positions at which something happens, in their order; the connection does what the fault says and
 * nothing more, so that a client sees exactly that.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Fault } from './faults.ts';
import { type Body, bufferBody, type Reply, wholeBody } from './reply.ts';
import type { RequestRecord } from './request-log.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  /** Aborts when the connection is gone, so that no fault outlives its client. */
  readonly gone: AbortSignal;
  /** Must be called before a fault ends the connection: what follows is not the client's doing. */
  endsByFault(): void;
}

/** Something that happens before byte `at`; resolves to false when the reply is over with it. */
interface Step {
  readonly at: number;
  readonly act: () => Promise<boolean>;
}

/** Sends `reply` with `faults`. Resolves when all that will ever be sent was sent. Never rejects for a gone client. */
export async function sendFaulty(exchange: Exchange, reply: Reply, faults: readonly Fault[]): Promise<void> {
  if (!(await beforeHeaders(exchange, faults))) return;
  const changed = await change(exchange, reply, faults);
  if (exchange.gone.aborted) return;
  await write(exchange, changed, faults);
}

async function beforeHeaders(exchange: Exchange, faults: readonly Fault[]): Promise<boolean> {
  for (const fault of faults) {
    if (fault.kind === 'delay') await pause(exchange, fault.until);
    if (exchange.gone.aborted) return false;
    if (fault.kind === 'stall' && fault.after === 'nothing') return false;
    if (fault.kind === 'reset' && fault.after === 'nothing') {
      exchange.endsByFault();
      exchange.request.socket.resetAndDestroy();
      return false;
    }
    if (fault.kind === 'garbage') {
      exchange.endsByFault();
      exchange.request.socket.end(fault.bytes);
      return false;
    }
  }
  return true;
}

async function change(exchange: Exchange, reply: Reply, faults: readonly Fault[]): Promise<Reply> {
  let { status, body } = reply;
  let headers: Record<string, string> = { ...reply.headers };
  for (const fault of faults) {
    switch (fault.kind) {
      case 'status':
        status = fault.status;
        headers = { 'Content-Type': 'text/plain; charset=utf-8', ...fault.headers };
        body = bufferBody(fault.body);
        break;
      case 'redirect':
        status = fault.status;
        headers = { Location: fault.to === 'loop' ? exchange.record.url : fault.to };
        body = bufferBody(Buffer.alloc(0));
        break;
      case 'replace-body':
        body = bufferBody(fault.body);
        break;
      case 'flip-byte':
        body = flipped(body, fault.offset);
        break;
      case 'gzip':
        body = bufferBody(gzipSync(await wholeBody(body)));
        headers['Content-Encoding'] = 'gzip';
        break;
      case 'huge-headers':
        for (let made = 0; made < fault.sizeBytes; made += 1024) headers[`X-Huge-${made}`] = 'x'.repeat(1024);
        break;
      default:
    }
  }
  return { status, headers, body };
}

async function write(exchange: Exchange, reply: Reply, faults: readonly Fault[]): Promise<void> {
  const { response, request, record } = exchange;
  const { body } = reply;
  record.status = reply.status;
  const declared = faults.find((fault) => fault.kind === 'wrong-length')?.declaredBytes;
  const isChunked = faults.some(
    (fault) =>
      fault.kind === 'endless' ||
      fault.kind === 'chunked' ||
      (fault.kind === 'truncate' && fault.framing === 'chunked'),
  );
  const length =
    isChunked || reply.status === 304 ? {} : { 'Content-Length': String(declared ?? body.sizeBytes) };
  response.writeHead(reply.status, { ...reply.headers, ...length });
  if (request.method === 'HEAD' || reply.status === 304) {
    await flushed(response);
  } else if (await writeBody(exchange, body, faults)) {
    await flushed(response);
  } else {
    return;
  }
  if (faults.some((fault) => fault.kind === 'close-after')) {
    exchange.endsByFault();
    request.socket.end();
  }
}

/** Resolves to false when a fault or the client ended the reply. */
async function writeBody(exchange: Exchange, body: Body, faults: readonly Fault[]): Promise<boolean> {
  const { response } = exchange;
  const steps = stepsOf(exchange, faults, body.sizeBytes);
  const dripping = faults.find((fault) => fault.kind === 'drip')?.bytesPerSecond;
  // Twenty pieces a second, so that a slow rate is still a steady trickle.
  const pieceBytes =
    dripping === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(dripping / 20));
  let at = 0;
  for (;;) {
    while (steps[0] && steps[0].at <= at) {
      const step = steps.shift();
      if (at === 0) response.flushHeaders();
      if (!(await step?.act())) return false;
    }
    if (at >= body.sizeBytes) break;
    const piece = await body.read(
      at,
      Math.min(steps[0]?.at ?? body.sizeBytes, body.sizeBytes, at + pieceBytes),
    );
    if (piece.length === 0 || !(await sent(exchange, piece))) return false;
    at += piece.length;
    if (dripping !== undefined && at < body.sizeBytes)
      await pause(exchange, (piece.length / dripping) * 1000);
  }
  if (!faults.some((fault) => fault.kind === 'endless')) return true;
  const filler = Buffer.alloc(64 * 1024);
  while (await sent(exchange, filler));
  return false;
}

function stepsOf(exchange: Exchange, faults: readonly Fault[], sizeBytes: number): Step[] {
  const { request } = exchange;
  const steps: Step[] = [];
  const add = (at: number, act: Step['act']): number => steps.push({ at: Math.min(at, sizeBytes), act });
  for (const fault of faults) {
    if (fault.kind === 'hold') {
      add(fault.atByte, async () => {
        await pause(exchange, fault.gate);
        return !exchange.gone.aborted;
      });
    } else if (fault.kind === 'stall' && fault.after !== 'nothing') {
      add(fault.after, async () => false);
    } else if (fault.kind === 'reset' && fault.after !== 'nothing') {
      add(fault.after, async () => {
        exchange.endsByFault();
        request.socket.resetAndDestroy();
        return false;
      });
    } else if (fault.kind === 'truncate') {
      add(fault.afterBytes, async () => {
        exchange.endsByFault();
        request.socket.end();
        return false;
      });
    }
  }
  // Stable: faults at the same byte happen in the order of the rule.
  return steps.sort((a, b) => a.at - b.at);
}

/** Resolves when the bytes were handed to the system; false when the connection is gone. */
function sent(exchange: Exchange, bytes: Uint8Array): Promise<boolean> {
  const { response, record, gone } = exchange;
  if (gone.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const leave = (): void => resolve(false);
    gone.addEventListener('abort', leave, { once: true });
    response.write(bytes, (error) => {
      gone.removeEventListener('abort', leave);
      if (!error) record.bytesSent += bytes.length;
      resolve(!error && !gone.aborted);
    });
  });
}

function flushed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve);
    response.end(resolve);
  });
}

async function pause(exchange: Exchange, until: number | { pass(): Promise<void> }): Promise<void> {
  if (typeof until === 'number') {
    await sleep(until, undefined, { signal: exchange.gone }).catch(() => {});
    return;
  }
  const left = Promise.withResolvers<void>();
  const leave = (): void => left.resolve();
  exchange.gone.addEventListener('abort', leave, { once: true });
  if (exchange.gone.aborted) leave();
  await Promise.race([until.pass(), left.promise]);
  exchange.gone.removeEventListener('abort', leave);
}

function flipped(inner: Body, offset: number): Body {
  const target = offset < 0 ? inner.sizeBytes + offset : offset;
  return {
    sizeBytes: inner.sizeBytes,
    async read(start, end) {
      const bytes = Buffer.from(await inner.read(start, end));
      const place = target - start;
      const byte = bytes[place];
      if (byte !== undefined) bytes[place] = byte ^ 0xff;
      return bytes;
    },
    close: () => inner.close(),
  };
}
