/**
 * Look-ahead: the `go` command asks .info, .mod and .zip of a version one after another and walks the graph level
 * by level, so what it will ask next can already be on its way. Bounded in number, depth and bytes, always behind
 * real requests, never for private modules; what was fetched and never asked is counted as waste.
 */
import { LRUCache } from 'lru-cache';
import { parseGoModLax } from '../gomod/go-mod-file.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import { fitsPath, isCanonical } from '../gomod/version.ts';
import { type Ingest, nameOf } from '../ingest/ingest.ts';
import type { Store } from '../store/store.ts';
import { DownloadForecast } from './download-forecast.ts';
import type { LookAheadOptions } from './types.ts';

export interface LookAheadDeps {
  readonly ingest: Ingest;
  readonly store: Store;
  options(): LookAheadOptions;
  /** True: nothing is fetched, what waits is dropped. */
  isOffline(): boolean;
  /** False for private modules and where a route switches it off. */
  allowed(path: ModulePath): boolean;
}

export interface LookAheadCounts {
  readonly started: number;
  readonly used: number;
  readonly usedBytes: number;
  /** Fetched and not asked by any client so far, the forgotten ones included. */
  readonly unasked: number;
  readonly unaskedBytes: number;
  readonly dropped: number;
  /** Asked of the sources in vain. */
  readonly failed: number;
}

/** What was looked at is left alone this long: a graph names the same module in many go.mod files. */
const recentMs = 60_000;

/** Jobs waiting in all; more are dropped and counted. */
const maxQueued = 4_096;

/** How many modules ahead of the client a download is followed: enough for a slow upstream, little if it stops. */
const forecastModules = 8;

interface Job {
  readonly key: ArtifactKey;
  /** Levels of requirements still to follow below a .mod. */
  readonly depth: number;
  /** What one client request may still cause, shared by all jobs that came of it. */
  readonly allowance: { left: number };
}

export class LookAhead {
  readonly #deps: LookAheadDeps;
  readonly #forecast = new DownloadForecast();
  readonly #queue: Job[] = [];
  readonly #queued = new Set<string>();
  /** Fetched ahead and not asked yet: name → bytes. */
  readonly #unasked: LRUCache<string, { bytes: number }>;
  /** Looked at lately: a graph names the same module in many go.mod files. */
  readonly #recent = new LRUCache<string, true>({ max: 20_000, ttl: recentMs });
  readonly #stop = new AbortController();
  #running = 0;
  #bytesInFlight = 0;
  #counts = { started: 0, used: 0, usedBytes: 0, unasked: 0, unaskedBytes: 0, dropped: 0, failed: 0 };

  constructor(deps: LookAheadDeps) {
    this.#deps = deps;
    this.#unasked = new LRUCache({ max: 50_000 });
  }

  get counts(): LookAheadCounts {
    return { ...this.#counts };
  }

  /** A client asked for this: settles the account of what was fetched ahead. */
  asked(key: ArtifactKey): void {
    const name = nameOf(key);
    const entry = this.#unasked.get(name);
    if (entry === undefined) return;
    this.#unasked.delete(name);
    this.#counts.unasked -= 1;
    this.#counts.unaskedBytes -= entry.bytes;
    this.#counts.used += 1;
    this.#counts.usedBytes += entry.bytes;
  }

  /** After .info the client asks .mod and .zip of the version. */
  afterInfo(path: ModulePath, version: Version): void {
    if (!this.#usable(path)) return;
    const { depth, perRequest } = this.#deps.options();
    const allowance = { left: perRequest };
    this.#plan({ key: { path, version, ext: 'zip' }, depth: 0, allowance }, true);
    this.#plan({ key: { path, version, ext: 'mod' }, depth, allowance }, true);
  }

  /** What the client that asks this .info will ask after it, judging by the go.mod files it has read. */
  forecast(client: string, path: ModulePath): void {
    if (!this.#usable(path)) return;
    const allowance = { left: forecastModules * 2 };
    for (const next of this.#forecast.after(client, path, forecastModules)) {
      if (!this.#deps.allowed(next.path)) continue;
      this.#plan({ key: { ...next, ext: 'info' }, depth: 0, allowance }, false);
      this.#plan({ key: { ...next, ext: 'zip' }, depth: 0, allowance }, false);
    }
  }

  askedMod(client: string, path: ModulePath, version: Version): void {
    this.#forecast.askedMod(client, path, version);
  }

  /** A fresh go.mod names the modules whose go.mod is asked next. */
  afterMod(path: ModulePath, body: Buffer): void {
    const { depth, perRequest } = this.#deps.options();
    this.#follow(path, body, depth, { left: perRequest });
  }

  #follow(path: ModulePath, body: Buffer, depth: number, allowance: { left: number }): void {
    if (depth <= 0 || !this.#usable(path)) return;
    for (const required of parseGoModLax(body).requires) {
      const key = keyOf(required.path, required.version);
      if (key !== undefined && this.#deps.allowed(key.path))
        this.#plan({ key, depth: depth - 1, allowance }, false);
    }
  }

  /** The other two files of a version of which one was fetched for a client, so that it is complete. */
  complete(path: ModulePath, version: Version): void {
    const allowance = { left: 2 };
    for (const ext of ['info', 'mod'] as const) {
      this.#plan({ key: { path, version, ext }, depth: 0, allowance }, false);
    }
  }

  /** After a purge everything may be fetched again. */
  forget(): void {
    this.#recent.clear();
  }

  close(): void {
    this.#queue.length = 0;
    this.#queued.clear();
    this.#stop.abort(new Error('modferry is stopping'));
  }

  #usable(path: ModulePath): boolean {
    return this.#deps.options().enabled && this.#deps.allowed(path) && !this.#stop.signal.aborted;
  }

  #plan(job: Job, urgent: boolean): void {
    if (this.#deps.isOffline()) return;
    const name = nameOf(job.key);
    if (this.#queued.has(name) || this.#recent.has(name) || this.#deps.ingest.isFilling(job.key)) return;
    if (job.allowance.left <= 0 || this.#queue.length >= maxQueued) {
      this.#counts.dropped += 1;
      return;
    }
    job.allowance.left -= 1;
    this.#queued.add(name);
    if (urgent) this.#queue.unshift(job);
    else this.#queue.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#deps.options().concurrency) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#queued.delete(nameOf(job.key));
      this.#running += 1;
      void this.#run(job)
        .catch(() => {
          this.#counts.failed += 1;
        })
        .finally(() => {
          this.#running -= 1;
          this.#pump();
        });
    }
  }

  async #run(job: Job): Promise<void> {
    const { key } = job;
    const name = nameOf(key);
    this.#recent.set(name, true);
    if (this.#deps.ingest.isFilling(key)) return;
    if (await this.#deps.store.has(key)) return;
    if (this.#deps.ingest.isFilling(key)) return;
    // Looked at last: the mode may have changed while the job waited.
    if (this.#deps.isOffline()) {
      this.#recent.delete(name);
      this.#counts.dropped += 1;
      return;
    }
    this.#counts.started += 1;
    const asker = { signal: this.#stop.signal, background: true };
    if (key.ext === 'zip') {
      let taken = 0;
      const follower = this.#deps.ingest.zip(key, asker, (bytes) => {
        const { maxZipBytes, bytesInFlight } = this.#deps.options();
        if (bytes === undefined || bytes > maxZipBytes || this.#bytesInFlight + bytes > bytesInFlight)
          return false;
        taken += bytes;
        this.#bytesInFlight += bytes;
        return true;
      });
      try {
        const opened = await follower.open(true, asker.signal);
        if (opened !== 'stored') this.#fetched(name, opened.sizeBytes ?? 0);
      } finally {
        this.#bytesInFlight -= taken;
        follower.leave();
      }
      return;
    }
    const file = await this.#deps.ingest.small({ ...key, ext: key.ext }, asker);
    if (file === 'stored') return;
    this.#fetched(name, file.body.length);
    if (key.ext === 'mod') this.#follow(key.path, file.body, job.depth, job.allowance);
  }

  #fetched(name: string, bytes: number): void {
    this.#unasked.set(name, { bytes });
    this.#counts.unasked += 1;
    this.#counts.unaskedBytes += bytes;
  }
}

function keyOf(path: string, version: string): ArtifactKey | undefined {
  try {
    const modulePath = parseModulePath(path);
    if (!isCanonical(version) || !fitsPath(modulePath, version)) return undefined;
    return { path: modulePath, version, ext: 'mod' };
  } catch {
    return undefined;
  }
}
