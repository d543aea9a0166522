/**
 * Modules that one upstream has failed on: it is asked last for them for a while, since one bad copy says little
 * about the rest of it. Many of them at once say much.
 */
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';

export interface ModuleAvoidanceDeps {
  readonly clock: Clock;
  /** How long the first time; 0 switches avoidance off. */
  avoidMs(): number;
}

const maxEntries = 1000;
const longestMs = 600_000;
/** A failure later than this is a first one again. */
const memoryMs = 1_800_000;
const manyModules = 10;
const manyWithinMs = 300_000;

interface Entry {
  untilMs: number;
  /** How long it is avoided from each failure on. */
  forMs: number;
  failedAtMs: number;
}

export class ModuleAvoidance {
  readonly #deps: ModuleAvoidanceDeps;
  /** The least recently failed first. */
  readonly #entries = new Map<ModulePath, Entry>();
  /** Modules avoided last and not well again since, with when that began; oldest first. */
  #latest: { readonly path: ModulePath; readonly atMs: number }[] = [];

  constructor(deps: ModuleAvoidanceDeps) {
    this.#deps = deps;
  }

  isAvoided(path: ModulePath): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && this.#deps.clock.monotonic() < entry.untilMs;
  }

  /** Avoided now. */
  get size(): number {
    const nowMs = this.#deps.clock.monotonic();
    let size = 0;
    for (const entry of this.#entries.values()) if (nowMs < entry.untilMs) size += 1;
    return size;
  }

  /** True when ten modules began to be avoided within five minutes. */
  get isMany(): boolean {
    const oldest = this.#latest[0];
    if (oldest === undefined || this.#latest.length < manyModules) return false;
    return this.#deps.clock.monotonic() - oldest.atMs < manyWithinMs;
  }

  /**
   * A failure on this module. Returns for how long it is avoided when that begins now; undefined when it was avoided
   * already, which then lasts on from now.
   */
  failed(path: ModulePath): number | undefined {
    const firstMs = this.#deps.avoidMs();
    if (firstMs <= 0) return undefined;
    const nowMs = this.#deps.clock.monotonic();
    const known = this.#entries.get(path);
    // Several files of a module that fail together are one failure of the module.
    if (known !== undefined && nowMs < known.untilMs) {
      this.#keep(path, { ...known, untilMs: nowMs + known.forMs, failedAtMs: nowMs });
      return undefined;
    }
    const isRepeat = known !== undefined && nowMs - known.failedAtMs < memoryMs;
    const forMs = isRepeat ? Math.min(known.forMs * 2, Math.max(firstMs, longestMs)) : firstMs;
    this.#keep(path, { untilMs: nowMs + forMs, forMs, failedAtMs: nowMs });
    this.#latest = this.#latest.filter((one) => one.path !== path);
    this.#latest.push({ path, atMs: nowMs });
    if (this.#latest.length > manyModules) this.#latest.shift();
    return forMs;
  }

  /** A good answer for this module: asked in its turn again. If it fails again soon, that is a repeat. */
  good(path: ModulePath): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    entry.untilMs = Number.NEGATIVE_INFINITY;
    this.#latest = this.#latest.filter((one) => one.path !== path);
  }

  /** Begins to count to many anew. */
  forgetLatest(): void {
    this.#latest = [];
  }

  clear(): void {
    this.#entries.clear();
    this.#latest = [];
  }

  #keep(path: ModulePath, entry: Entry): void {
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    if (this.#entries.size <= maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
