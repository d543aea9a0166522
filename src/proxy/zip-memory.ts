/**
 * Whole zips in memory, bounded: a zip asked twice lately is read once more and then served from one Buffer, which
 * is several times faster than any file read. Sizes count against the configured bound.
 */
import { LRUCache } from 'lru-cache';
import type { ArtifactFile, ArtifactRecord } from '../store/store.ts';
import type { Provenance } from './types.ts';

export function provenanceOf({ source, storedAtMs, proof, unproven }: ArtifactRecord): Provenance {
  return { origin: source, atMs: storedAtMs, proof, unproven };
}

export interface ZipInMemory {
  readonly body: Buffer;
  readonly sha256: string;
  readonly modifiedAtMs: number;
  readonly provenance: Provenance;
}

const asksWithRoom = 2;
const asksWithoutRoom = 8;

export class ZipMemory {
  readonly #maxBytes: number;
  readonly #maxItemBytes: number;
  readonly #zips: LRUCache<string, ZipInMemory> | undefined;
  readonly #asked = new LRUCache<string, number>({ max: 4_096 });
  readonly #loading = new Set<string>();
  /** Grows with each purge: what was read before one must not be kept after it. */
  #epoch = 0;

  /** `maxBytes` 0 switches it off. */
  constructor(maxBytes: number, maxItemBytes: number) {
    this.#maxBytes = maxBytes;
    this.#maxItemBytes = Math.min(maxItemBytes, maxBytes);
    if (maxBytes > 0) {
      this.#zips = new LRUCache({
        maxSize: maxBytes,
        sizeCalculation: (zip) => Math.max(1, zip.body.length),
      });
    }
  }

  get bytes(): number {
    return this.#zips?.calculatedSize ?? 0;
  }

  get(name: string): ZipInMemory | undefined {
    return this.#zips?.get(name);
  }

  put(name: string, zip: ZipInMemory): void {
    if (zip.body.length <= this.#maxItemBytes) this.#zips?.set(name, zip);
  }

  /** A stored zip was asked; the second time it is worth keeping, and `file` is read for it (and stays the caller's). */
  async asked(name: string, file: ArtifactFile): Promise<ZipInMemory | undefined> {
    const { sizeBytes, sha256, modifiedAtMs } = file.record;
    if (this.#zips === undefined || sizeBytes > this.#maxItemBytes || this.#loading.has(name))
      return undefined;
    const asks = (this.#asked.get(name) ?? 0) + 1;
    this.#asked.set(name, asks);
    // A full cache is not turned over by a pass over everything: that would read each zip twice and keep none.
    const isRoom = this.bytes + sizeBytes <= this.#maxBytes;
    if (asks < (isRoom ? asksWithRoom : asksWithoutRoom)) return undefined;
    this.#loading.add(name);
    const epoch = this.#epoch;
    try {
      const provenance = provenanceOf(file.record);
      const zip = { body: await file.readAll(), sha256, modifiedAtMs, provenance };
      if (epoch === this.#epoch) this.put(name, zip);
      return zip;
    } finally {
      this.#loading.delete(name);
    }
  }

  forget(prefix: string): void {
    this.#epoch += 1;
    for (const name of this.#zips?.keys() ?? []) if (name.startsWith(prefix)) this.#zips?.delete(name);
  }
}
