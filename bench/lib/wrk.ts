/** Load by wrk: keep-alive GETs of one address for a fixed time, read back as numbers. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BenchError } from './bench-error.ts';

const run = promisify(execFile);

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Sent with each request, e.g. `Authorization: Bearer …`. Default: none. */
  readonly header?: string;
}

export interface WrkResult {
  readonly requests: number;
  readonly requestsPerS: number;
  /** Headers included. */
  readonly bytesPerS: number;
  readonly p99Ms: number;
}

/** Rejects with BenchError `client_failed` when a single request failed: a quick error page must not win. */
export async function wrk(options: WrkOptions): Promise<WrkResult> {
  const { url, connections, seconds } = options;
  const script = join(import.meta.dirname, 'wrk.lua');
  const header = options.header === undefined ? [] : ['-H', options.header];
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', ...header, '-s', script, url];
  const { stdout } = await run('wrk', args, { timeout: (seconds + 30) * 1000 });
  return parseWrk(stdout);
}

/** Reads the line that wrk.lua prints. */
export function parseWrk(text: string): WrkResult {
  const found = /^BENCH (\{.*\})$/m.exec(text);
  if (!found?.[1]) throw new BenchError('client_failed', `wrk printed no result: ${text}`);
  const { requests, bytes, durationUs, p99Us, badStatus, socketErrors } = JSON.parse(found[1]) as Record<
    'requests' | 'bytes' | 'durationUs' | 'p99Us' | 'badStatus' | 'socketErrors',
    number
  >;
  if (requests === 0 || badStatus > 0 || socketErrors > 0) {
    const counts = `of ${requests} requests ${badStatus} had a bad status, and ${socketErrors} sockets failed`;
    throw new BenchError('client_failed', `${counts}; look at the server's log`);
  }
  const seconds = durationUs / 1e6;
  return { requests, requestsPerS: requests / seconds, bytesPerS: bytes / seconds, p99Ms: p99Us / 1000 };
}
