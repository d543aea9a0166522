/**
 * The product under test, started by its own launcher with an environment of its own. Its log goes to a file, as on a
 * server: a pipe into the bench would make the bench part of the load.
 */
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { type ModferryProcess, startModferry } from '../../test/kit/modferry-process.ts';
import { BenchError } from './bench-error.ts';

export interface ModferryOptions {
  /** Where it stores. Default: a temporary folder, removed at the end. */
  readonly dataDir?: string;
  /** Undefined: none given, so that it asks this machine's Go settings, as with zero configuration. */
  readonly upstreamUrl: string | undefined;
  /** E.g. `MODFERRY_LOG_ACCESS`. `GOSUMDB` is `off` unless it is given here; everything else is as it comes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Takes stderr, the access log included. Default /dev/null. */
  readonly logFile?: string;
}

/** Starts one on a free port of 127.0.0.1. Rejects with what it wrote to stderr when it does not listen. */
export async function startProduct(options: ModferryOptions): Promise<ModferryProcess> {
  const { dataDir, upstreamUrl, env = {}, logFile = '/dev/null' } = options;
  const plain = {
    args: upstreamUrl === undefined ? [] : ['--upstream', upstreamUrl],
    env: { BENCH_LOG: logFile, GOSUMDB: 'off', ...profiling(), ...env },
    ...(dataDir === undefined ? {} : { dataDir }),
  };
  const launcher = process.env['MODFERRY_BENCH_LAUNCHER'] ?? join(import.meta.dirname, '../../bin/modferry');
  try {
    return await startModferry({
      ...plain,
      command: ['/bin/sh', '-c', 'exec "$0" "$@" 2>>"$BENCH_LOG"', launcher],
    });
  } catch (error) {
    // What it said went with its log: once more, only to hear it.
    await (await startModferry({ ...plain, command: [launcher] })).close();
    throw error;
  }
}

/** `MODFERRY_BENCH_NODE_OPTIONS='--cpu-prof --cpu-prof-dir=DIR'` profiles what the bench starts. */
function profiling(): Record<string, string> {
  const options = process.env['MODFERRY_BENCH_NODE_OPTIONS'];
  return options === undefined ? {} : { NODE_OPTIONS: options };
}

export interface LookAheadCounts {
  readonly started: number;
  readonly used: number;
  readonly usedBytes: number;
  readonly unasked: number;
  readonly unaskedBytes: number;
  readonly dropped: number;
}

/** What the admin socket's `GET /status` says of look-ahead. */
export async function lookAheadCounts(dataDir: string): Promise<LookAheadCounts> {
  return ((await adminGet(dataDir, '/status')) as { lookAhead: LookAheadCounts }).lookAhead;
}

export interface ProofCounts {
  readonly name: string;
  readonly lookups: { readonly kept: number; readonly fetched: number; readonly failed: number };
  readonly tilesFetched: number;
}

/** What the admin socket's `GET /sumdb` says of the databases whose key is known. */
export async function proofCounts(dataDir: string): Promise<readonly ProofCounts[]> {
  return ((await adminGet(dataDir, '/sumdb')) as { databases: readonly ProofCounts[] }).databases;
}

async function adminGet(dataDir: string, path: string): Promise<unknown> {
  const [instance] = await readdir(join(dataDir, 'run'));
  if (instance === undefined) throw new BenchError('server_failed', `no instance runs on ${dataDir}`);
  return getJson(join(dataDir, 'run', instance, 'admin.sock'), path);
}

function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch (cause) {
          reject(new BenchError('wrong_answer', `the admin socket said: ${text}`, { cause }));
        }
      });
    });
    ask.on('error', reject);
    ask.end();
  });
}
