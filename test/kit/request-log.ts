/**
 * What a fake upstream remembers of each request, and ways to wait for one. All waiting is by event, and every
 * wait ends with a text that lists what was seen instead.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { ModferryError } from '../../src/lib/errors.ts';
import { matches, type RequestMatch } from './faults.ts';

export class KitTimeout extends ModferryError<'kit_timeout'> {}

/** One request as it arrived. The counters go on until `done` resolves. */
export interface RequestRecord {
  readonly method: string;
  /** The request target as sent. */
  readonly url: string;
  /** Path without query, percent-decoded once and unescaped: `/github.com/Azure/x/@v/v1.0.0.mod`. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds since the upstream started, monotonic. */
  readonly atMs: number;
  /** Number of the socket it came on, from 1. */
  readonly socketId: number;
  /** Which request on its socket it is, from 1. */
  readonly requestOnSocket: number;
  /** Status sent; undefined while none was. */
  status: number | undefined;
  /** Bytes of the body handed to the system. */
  bytesSent: number;
  /** True when the client left before the reply was complete. */
  aborted: boolean;
  /** Resolves when the reply is over, one way or another. */
  readonly done: Promise<void>;
}

export interface WaitOptions {
  /** How many matching requests must have come. Default 1. */
  readonly count?: number;
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

export interface RequestLog {
  readonly requests: readonly RequestRecord[];
  add(record: RequestRecord): void;
  clear(): void;
  /** How many requests match so far. */
  readonly count: (match: RequestMatch) => number;
  /**
   * Resolves to the `count`-th matching request, which may have come already. Rejects with KitTimeout, naming what
   * came instead.
   */
  readonly waitFor: (match: RequestMatch, options?: WaitOptions) => Promise<RequestRecord>;
}

export function requestLog(): RequestLog {
  const records: RequestRecord[] = [];
  const watchers = new Set<() => void>();
  const nth = (match: RequestMatch, count: number): RequestRecord | undefined =>
    records.filter((record) => matches(match, record))[count - 1];
  return {
    requests: records,
    add(record) {
      records.push(record);
      for (const watcher of watchers) watcher();
    },
    clear() {
      records.length = 0;
    },
    count: (match) => records.filter((record) => matches(match, record)).length,
    waitFor(match, { count = 1, timeoutMs = 10_000 } = {}) {
      return new Promise((resolve, reject) => {
        const check = (): void => {
          const found = nth(match, count);
          if (found) {
            end();
            resolve(found);
          }
        };
        const timer = setTimeout(() => {
          end();
          const seen = records.map((record) => `${record.method} ${record.path}`).join(', ');
          const text = `request ${count} matching ${String(match)} did not come in ${timeoutMs} ms; seen: ${seen || 'none'}`;
          reject(new KitTimeout('kit_timeout', text));
        }, timeoutMs);
        const end = (): void => {
          clearTimeout(timer);
          watchers.delete(check);
        };
        watchers.add(check);
        check();
      });
    },
  };
}
