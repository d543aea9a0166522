/** Test help: `/sumdb/` over databases' clients that are played by the test and write down what reaches them. */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { KeptSumdb } from '../store/store.ts';
import {
  type ProvenRecord,
  type SumdbAsker,
  type SumdbDatabase,
  SumdbError,
  type SumdbFigures,
  type SumdbHead,
  type SumdbTile,
  type TileWish,
} from '../sumdb/types.ts';
import { type Plan, plainPlan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { type PrivateAnswer, SumdbService } from './sumdb-service.ts';
import { contextOf, playedUpstream, type Says } from './test-proxy.ts';
import type { BytesReply, RequestContext } from './types.ts';

/** A note of a tree of this size; its signature is made up. */
export function noteOf(treeSize: number): Buffer {
  return Buffer.from(`go.sum database tree\n${treeSize}\nz=\n\n— sum.test sig\n`);
}

export class PlayedDatabase implements SumdbDatabase {
  readonly name: string;
  /** `head`, `lookup PATH@VERSION`, `tile LEVEL/N/WIDTH`, with `stored ` in front where only what is kept may be told. */
  readonly asked: string[] = [];
  readonly askers: SumdbAsker[] = [];
  readonly #clock: Clock;
  /** What is known here. */
  known: SumdbHead | undefined;
  /** What a source says; undefined: nobody answers. Default: that nobody does. */
  latest: () => Promise<SumdbHead | undefined> = async () => undefined;
  /** By `PATH@VERSION`, in the order of the log. What is not here is absent. */
  readonly records = new Map<string, string>();
  /** Thrown by lookups and tiles from now on. */
  fault: Error | undefined;
  onTile: (wish: TileWish) => SumdbTile;
  isForked = false;
  /** Lookups and tiles that had to be asked for. */
  fetched = 0;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
    this.onTile = ({ width }) => ({ bytes: Buffer.alloc(width * 32, 5), isProven: true, source: 'store' });
  }

  /** A head of this size that a source has confirmed so long ago. */
  headOf(treeSize: number, agoMs = 0): SumdbHead {
    return { note: noteOf(treeSize), treeSize, confirmedAtMs: this.#clock.now() - agoMs };
  }

  async lookup(path: ModulePath, version: Version, asker: SumdbAsker): Promise<ProvenRecord> {
    this.#write(`lookup ${path}@${version}`, asker);
    if (this.fault !== undefined) throw this.fault;
    const key = `${path}@${version}`;
    const text = this.records.get(key);
    if (text === undefined) {
      throw new SumdbError('absent', `${this.name} has no record of ${key}`, [
        { source: 'played', code: 'absent', message: 'not found', tookMs: 1 },
      ]);
    }
    const id = [...this.records.keys()].indexOf(key);
    return {
      path,
      version,
      id,
      text,
      zipH1: 'h1:x',
      modH1: 'h1:y',
      treeSize: this.known?.treeSize ?? id + 1,
    };
  }

  async head(asker: SumdbAsker, maxAgeMs: number): Promise<SumdbHead | undefined> {
    this.#write('head', asker);
    const ageMs =
      this.known === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() - this.known.confirmedAtMs;
    if (asker.storedOnly === true || ageMs <= maxAgeMs) return this.known;
    this.known = (await this.latest()) ?? this.known;
    return this.known;
  }

  async tile(wish: TileWish, asker: SumdbAsker): Promise<SumdbTile> {
    this.#write(`tile ${wish.level}/${wish.n}/${wish.width}`, asker);
    if (this.fault !== undefined) throw this.fault;
    return this.onTile(wish);
  }

  async fork(): Promise<undefined> {
    return undefined;
  }

  async reset(): Promise<void> {
    this.known = undefined;
  }

  get figures(): SumdbFigures {
    return {
      name: this.name,
      treeSize: this.known?.treeSize,
      isForked: this.isForked,
      lookups: { kept: 0, fetched: this.fetched, failed: 0 },
      tilesFetched: 0,
      refused: 0,
    };
  }

  #write(what: string, asker: SumdbAsker): void {
    this.asked.push(asker.storedOnly === true ? `stored ${what}` : what);
    this.askers.push(asker);
  }
}

export interface TestSumdbState {
  /** What the upstream and the databases' own address say. */
  says: (target: string) => Says | undefined;
  isOffline: boolean;
  mayAnswer: boolean;
  privateAnswer: PrivateAnswer | undefined;
}

/**
 * `/sumdb/` over `sum.test` and `sum.test/inner`, whose keys are known, and `passed.test`, whose key is not. Modules of
 * `corp.test` are private.
 */
export function makeTestSumdb() {
  const clock = new FakeClock();
  const state: TestSumdbState = {
    says: () => undefined,
    isOffline: false,
    mayAnswer: true,
    privateAnswer: undefined,
  };
  const database = new PlayedDatabase('sum.test', clock);
  const inner = new PlayedDatabase('sum.test/inner', clock);
  const upstream = playedUpstream((target) => state.says(target));
  const direct = playedUpstream((target) => state.says(target));
  const kept = new Map<string, KeptSumdb>();
  const plan = (...upstreams: Upstream[]): Plan =>
    plainPlan({ upstreams, answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 60_000 });
  const service = new SumdbService({
    clock,
    store: {
      keptSumdb: async (name, operation) => kept.get(`${name}/${operation}`),
      async keepSumdb(name, operation, body) {
        kept.set(`${name}/${operation}`, { body, keptAtMs: clock.now() });
        return true;
      },
    },
    databases: () => [
      { name: 'sum.test', direct: [direct], database },
      { name: 'sum.test/inner', direct: [direct], database: inner },
      { name: 'passed.test', direct: [direct], database: undefined },
    ],
    isOffline: () => state.isOffline,
    mayAnswer: () => state.mayAnswer,
    patienceMs: () => 2_000,
    plan: () => plan(upstream),
    directPlan: (address) => plan(address),
    isPrivate: (path) => path === 'corp.test' || path.startsWith('corp.test/'),
    privateAnswer: () => state.privateAnswer ?? 'not_found',
  });
  const ask = (rest: string, more: Partial<RequestContext> = {}): Promise<BytesReply> =>
    service.get(rest, contextOf(more));
  /** Everything that has left: to a database's client, to an upstream, to an own address. */
  const left = (): string[] => [...database.asked, ...inner.asked, ...upstream.asked, ...direct.asked];
  return { ask, left, clock, state, database, inner, upstream, direct, kept };
}

/** The record of `example.com/a@v1.0.0`. */
export const recordText = 'example.com/a v1.0.0 h1:x\nexample.com/a v1.0.0/go.mod h1:y\n';

/** The same with three records in `sum.test` under a head of nine, confirmed just now. */
export function makeProven() {
  const test = makeTestSumdb();
  const { database } = test;
  database.known = database.headOf(9);
  database.records.set('example.com/first@v1.0.0', 'example.com/first v1.0.0 h1:z\n');
  database.records.set('example.com/a@v1.0.0', recordText);
  database.records.set(
    'example.com/Azure@v2.0.0+incompatible',
    'example.com/Azure v2.0.0+incompatible h1:z\n',
  );
  return test;
}
