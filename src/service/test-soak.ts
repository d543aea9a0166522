/**
 * For the soak: a world of modules, three scripted upstreams, and everything of modferry from the plan to the store
 * (no sockets) under one fake clock; requests as clients make them, each judged by what the world knew.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { vi } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/snapshot.ts';
import type { HealthEvents } from '../health/types.ts';
import { parseRoute } from '../http/route.ts';
import { answerFor } from '../http/status.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { Reply } from '../proxy/types.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { Answering } from './answering.ts';
import { Mirrors } from './mirrors.ts';
import { Prover } from './prover.ts';
import {
  ScriptedUpstream,
  scriptedSet,
  seededRandom,
  type World,
  type WorldVersion,
} from './test-scripted.ts';

export interface SoakAnswer {
  readonly url: string;
  readonly askedMs: number;
  readonly endedMs: number;
  /** 0: the client left, or the transfer broke. */
  readonly status: number;
  readonly body: Buffer;
  readonly text: string;
}

export interface Switch {
  readonly atMs: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly cause: string;
}

export interface AskedBy {
  readonly signal?: AbortSignal;
  readonly revalidate?: boolean;
}

const upstreamCount = 3;
const moduleCount = 60;
export const soakMs = 600_000;
/** The longest request, and what it learned remembered after it. */
const longestMemoryMs = 150_000 + 61_000;

/** Two thirds are there from the beginning; the rest is born in the course of the soak, at each mirror a bit later. */
export function makeWorld(seed: number): World {
  const random = seededRandom(seed);
  const byPath = new Map<string, readonly WorldVersion[]>();
  for (let number = 0; number < moduleCount; number += 1) {
    const path = `example.com/m${number}`;
    const only = number % 5 === 3 ? Math.floor(random() * upstreamCount) : undefined;
    const versions = [0, 1, 2].map((nth): WorldVersion => {
      const firstMs = nth === 2 ? 30_000 + random() * (soakMs - 60_000) : 0;
      const bornMs = Array.from({ length: upstreamCount }, (_, index) => {
        if (only !== undefined && index !== only) return Number.POSITIVE_INFINITY;
        return firstMs === 0 ? 0 : firstMs + random() * 30_000;
      });
      return { module: fakeModule({ path, version: `v1.${nth}.0`, paddingBytes: 300 }), nth, bornMs };
    });
    byPath.set(path, versions);
  }
  return { byPath };
}

export class Soak {
  readonly clock: FakeClock;
  readonly world: World;
  readonly upstreams: readonly ScriptedUpstream[];
  readonly mirrors: Mirrors;
  readonly answering: Answering;
  readonly switches: Switch[] = [];
  /** Monotonic, by `path@version.ext`. */
  readonly storedAtMs = new Map<string, number>();
  /** Monotonic: since when a module is known to exist, by what was stored or listed. */
  readonly knownAtMs = new Map<string, number>();
  readonly #store: FsStore;
  readonly #folder: string;
  /** By upstream, at each look: was it out, resting, or its breaker not closed? Monotonic. */
  readonly #looks: readonly { readonly atMs: number; readonly isLost: boolean }[][];
  /** When something of a version was asked for, by `path@version`, or by URL where there is none. Monotonic. */
  readonly #askedMs = new Map<string, number[]>();
  readonly #underWay = new Set<Promise<unknown>>();
  /** Nothing else tells that a thread is at work. */
  readonly #verify = vi.spyOn(ZipVerifier.prototype, 'verify');

  private constructor(
    facts: { folder: string; seed: number; world: World },
    built: { clock: FakeClock; config: Config; store: FsStore; upstreams: readonly ScriptedUpstream[] },
  ) {
    const { clock, config, store, upstreams } = built;
    this.clock = clock;
    this.world = facts.world;
    this.upstreams = upstreams;
    this.#folder = facts.folder;
    this.#store = store;
    this.#looks = upstreams.map(() => []);
    const ingest = new EventBus<IngestEvents>();
    const health = new EventBus<HealthEvents>();
    const set = scriptedSet(upstreams);
    this.mirrors = new Mirrors(
      {
        clock,
        random: seededRandom(facts.seed + 99),
        events: health,
        dataDir: facts.folder,
        config: () => config,
        onControls: () => {},
      },
      set,
    );
    this.answering = new Answering({
      clock,
      store,
      events: ingest,
      mirrors: this.mirrors,
      registry: { tombstoneOf: () => undefined },
      prover: new Prover(
        {
          clock,
          store,
          trusted: { find: () => undefined, ready: Promise.resolve() },
          sumdb: new EventBus(),
          checksums: new EventBus(),
          plan: () => this.mirrors.plan(undefined, 'meta'),
          directPlan: (direct) => this.mirrors.directPlan(direct),
          isOffline: () => this.mirrors.isOffline(),
        },
        set,
      ),
      config: () => config,
      set: () => set,
    });
    ingest.on('published', ({ key }) => {
      const nowMs = clock.monotonic();
      this.storedAtMs.set(`${key.path}@${key.version}.${key.ext}`, nowMs);
      this.#noteKnown(key.path);
    });
    health.on('switched', ({ from, to, cause }) =>
      this.switches.push({ atMs: clock.monotonic(), from, to, cause }),
    );
    health.on('state', () => this.#look());
    health.on('rest', () => this.#look());
    health.on('breaker', () => this.#look());
  }

  /** `folder` is an empty one. */
  static async start(folder: string, seed: number): Promise<Soak> {
    const clock = new FakeClock();
    const world = makeWorld(seed);
    const upstreams = Array.from(
      { length: upstreamCount },
      (_, index) =>
        new ScriptedUpstream({
          name: `up${index}`,
          index,
          seed: seed * 1000 + index,
          clock,
          world,
          wellFromMs: soakMs,
          hasRanges: index < 2,
        }),
    );
    const [{ config }, store] = await Promise.all([loadConfig({ env: {} }), openFsStore({ folder, clock })]);
    const soak = new Soak({ folder, seed, world }, { clock, config, store, upstreams });
    await soak.mirrors.open();
    return soak;
  }

  /** Asks as a client does and reads to the end. Never rejects. */
  ask(url: string, by: AskedBy = {}): Promise<SoakAnswer> {
    const asking = this.#ask(url, by);
    this.#underWay.add(asking);
    void asking.then(() => this.#underWay.delete(asking));
    return asking;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Moves the clock by `ms` and lets what the file system and the thread do come to its end. */
  async step(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.#settle();
    this.#look();
  }

  /** Why this 404 or 410 is wrong by ruling 1; undefined when it is right. */
  faultOfAbsence({ url, askedMs, endedMs }: SoakAnswer): string | undefined {
    const [path = '', file = ''] = url.slice(1).split(/\/@v?\/?/);
    const storedMs = this.storedAtMs.get(`${path}@${file}`);
    if (storedMs !== undefined && storedMs < askedMs) return `it was stored ${askedMs - storedMs} ms before`;
    // An agreed absence is remembered for 60 s, one that not everybody confirmed for 10 s.
    const isRemembered = this.#askedMs
      .get(subjectOf(url))
      ?.some((atMs) => atMs < askedMs && atMs > askedMs - longestMemoryMs);
    const agreedMs = isRemembered === true ? askedMs - 61_000 : askedMs;
    const partialMs = isRemembered === true ? askedMs - 11_000 : askedMs;
    if (this.upstreams.every((_, index) => !this.#wasSeen(index, false, agreedMs, endedMs))) {
      return 'no upstream was in use';
    }
    const isKnown = (this.knownAtMs.get(path) ?? Number.POSITIVE_INFINITY) < partialMs;
    for (const [index, upstream] of this.upstreams.entries()) {
      if (upstream.saysAbsentWithin(url, Math.max(0, agreedMs), endedMs)) continue;
      // Who is out, or has an open breaker, does not count as one that could know.
      if (this.#wasSeen(index, true, partialMs, endedMs)) continue;
      if (upstream.isWellThroughout(partialMs, endedMs)) return `${upstream.name} has it, and is well`;
      if (isKnown) return `the path is known, and ${upstream.name}, which has it, did not say 404`;
    }
    return undefined;
  }

  /** Versions of which all three files were stored before `atMs`. */
  storedVersions(path: string, atMs: number): string[] {
    return (this.world.byPath.get(path) ?? [])
      .map(({ module }) => module.version)
      .filter((version) =>
        ['info', 'mod', 'zip'].every(
          (ext) => (this.storedAtMs.get(`${path}@${version}.${ext}`) ?? Number.POSITIVE_INFINITY) < atMs,
        ),
      );
  }

  /** Names of files that are being received, of every process that used the folder. */
  async staged(): Promise<string[]> {
    const runs = await readdir(join(this.#folder, 'run'));
    const each = runs.map((run) => readdir(join(this.#folder, 'run', run, 'staging')).catch(() => []));
    return (await Promise.all(each)).flat();
  }

  async close(): Promise<void> {
    this.mirrors.close();
    await this.answering.close();
    await this.#store.close();
    this.#verify.mockRestore();
  }

  async #ask(url: string, { signal, revalidate = false }: AskedBy): Promise<SoakAnswer> {
    const askedMs = this.clock.monotonic();
    const subject = subjectOf(url);
    this.#askedMs.set(subject, [...(this.#askedMs.get(subject) ?? []), askedMs]);
    const leaves = signal ?? new AbortController().signal;
    const ended = (status: number, body: Buffer = Buffer.alloc(0), text = ''): SoakAnswer => {
      return { url, askedMs, endedMs: this.clock.monotonic(), status, body, text };
    };
    try {
      const route = parseRoute(url, '');
      if (route.kind !== 'protocol') throw new TypeError(`${url} is not of the protocol`);
      const reply = await this.answering.proxy.handle(route.operation, {
        id: 'soak',
        client: `client ${url.length % 5}`,
        signal: leaves,
        storedOnly: false,
        revalidate,
        wholeOnly: false,
        noHold: false,
        via: [],
      });
      const body = await readReply(reply, leaves);
      if (body === undefined) return ended(0);
      if (url.endsWith('/list') && body.length > 0) this.#noteKnown(url.slice(1, url.indexOf('/@')));
      return ended(200, body);
    } catch (error) {
      if (leaves.aborted) return ended(0);
      const { status, text } = answerFor(error, 30);
      return ended(status, Buffer.alloc(0), text);
    }
  }

  #noteKnown(path: string): void {
    if (!this.knownAtMs.has(path)) this.knownAtMs.set(path, this.clock.monotonic());
  }

  #wasSeen(index: number, isLost: boolean, fromMs: number, toMs: number): boolean {
    const looks = this.#looks[index] ?? [];
    // The last one before that time still held when it began.
    const first = Math.max(
      0,
      looks.findLastIndex(({ atMs }) => atMs <= fromMs),
    );
    return looks.slice(first).some((look) => look.atMs <= toMs && look.isLost === isLost);
  }

  #look(): void {
    const atMs = this.clock.monotonic();
    for (const [index, { state, breaker, restUntilMs }] of this.mirrors.figures().entries()) {
      const rests = restUntilMs !== undefined && restUntilMs > this.clock.now();
      const isLost = state === 'out' || breaker !== 'closed' || rests;
      this.#looks[index]?.push({ atMs, isLost });
    }
  }

  /** Real work takes no simulated time: waits until the event loop has nothing under way but timers. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const isVerifying = this.#verify.mock.settledResults.some(({ type }) => type === 'incomplete');
      if (!isVerifying) this.#verify.mockClear();
      const isBusy = isVerifying || process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));
      quiet = isBusy ? 0 : quiet + 1;
    }
  }
}

/** What is remembered together: the files of a version, or one URL. */
function subjectOf(url: string): string {
  return url.replace(/(\/@v\/v\d+\.\d+\.\d+)\.\w+$/, '$1');
}

/** As `http/` reads it. Undefined: the transfer broke after its first byte. */
async function readReply(reply: Reply, signal: AbortSignal): Promise<Buffer | undefined> {
  switch (reply.kind) {
    case 'bytes':
      return reply.body;
    case 'file':
      try {
        return await reply.file.readAll();
      } finally {
        await reply.file.close();
      }
    case 'growing': {
      const { follower, opened } = reply;
      try {
        return await readOn(
          (target, position) => follower.readAt(target, target.length, position, signal),
          opened.sizeBytes,
        );
      } finally {
        follower.leave();
      }
    }
    case 'passing': {
      const { body } = reply;
      try {
        return await readOn(
          (target, position) => body.readAt(target, target.length, position),
          body.sizeBytes,
        );
      } finally {
        body.close();
      }
    }
    default:
      return reply satisfies never;
  }
}

async function readOn(
  readAt: (target: Buffer, position: number) => Promise<number>,
  sizeBytes: number | undefined,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let position = 0;
  try {
    for (;;) {
      if (position === sizeBytes) return Buffer.concat(chunks);
      const target = Buffer.alloc(700);
      const count = await readAt(target, position);
      if (count === 0) return sizeBytes === undefined ? Buffer.concat(chunks) : undefined;
      chunks.push(target.subarray(0, count));
      position += count;
    }
  } catch (error) {
    if (position > 0) return undefined;
    throw error;
  }
}
