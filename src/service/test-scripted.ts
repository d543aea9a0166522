/**
 * For the soak: an upstream in memory that lives on the fake clock and is well or ill by a script of phases drawn from
 * a seed, and what it would have said at any time.
 */

import { createHash } from 'node:crypto';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import type { Clock } from '../lib/clock.ts';
import { directRule } from '../outbound/proxy-rule.ts';
import { testRoutes } from '../route/test-routes.ts';
import { abortError } from '../upstream/classify-error.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamRequest,
} from '../upstream/types.ts';
import type { UpstreamSet } from './upstream-set.ts';

/** From 0 up to 1; the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const illMoods = [
  'slow', // 3 s to each answer
  'hangs',
  'refuses',
  'resets', // before the status line, or in mid-body
  '500',
  '429',
  '503',
  'truncates',
  'stalls', // in mid-body
  'drips',
  'flips', // inverts one byte
  'html', // a log-in page for everything
  'other', // another version's bytes
  'lags', // knows the first version of each module only
  'empty', // empty lists, no @latest
] as const;
export type Mood = 'well' | (typeof illMoods)[number];

interface Phase {
  readonly mood: Mood;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** One version of the world, and since when each upstream has it (monotonic; infinite: never). */
export interface WorldVersion {
  readonly module: FakeModule;
  /** 0 for the first version of its module. */
  readonly nth: number;
  readonly bornMs: readonly number[];
}

export interface World {
  readonly byPath: ReadonlyMap<string, readonly WorldVersion[]>;
}

export interface ScriptedUpstreamOptions {
  readonly name: string;
  /** Which of `bornMs` is its own. */
  readonly index: number;
  readonly seed: number;
  readonly clock: Clock;
  readonly world: World;
  /** Monotonic: well for ever after it. */
  readonly wellFromMs: number;
  /** False: no ETag and no ranges. */
  readonly hasRanges: boolean;
}

/** What a target asks about. */
type Question =
  | { readonly kind: 'list' | 'latest' | 'query'; readonly path: string }
  | { readonly kind: 'artifact'; readonly path: string; readonly version: string; readonly ext: string };

const idleMs = 18_750;
const lastHopeMs = 60_000;
const page = Buffer.from(
  '<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please log in.</body></html>\n',
);

export class ScriptedUpstream implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError = false;
  readonly phases: readonly Phase[];
  requests = 0;
  readonly #options: ScriptedUpstreamOptions;
  readonly #random: () => number;

  constructor(options: ScriptedUpstreamOptions) {
    this.name = options.name;
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.phases = drawPhases(options.wellFromMs, this.#random);
  }

  moodAt(atMs: number): Mood {
    return this.phases.find(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs)?.mood ?? 'well';
  }

  /** Well all the time from one moment to the other. */
  isWellThroughout(fromMs: number, toMs: number): boolean {
    return this.#phasesIn(fromMs, toMs).every(({ mood }) => mood === 'well');
  }

  /** True when it would have said 404 to this target at some moment of that time. */
  saysAbsentWithin(target: string, fromMs: number, toMs: number): boolean {
    const question = questionOf(target);
    if (question === undefined) return true;
    return this.#phasesIn(fromMs, toMs).some(
      (phase) => this.#answer(question, phase.mood, Math.max(phase.fromMs, fromMs)) === undefined,
    );
  }

  async fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { signal, target } = request;
    this.requests += 1;
    if (signal.aborted) throw abortError(this.name, signal);
    const mood = this.moodAt(this.#nowMs());
    const startedMs = this.#nowMs();
    await this.#beforeHead(mood, signal);
    const question = questionOf(target);
    const truth = question === undefined ? undefined : this.#answer(question, mood, startedMs);
    const isPage = mood === 'html';
    if (truth === undefined && !isPage) throw this.#error('absent', 'answered 404', { status: 404 });
    const bytes = isPage || truth === undefined ? page : this.#altered(truth, mood);
    return this.#answerWith(bytes, truth ?? page, mood, request, this.#nowMs() - startedMs);
  }

  async close(): Promise<void> {}

  async #beforeHead(mood: Mood, signal: AbortSignal): Promise<void> {
    switch (mood) {
      case 'slow':
        return this.#wait(3_000, signal);
      case 'hangs':
        await this.#wait(lastHopeMs, signal);
        throw this.#error('timeout', 'no first byte within 60 s');
      case 'refuses':
        await this.#wait(1, signal);
        throw this.#error('connect', 'connection refused');
      case 'resets':
        await this.#wait(20, signal);
        if (this.#random() < 0.5) throw this.#error('reset', 'connection reset');
        return;
      case '500':
        await this.#wait(20, signal);
        throw this.#error('status', 'answered 500', { status: 500 });
      case '429':
        await this.#wait(20, signal);
        throw this.#error('status', 'answered 429', {
          status: 429,
          retryAfterMs: this.#between(1, 20) * 1000,
        });
      case '503': {
        await this.#wait(20, signal);
        const retryAfter = this.#random() < 0.5 ? {} : { retryAfterMs: this.#between(1, 20) * 1000 };
        throw this.#error('status', 'answered 503', { status: 503, ...retryAfter });
      }
      default:
        return this.#wait(this.#between(20, 120), signal);
    }
  }

  #answerWith(
    bytes: Buffer,
    truth: Buffer,
    mood: Mood,
    request: UpstreamRequest,
    firstByteMs: number,
  ): UpstreamAnswer {
    const { hasRanges } = this.#options;
    // As mirrors do that keep the sum beside a file which rots: the tag is the right one's.
    const etag = hasRanges ? `"${createHash('sha256').update(truth).digest('hex')}"` : undefined;
    const { fromByte = 0, ifRange } = request;
    const isGranted =
      hasRanges && fromByte > 0 && fromByte < bytes.length && (ifRange === undefined || ifRange === etag);
    const offset = isGranted ? fromByte : 0;
    const sent = bytes.subarray(offset);
    const dropped = new AbortController();
    return {
      upstream: this.name,
      contentLength: hasRanges ? sent.length : undefined,
      offset,
      totalBytes: hasRanges ? bytes.length : undefined,
      idleMs: 15_000,
      contentType: mood === 'html' && this.#random() < 0.5 ? 'text/html' : 'application/octet-stream',
      etag,
      lastModified: undefined,
      firstByteMs,
      body: this.#body(sent, mood, request.signal, dropped.signal),
      cancel: () => dropped.abort(),
    };
  }

  async *#body(
    bytes: Buffer,
    mood: Mood,
    asked: AbortSignal,
    dropped: AbortSignal,
  ): AsyncGenerator<Buffer, void, void> {
    const signal = AbortSignal.any([asked, dropped]);
    const isZip = bytes.length > 600;
    const pieceBytes = mood === 'drips' ? (isZip ? 200 : 10) : Math.max(1, Math.ceil(bytes.length / 4));
    const breaksAt = Math.floor(bytes.length / 2);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await this.#wait(mood === 'drips' ? 1_000 : 5, signal);
      const isBroken = at + pieceBytes > breaksAt;
      if (isBroken && mood === 'truncates') throw this.#error('truncated', 'sent half of it');
      if (isBroken && mood === 'resets') throw this.#error('reset', 'connection reset');
      if (isBroken && mood === 'stalls') {
        await this.#wait(idleMs, signal);
        throw this.#error('timeout', 'stalled');
      }
      yield bytes.subarray(at, at + pieceBytes);
    }
  }

  /** Undefined: 404. */
  #answer(question: Question, mood: Mood, atMs: number): Buffer | undefined {
    const { world, index } = this.#options;
    const had = (world.byPath.get(question.path) ?? []).filter(
      ({ bornMs, nth }) =>
        (bornMs[index] ?? Number.POSITIVE_INFINITY) <= atMs && (mood !== 'lags' || nth === 0),
    );
    const newest = had.at(-1);
    if (newest === undefined) return undefined;
    switch (question.kind) {
      case 'list':
        return Buffer.from(mood === 'empty' ? '' : had.map(({ module }) => `${module.version}\n`).join(''));
      case 'latest':
        return mood === 'empty' ? undefined : newest.module.info;
      case 'query':
        return newest.module.info;
      default: {
        const asked = had.find(({ module }) => module.version === question.version);
        if (asked === undefined) return undefined;
        return mood === 'other' ? this.#anotherFile(asked, question.ext) : fileOf(asked.module, question.ext);
      }
    }
  }

  /**
   * Wrong in a way that can be known without a checksum database: one good go.mod looks like another, so for it an
   * .info comes.
   */
  #anotherFile({ module, nth }: WorldVersion, ext: string): Buffer {
    const versions = this.#options.world.byPath.get(module.path) ?? [];
    const other = versions[(nth + 1) % versions.length]?.module ?? module;
    return ext === 'mod' ? other.info : fileOf(other, ext);
  }

  #altered(truth: Buffer, mood: Mood): Buffer {
    if (mood !== 'flips' || truth.length === 0) return truth;
    const copy = Buffer.from(truth);
    const at = Math.floor(this.#random() * copy.length);
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer.cancel();
        reject(abortError(this.name, signal));
      };
      const timer = this.#options.clock.setTimeout(() => {
        signal.removeEventListener('abort', leave);
        resolve();
      }, ms);
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
    });
  }

  #error(
    code: UpstreamError['code'],
    message: string,
    options: { status?: number; retryAfterMs?: number } = {},
  ): UpstreamError {
    return new UpstreamError(this.name, code, message, options);
  }

  #phasesIn(fromMs: number, toMs: number): Phase[] {
    return this.phases.filter((phase) => phase.fromMs <= toMs && phase.untilMs > fromMs);
  }

  #between(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }

  #nowMs(): number {
    return this.#options.clock.monotonic();
  }
}

/** More than half of the time well, else in each illness; the end is well. */
function drawPhases(wellFromMs: number, random: () => number): Phase[] {
  const phases: Phase[] = [];
  let atMs = 0;
  while (atMs < wellFromMs) {
    const ill = illMoods[Math.floor(random() * illMoods.length)] ?? 'hangs';
    const mood = random() < 0.6 ? 'well' : ill;
    const untilMs = Math.min(wellFromMs, atMs + 2_000 + random() * 58_000);
    phases.push({ mood, fromMs: atMs, untilMs });
    atMs = untilMs;
  }
  phases.push({ mood: 'well', fromMs: atMs, untilMs: Number.POSITIVE_INFINITY });
  return phases;
}

function questionOf(target: string): Question | undefined {
  const latest = /^\/(.+)\/@latest$/.exec(target);
  if (latest?.[1] !== undefined) return { kind: 'latest', path: latest[1] };
  const [, path, name] = /^\/(.+)\/@v\/([^/]+)$/.exec(target) ?? [];
  if (path === undefined || name === undefined) return undefined;
  if (name === 'list') return { kind: 'list', path };
  const [, version, ext] = /^(v\d+\.\d+\.\d+)\.(info|mod|zip)$/.exec(name) ?? [];
  if (version !== undefined && ext !== undefined) return { kind: 'artifact', path, version, ext };
  return name === 'main.info' ? { kind: 'query', path } : undefined;
}

export function fileOf(module: FakeModule, ext: string): Buffer {
  if (ext === 'info') return module.info;
  return ext === 'mod' ? module.mod : module.zip;
}

/** What a configuration with these upstreams means, with checksums off. */
export function scriptedSet(upstreams: readonly ScriptedUpstream[]): UpstreamSet {
  return {
    members: upstreams.map((upstream) => ({
      upstream,
      url: `http://${upstream.name}.test`,
      level: 1,
      weight: 100,
      probe: undefined,
      options: {
        name: upstream.name,
        url: `http://${upstream.name}.test`,
        version: '0.0.0',
        instanceId: 'soak',
      },
    })),
    end: 'none',
    endsDirect: false,
    routes: testRoutes(),
    isPrivate: () => false,
    builtIn: [],
    direct: undefined,
    outbound: directRule,
    checksums: { mode: () => 'off', isOutside: () => false },
    privatePatterns: [],
    databases: [],
    proving: undefined,
    origin: 'configuration',
    warnings: [],
    retire: async () => {},
    close: async () => {},
  };
}
