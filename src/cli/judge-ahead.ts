/** A judge that is asked ahead of the hashing, so that the way to the database costs no time of its own. */
import type { Expectation, HashedKey, Judge, Judging } from '../checksums/types.ts';
import type { VersionEntry } from '../store/store.ts';

export class JudgeAhead implements Judge {
  readonly #judge: Judge;
  readonly #signal: AbortSignal;
  readonly #asked = new Map<string, Promise<Expectation>>();

  /** `signal` breaks off what is asked ahead. */
  constructor(judge: Judge, signal: AbortSignal) {
    this.#judge = judge;
    this.#signal = signal;
  }

  /** The same versions; of up to `depth` behind the one at hand it is asked already what they must be. */
  async *ahead(entries: AsyncIterable<VersionEntry>, depth: number): AsyncGenerator<VersionEntry> {
    const queue: VersionEntry[] = [];
    for await (const entry of entries) {
      this.#ask(entry);
      queue.push(entry);
      const [first] = queue;
      if (queue.length <= depth || first === undefined) continue;
      queue.shift();
      yield first;
      this.#forget(first);
    }
    for (const entry of queue) {
      yield entry;
      this.#forget(entry);
    }
  }

  /** Rejects as the judge does that is asked. */
  async expect(key: HashedKey, asker: Judging): Promise<Expectation> {
    return await (this.#asked.get(nameOf(key)) ?? this.#judge.expect(key, asker));
  }

  #ask(entry: VersionEntry): void {
    for (const key of keysOf(entry)) {
      const expectation = this.#judge.expect(key, { signal: this.#signal });
      expectation.catch(() => {});
      this.#asked.set(nameOf(key), expectation);
    }
  }

  #forget(entry: VersionEntry): void {
    for (const key of keysOf(entry)) this.#asked.delete(nameOf(key));
  }
}

function keysOf({ path, version, artifacts }: VersionEntry): HashedKey[] {
  return (['mod', 'zip'] as const).flatMap((ext) =>
    artifacts[ext] === undefined ? [] : [{ path, version, ext }],
  );
}

function nameOf({ path, version, ext }: HashedKey): string {
  return `${path}@${version}.${ext}`;
}
