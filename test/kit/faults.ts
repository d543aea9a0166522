/**
 * The faults a fake upstream can commit, as plain values, and the script that says which request meets which one.
 * `faulty-reply.ts` carries them out on the wire; `gate()` lets a test decide when, instead of sleeping.
 */
import type { RequestRecord } from './request-log.ts';

/** Something a reply waits for until the test opens it. */
export interface Gate {
  /** Lets everybody through, now and later. Idempotent. */
  open(): void;
  readonly isOpen: boolean;
  /** Resolves when the gate is opened. */
  readonly opened: Promise<void>;
  /** Resolves when the first reply stands before the gate (also if it was open already). */
  readonly reached: Promise<void>;
  /** How many replies have come to the gate so far. */
  readonly arrivals: number;
  /** For the replies: counts the arrival and resolves when open. */
  pass(): Promise<void>;
}

/** A closed gate. */
export function gate(): Gate {
  const opened = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let isOpen = false;
  let arrivals = 0;
  return {
    open() {
      isOpen = true;
      opened.resolve();
    },
    get isOpen() {
      return isOpen;
    },
    opened: opened.promise,
    reached: reached.promise,
    get arrivals() {
      return arrivals;
    },
    pass() {
      arrivals += 1;
      reached.resolve();
      return opened.promise;
    },
  };
}

/** What goes wrong. All byte counts are of the body as sent; a count past its end means its end. */
export type Fault =
  /** Nothing is sent until the time is over or the gate is open; then all is well. */
  | { readonly kind: 'delay'; readonly until: number | Gate }
  /** The reply pauses before this byte of the body (0: after the headers) until the gate is open. */
  | { readonly kind: 'hold'; readonly atByte: number; readonly gate: Gate }
  /** Sends so much, then nothing, with the connection open for ever. `headers`: not even the status line. */
  | { readonly kind: 'stall'; readonly after: number | 'nothing' }
  | { readonly kind: 'drip'; readonly bytesPerSecond: number }
  /** A real TCP RST after so many bytes. What the client has not read by then it may never see. */
  | { readonly kind: 'reset'; readonly after: number | 'nothing' }
  /** An orderly FIN after so many bytes, short of the Content-Length or of the last chunk. */
  | { readonly kind: 'truncate'; readonly afterBytes: number; readonly framing: 'length' | 'chunked' }
  /** Sends the whole body under this Content-Length and keeps the connection open. */
  | { readonly kind: 'wrong-length'; readonly declaredBytes: number }
  | { readonly kind: 'flip-byte'; readonly offset: number }
  | { readonly kind: 'replace-body'; readonly body: Buffer }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Buffer;
    }
  /** `loop`: to the very same URL. */
  | { readonly kind: 'redirect'; readonly to: string; readonly status: number }
  | { readonly kind: 'garbage'; readonly bytes: Buffer }
  | { readonly kind: 'huge-headers'; readonly sizeBytes: number }
  /** The body is followed by zeros, chunked, until the client leaves. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'gzip' }
  /** No Content-Length, chunked transfer: no fault, but a thing that upstreams do. */
  | { readonly kind: 'chunked' }
  /** Answers well, then closes the kept-alive socket without having announced it. */
  | { readonly kind: 'close-after' };

export function delay(until: number | Gate): Fault {
  return { kind: 'delay', until };
}

export function hold(atByte: number, at: Gate): Fault {
  return { kind: 'hold', atByte, gate: at };
}

/** Default: not even the status line comes. */
export function stall(after: number | 'nothing' = 'nothing'): Fault {
  return { kind: 'stall', after };
}

export function drip(bytesPerSecond: number): Fault {
  return { kind: 'drip', bytesPerSecond };
}

/** Default: before the status line. For an exact count at the client put a `hold` at the same byte before it. */
export function reset(after: number | 'nothing' = 'nothing'): Fault {
  return { kind: 'reset', after };
}

export function truncate(afterBytes: number, framing: 'length' | 'chunked' = 'length'): Fault {
  return { kind: 'truncate', afterBytes, framing };
}

export function wrongLength(declaredBytes: number): Fault {
  return { kind: 'wrong-length', declaredBytes };
}

/** Inverts all bits of one byte; a negative offset counts from the end. */
export function flipByte(offset: number): Fault {
  return { kind: 'flip-byte', offset };
}

export function replaceBody(body: string | Uint8Array): Fault {
  return { kind: 'replace-body', body: Buffer.from(body) };
}

/** Default body: the number and `fake upstream says no`, as text/plain. */
export function status(
  code: number,
  headers: Record<string, string> = {},
  body?: string | Uint8Array,
): Fault {
  return {
    kind: 'status',
    status: code,
    headers,
    body: Buffer.from(body ?? `${code}: fake upstream says no\n`),
  };
}

/** A 200 with a log-in page, as hotel networks and filters send it. */
export function captivePortal(): Fault {
  const page =
    '<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please log in.</body></html>\n';
  return status(200, { 'Content-Type': 'text/html; charset=utf-8' }, page);
}

export function redirect(to: string, code = 302): Fault {
  return { kind: 'redirect', to, status: code };
}

/** A redirect to the URL that was asked. */
export function redirectLoop(): Fault {
  return redirect('loop');
}

export function garbage(bytes: string | Uint8Array = 'SSH-2.0-OpenSSH_9.6\r\n'): Fault {
  return { kind: 'garbage', bytes: Buffer.from(bytes) };
}

export function hugeHeaders(sizeBytes: number): Fault {
  return { kind: 'huge-headers', sizeBytes };
}

export function endless(): Fault {
  return { kind: 'endless' };
}

/** The body comes gzip-coded although nobody accepts that. */
export function gzip(): Fault {
  return { kind: 'gzip' };
}

export function chunked(): Fault {
  return { kind: 'chunked' };
}

export function closeAfter(): Fault {
  return { kind: 'close-after' };
}

/** A string matches the end of the unescaped path, a RegExp anywhere in it. */
export type RequestMatch = string | RegExp | ((request: RequestRecord) => boolean);

export interface FaultRule {
  readonly match: RequestMatch;
  /** How many matching requests pass unharmed first. Default 0. */
  readonly skip?: number;
  /** How many matching requests after those are hit; later ones are normal. Default: all. */
  readonly times?: number;
  /** Several are combined, e.g. `[drip(1000), flipByte(3)]`. */
  readonly fault: Fault | readonly Fault[];
}

/** Rules in order; the first one that matches and is not used up decides. */
export interface FaultScript {
  /** Appends a rule; returns how to follow it and take it back. */
  add(rule: FaultRule): { readonly hits: number; remove(): void };
  clear(): void;
  /** For the upstream: the faults of this request, and the rule's counters go on. */
  take(request: RequestRecord): readonly Fault[];
}

export function faultScript(rules: readonly FaultRule[] = []): FaultScript {
  let entries: { rule: FaultRule; seen: number; hits: number }[] = [];
  const script: FaultScript = {
    add(rule) {
      const entry = { rule, seen: 0, hits: 0 };
      entries.push(entry);
      return {
        get hits() {
          return entry.hits;
        },
        remove() {
          entries = entries.filter((other) => other !== entry);
        },
      };
    },
    clear() {
      entries = [];
    },
    take(request) {
      for (const entry of entries) {
        const { rule } = entry;
        if (entry.hits >= (rule.times ?? Number.POSITIVE_INFINITY) || !matches(rule.match, request)) continue;
        entry.seen += 1;
        if (entry.seen <= (rule.skip ?? 0)) continue;
        entry.hits += 1;
        return [rule.fault].flat();
      }
      return [];
    },
  };
  for (const rule of rules) script.add(rule);
  return script;
}

export function matches(match: RequestMatch, request: RequestRecord): boolean {
  if (typeof match === 'function') return match(request);
  if (typeof match === 'string') return request.path.endsWith(match);
  // `search` and not `test`: a global expression keeps a position between calls.
  return request.path.search(match) !== -1;
}
