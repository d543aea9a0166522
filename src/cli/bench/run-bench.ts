/**
 * The measuring itself: rounds over modules and kinds, in each of them one mirror after the other, so that noise hits
 * all alike. It stops at once when told to and gives what it has.
 */
import { escapePath } from '../../gomod/module-path.ts';
import type { Version } from '../../gomod/types.ts';
import { escapeVersion } from '../../gomod/version.ts';
import type { Clock } from '../../lib/clock.ts';
import { AnswerChecks } from './answer-check.ts';
import {
  type BenchKind,
  type BenchMirror,
  type BenchModule,
  benchKinds,
  type Measured,
  type Sample,
} from './bench-types.ts';
import { MirrorClient } from './mirror-client.ts';

export interface BenchPlan {
  readonly mirrors: readonly BenchMirror[];
  readonly modules: readonly BenchModule[];
  readonly rounds: number;
  /** Requests at once, over all mirrors. */
  readonly concurrency: number;
  /** For one request with its redirects and its body. */
  readonly timeoutMs: number;
  /** True where a module must not be asked of that mirror. */
  readonly isKeptFrom: (module: BenchModule, mirror: BenchMirror) => boolean;
}

export interface BenchRun {
  readonly clock: Clock;
  /** Of this modferry. */
  readonly version: string;
  readonly signal: AbortSignal;
  readonly onSample: (sample: Sample) => void;
}

interface Task {
  readonly round: number;
  readonly module: BenchModule;
  readonly kind: BenchKind;
  readonly mirror: BenchMirror;
}

/** In the order of asking. The mirror that begins changes, as the first one pays for what all share. */
export function* tasksOf(plan: BenchPlan): Generator<Task> {
  let turn = 0;
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const module of plan.modules) {
      for (const kind of benchKinds) {
        if (kind === 'latest' && module.query !== 'latest') continue;
        const first = turn % Math.max(1, plan.mirrors.length);
        turn += 1;
        for (const mirror of [...plan.mirrors.slice(first), ...plan.mirrors.slice(0, first)]) {
          if (!plan.isKeptFrom(module, mirror)) yield { round, module, kind, mirror };
        }
      }
    }
  }
}

/** How many requests that will be. */
export function countTasks({ mirrors, modules, rounds, isKeptFrom }: BenchPlan): number {
  let perRound = 0;
  for (const module of modules) {
    const kinds = module.query === 'latest' ? benchKinds.length : benchKinds.length - 1;
    perRound += kinds * mirrors.filter((mirror) => !isKeptFrom(module, mirror)).length;
  }
  return perRound * rounds;
}

/**
 * Resolves when all is asked, or when the signal ends it; each sample is handed out as it is made. Rejects when a
 * file of a mirror's settings, or the folder for temporary files, cannot be used.
 */
export async function runBench(plan: BenchPlan, run: BenchRun): Promise<void> {
  const { clock, version, signal } = run;
  const clients = new Map<BenchMirror, MirrorClient>();
  const checks = new AnswerChecks();
  const failed = new AbortController();
  const ended = AbortSignal.any([signal, failed.signal]);
  try {
    for (const mirror of plan.mirrors) {
      clients.set(mirror, new MirrorClient({ mirror, version, timeoutMs: plan.timeoutMs, clock }));
    }
    const asker = new Asker(clients, checks, ended);
    const queue = tasksOf(plan);
    const work = async (): Promise<void> => {
      for (const task of queue) {
        if (ended.aborted) return;
        run.onSample(await asker.ask(task));
      }
    };
    await Promise.all(
      Array.from({ length: plan.concurrency }, async () => {
        try {
          await work();
        } catch (error) {
          if (signal.aborted) return;
          failed.abort(error);
          throw error;
        }
      }),
    );
  } finally {
    for (const client of clients.values()) client.close();
    await checks.close();
  }
}

class Asker {
  readonly #clients: ReadonlyMap<BenchMirror, MirrorClient>;
  readonly #checks: AnswerChecks;
  readonly #signal: AbortSignal;
  /** What each mirror last said `latest` is; a promise, because others may wait for it. */
  readonly #latest = new Map<string, Promise<Version | undefined>>();

  constructor(clients: ReadonlyMap<BenchMirror, MirrorClient>, checks: AnswerChecks, signal: AbortSignal) {
    this.#clients = clients;
    this.#checks = checks;
    this.#signal = signal;
  }

  async ask(task: Task): Promise<Sample> {
    const { module, kind, mirror } = task;
    const latestKey = `${mirror.name} ${module.path}`;
    if (kind === 'latest') {
      const asked = this.#measure(task, undefined);
      this.#latest.set(
        latestKey,
        asked.then(
          ({ version }) => version,
          () => undefined,
        ),
      );
      return (await asked).sample;
    }
    if (kind === 'list') return (await this.#measure(task, undefined)).sample;
    const version = module.query === 'latest' ? await this.#latest.get(latestKey) : module.query;
    if (version === undefined) return sampleOf(task, undefined, notAsked, null);
    return (await this.#measure(task, version)).sample;
  }

  async #measure(
    task: Task,
    version: Version | undefined,
  ): Promise<{ sample: Sample; version: Version | undefined }> {
    const { round, module, kind, mirror } = task;
    const client = this.#clients.get(mirror);
    if (client === undefined) throw new Error(`no client for ${mirror.name}`);
    const check = this.#checks.start({ kind, path: module.path, version });
    try {
      const measured = await client.measure(
        {
          target: targetOf(task, version),
          isFresh: round === 1,
          maxBytes: check.maxBytes,
          onBody: (chunk) => check.write(chunk),
        },
        this.#signal,
      );
      if (measured.fault !== null)
        return { sample: sampleOf(task, version, measured, null), version: undefined };
      const checked = await check.finish(this.#signal);
      const judged = { ...measured, fault: checked.fault };
      return {
        sample: sampleOf(task, version ?? checked.version, judged, checked.identity),
        version: checked.version,
      };
    } finally {
      await check.discard();
    }
  }
}

function targetOf({ module, kind }: Task, version: Version | undefined): string {
  const path = escapePath(module.path);
  if (kind === 'latest') return `/${path}/@latest`;
  if (kind === 'list' || version === undefined) return `/${path}/@v/list`;
  return `/${path}/@v/${encodeURIComponent(escapeVersion(version)).replaceAll('%2B', '+').replaceAll('%21', '!')}.${kind}`;
}

function sampleOf(
  { round, module, kind, mirror }: Task,
  version: Version | undefined,
  measured: Measured,
  identity: string | null,
): Sample {
  return { mirror: mirror.name, module: module.path, version, kind, round, ...measured, identity };
}

const notAsked: Measured = {
  dnsMs: null,
  connectMs: null,
  proxyMs: null,
  tlsMs: null,
  redirectMs: null,
  firstByteMs: null,
  totalMs: 0,
  status: null,
  isReused: false,
  isProxied: false,
  redirects: 0,
  remoteAddress: null,
  sizeBytes: 0,
  fault: { kind: 'unresolved', message: 'not asked: it did not say which version @latest is' },
};
