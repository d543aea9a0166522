/** Test help: databases over lying logs behind real upstreams, and a store in memory that several may share. */
import { onTestFinished } from 'vitest';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { type SumdbLog, type SumdbLogOptions, startSumdbLog } from '../../test/kit/sumdb-log.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import { parseCanonicalVersion } from '../gomod/version.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { KeptSumdb, SumdbState } from '../store/store.ts';
import { createHttpUpstream } from '../upstream/http-upstream.ts';
import { plainPlan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { Database, type DatabaseDeps } from './database.ts';
import type { ProvenRecord, SumdbAsker, SumdbDatabase, SumdbEvents } from './types.ts';

/** What several processes on one folder share. */
export class MemoryStore {
  /** By operation. */
  readonly files = new Map<string, Buffer>();
  readonly states = new Map<SumdbState, Buffer>();
  /** Errors of these methods from now on. */
  fails: { read?: Error; swap?: Error; keep?: Error } = {};
  reads = 0;

  async keptSumdb(_name: string, operation: string): Promise<KeptSumdb | undefined> {
    const body = this.files.get(operation);
    return body === undefined ? undefined : { body, keptAtMs: 0 };
  }

  async keepSumdb(_name: string, operation: string, body: Buffer): Promise<boolean> {
    if (this.fails.keep !== undefined) throw this.fails.keep;
    this.files.set(operation, Buffer.from(body));
    return true;
  }

  async *keptLookups(): AsyncGenerator<string> {
    for (const operation of this.files.keys()) if (operation.startsWith('lookup/')) yield operation;
  }

  async readSumdbState(_name: string, state: SumdbState): Promise<Buffer | undefined> {
    this.reads += 1;
    if (this.fails.read !== undefined) throw this.fails.read;
    return this.states.get(state);
  }

  async swapSumdbState(
    _name: string,
    state: SumdbState,
    expected: Buffer | undefined,
    next: Buffer | undefined,
  ): Promise<boolean> {
    if (this.fails.swap !== undefined) throw this.fails.swap;
    const there = this.states.get(state);
    const isExpected =
      there === undefined || expected === undefined ? there === expected : there.equals(expected);
    if (!isExpected) return false;
    if (next === undefined) this.states.delete(state);
    else this.states.set(state, Buffer.from(next));
    return true;
  }

  /** One bit of a kept file. */
  flip(operation: string, atByte: number): void {
    const body = this.files.get(operation);
    if (body === undefined) throw new Error(`${operation} is not kept`);
    body[atByte] = (body[atByte] ?? 0) ^ 1;
  }

  /** Size in the kept head. */
  get headSize(): number | undefined {
    const bytes = this.states.get('head');
    if (bytes === undefined) return undefined;
    return Number((JSON.parse(bytes.toString()) as { note: string }).note.split('\n')[1]);
  }
}

/** What was told, as short texts in their order. */
export type Told = string[];

export interface OpenOptions {
  readonly store?: DatabaseDeps['store'];
  readonly clock?: Clock;
  readonly upstreams?: readonly Upstream[];
  readonly direct?: readonly Upstream[];
  /** Default 5,000: of real time, unless a clock is given. */
  readonly firstByteMs?: number;
  readonly verifierKey?: string;
  readonly isOffline?: () => boolean;
}

/** A log, `up` in front of it, and databases over them; all ends with the test. */
export async function makeWorld(options: SumdbLogOptions = {}) {
  const log = await startLog(options);
  const up = await upstreamOf(log, 'up');
  const store = new MemoryStore();
  const open = (more: OpenOptions = {}) => openDatabase(log, { store, upstreams: [up], ...more });
  return { log, up, store, open };
}

export async function startLog(options: SumdbLogOptions = {}): Promise<SumdbLog> {
  const log = await startSumdbLog(options);
  onTestFinished(log.close);
  return log;
}

/** A mirror that passes the log through. */
export async function upstreamOf(log: SumdbLog, name: string): Promise<Upstream> {
  const server = await startFakeUpstream({ sumdb: log.handler });
  onTestFinished(server.close);
  return upstreamAt(server.url, name);
}

export function upstreamAt(url: string, name: string): Upstream {
  const upstream = createHttpUpstream({ name, url, version: '1.2.3', instanceId: 'me' });
  onTestFinished(() => upstream.close());
  return upstream;
}

export function openDatabase(log: Pick<SumdbLog, 'name' | 'verifierKey'>, options: OpenOptions) {
  const { clock = systemClock, direct = [], firstByteMs = 5_000, store = new MemoryStore() } = options;
  const events = new EventBus<SumdbEvents>();
  const told: Told = [];
  events.on('head', ({ from, to }) => told.push(`head ${from} ${to}`));
  events.on('refused', ({ source, what, reason }) => told.push(`refused ${source} ${what}: ${reason}`));
  events.on('forked', ({ source, knownSize, otherSize }) =>
    told.push(`forked ${source} ${knownSize} ${otherSize}`),
  );
  events.on('rotten', ({ what, isTrustLost }) =>
    told.push(`rotten ${what}${isTrustLost ? ', trust lost' : ''}`),
  );
  events.on('reset', ({ reason }) => told.push(`reset ${reason}`));
  const planOf = (upstreams: readonly Upstream[]) =>
    plainPlan({ upstreams, answerClass: 'meta', firstByteMs, lastHopeMs: 30_000 });
  const deps: DatabaseDeps = {
    spec: { name: log.name, verifierKey: options.verifierKey ?? log.verifierKey, direct },
    clock,
    store,
    plan: () => planOf(options.upstreams ?? []),
    directPlan: (one) => planOf([one]),
    events,
    isOffline: options.isOffline ?? (() => false),
  };
  const database = new Database(deps);
  onTestFinished(() => database.close());
  const lookup = (
    module: { readonly path: string; readonly version: string },
    asker: Partial<SumdbAsker> = {},
  ) => lookUp(database, module, asker);
  return { database, told, lookup };
}

export function lookUp(
  database: Pick<SumdbDatabase, 'lookup'>,
  { path, version }: { readonly path: string; readonly version: string },
  asker: Partial<SumdbAsker> = {},
): Promise<ProvenRecord> {
  const canonical = parseCanonicalVersion(path, version);
  if (canonical === undefined) throw new Error(`${version} is no version of ${path}`);
  return database.lookup(parseModulePath(path), canonical, askerOf(asker));
}

export function askerOf(more: Partial<SumdbAsker> = {}): SumdbAsker {
  return { signal: new AbortController().signal, ...more };
}
