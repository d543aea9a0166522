/**
 * Ready answers by request URL: the hot path of a hit is one look-up and one write (design rule 8). Two spellings
 * of one path are two entries; both come from the same use case. Bounded by bytes.
 */
import { LRUCache } from 'lru-cache';
import type { HotCounter } from '../proxy/request-events.ts';

export interface HotEntry {
  /** Small ones as a latin1 string: header and body then leave in one write. */
  readonly body: Buffer | string;
  /** Name, value, name, value: written as they are. */
  readonly headers: string[];
  readonly etag: string;
  readonly lastModifiedMs: number | undefined;
  /** Counts what is sent of it. */
  readonly counter: HotCounter;
  /** The end of its access line, from `hitTail`. */
  readonly logTail: string;
  /** Wall clock; immutable answers have Infinity. */
  readonly freshUntilMs: number;
  readonly staleUntilMs: number;
  /** Starts the refresh behind a stale answer. */
  readonly refresh: (() => void) | undefined;
  /** Module this answer depends on beyond its own artifact: list and @latest change when a version is published. */
  readonly mutableOf: string | undefined;
  /** Of which module it is, where not everybody may read it: the gate is asked first. Default: everybody may. */
  readonly guard?: { readonly path: string | undefined } | undefined;
  /** The one artifact that this answer is, as `nameOf` says it. */
  readonly artifact?: string | undefined;
}

export interface HotMark {
  readonly purges: number;
  readonly changes: number;
  readonly forgotten: number;
}

/** Bodies up to this size are kept as strings; above it the copy costs more than the second write. */
export const maxTextBytes = 32 * 1024;

/** Per entry besides the body: headers, key, the objects themselves. */
const overheadBytes = 1_000;

export class HotCache {
  readonly #entries: LRUCache<string, HotEntry>;
  #purges = 0;
  #changes = 0;
  #forgotten = 0;
  /** By module path, or by an artifact's name: no path has a `@`. */
  readonly #urls = new Map<string, Set<string>>();

  constructor(maxBytes: number) {
    this.#entries = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: (entry) => entry.body.length + overheadBytes,
      dispose: (entry, url) => this.#unlink(entry, url),
    });
  }

  /**
   * A mark to take before a reply is made: `put` keeps nothing that was begun before a purge, no list or @latest that
   * was begun before any of them changed, and no artifact that was begun before any was forgotten.
   */
  get mark(): HotMark {
    return { purges: this.#purges, changes: this.#changes, forgotten: this.#forgotten };
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(url: string): HotEntry | undefined {
    return this.#entries.get(url);
  }

  put(url: string, entry: HotEntry, mark: HotMark = this.mark): void {
    if (mark.purges !== this.#purges) return;
    if (entry.mutableOf !== undefined && mark.changes !== this.#changes) return;
    if (entry.artifact !== undefined && mark.forgotten !== this.#forgotten) return;
    this.#entries.set(url, entry);
    const subject = subjectOf(entry);
    if (subject === undefined || !this.#entries.has(url)) return;
    let urls = this.#urls.get(subject);
    if (urls === undefined) {
      urls = new Set();
      this.#urls.set(subject, urls);
    }
    urls.add(url);
  }

  /** Drops the list and @latest of a module; its immutable artifacts stay. */
  forgetMutable(modulePath: string): void {
    this.#changes += 1;
    for (const url of this.#urls.get(modulePath) ?? []) this.#entries.delete(url);
  }

  /** Drops these artifacts under all their URLs, and nothing else. */
  forgetArtifacts(names: Iterable<string>): void {
    this.#forgotten += 1;
    for (const name of names) for (const url of this.#urls.get(name) ?? []) this.#entries.delete(url);
  }

  clear(): void {
    this.#purges += 1;
    this.#entries.clear();
    this.#urls.clear();
  }

  #unlink(entry: HotEntry, url: string): void {
    const subject = subjectOf(entry);
    if (subject === undefined) return;
    const urls = this.#urls.get(subject);
    urls?.delete(url);
    if (urls?.size === 0) this.#urls.delete(subject);
  }
}

function subjectOf({ mutableOf, artifact }: HotEntry): string | undefined {
  return mutableOf ?? artifact;
}
