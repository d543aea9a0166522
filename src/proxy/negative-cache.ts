/**
 * Absences that were agreed a moment ago (ruling 7), and refusals, each as what it is; bounded in number: random names
 * must not fill memory.
 */
import { LRUCache } from 'lru-cache';
import type { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';

const maxEntries = 10_000;
const coalesceMs = 5_000;

export class NegativeCache {
  readonly #clock: Clock;
  readonly #entries = new LRUCache<string, { failure: SourcesFailure; sinceMs: number; untilMs: number }>({
    max: maxEntries,
  });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Kept, in force or not yet forgotten. */
  get size(): number {
    return this.#entries.size;
  }

  /** `revalidate` (no-cache) passes by what is older than five seconds: askers are not let through one by one. */
  get(name: string, revalidate = false): SourcesFailure | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (revalidate && this.#clock.monotonic() - entry.sinceMs >= coalesceMs) return undefined;
    if (entry.untilMs > this.#clock.monotonic()) return entry.failure;
    this.#entries.delete(name);
    return undefined;
  }

  /** Keeps absences and refusals; other failures are never remembered (design rule 1). */
  put(name: string, failure: SourcesFailure, forMs: number): void {
    if (!(failure.isAbsence || failure.isRefusal) || forMs <= 0) return;
    const sinceMs = this.#clock.monotonic();
    this.#entries.set(name, { failure, sinceMs, untilMs: sinceMs + forMs });
  }

  /** What is in force for a module: the name behind `@`, the failure, and how long it still counts. */
  of(modulePath: string): { what: string; failure: SourcesFailure; leftMs: number }[] {
    const now = this.#clock.monotonic();
    const found = [];
    for (const [name, { failure, untilMs }] of this.#entries.entries()) {
      if (!name.startsWith(`${modulePath}@`) || untilMs <= now) continue;
      found.push({ what: name.slice(modulePath.length + 1), failure, leftMs: untilMs - now });
    }
    return found;
  }

  /** Forgets everything known of a module: after a purge or a publication. Returns how many were in force. */
  forget(modulePath: string): number {
    const now = this.#clock.monotonic();
    let forgotten = 0;
    for (const [name, { untilMs }] of this.#entries.entries()) {
      if (!name.startsWith(`${modulePath}@`)) continue;
      if (untilMs > now) forgotten += 1;
      this.#entries.delete(name);
    }
    return forgotten;
  }

  clear(): void {
    this.#entries.clear();
  }
}
