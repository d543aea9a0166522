/** Asks the sources for their newest head, once for all who want it. */
import { SharedWork } from '../lib/shared-work.ts';
import type { Sources } from './ask.ts';
import type { SignedHead } from './consistency.ts';
import type { Heads } from './heads.ts';
import { maxNoteBytes, type Verifier } from './log/note.ts';
import { openTreeHead } from './log/tree-head.ts';
import type { SumdbAsker } from './types.ts';

export interface LatestDeps {
  readonly sources: Sources;
  readonly heads: Heads;
  readonly verifier: Verifier;
}

export class Latest {
  readonly #deps: LatestDeps;
  #running: SharedWork<void> | undefined;

  constructor(deps: LatestDeps) {
    this.#deps = deps;
  }

  /** The known head is then at least the one that a source gave. Rejects with SumdbError, or the signal's reason. */
  ask(asker: SumdbAsker): Promise<void> {
    let work = this.#running;
    if (work === undefined || work.cancelled) {
      const started: SharedWork<void> = new SharedWork((signal, deadlineAtMs) =>
        this.#fetch({ ...asker, signal, deadlineAtMs }).finally(() => {
          if (this.#running === started) this.#running = undefined;
        }),
      );
      work = started;
      this.#running = started;
    }
    return work.join(asker.signal, asker.deadlineAtMs);
  }

  async #fetch(asker: SumdbAsker): Promise<void> {
    const { sources, heads, verifier } = this.#deps;
    await sources.ask(
      {
        operation: 'latest',
        limitBytes: maxNoteBytes,
        async judge(body, source) {
          await heads.advance(readSignedHead(body, verifier), source, asker);
          heads.confirm();
        },
      },
      asker,
    );
  }
}

/** Throws LogError when it is none, or its signature is not good. */
export function readSignedHead(note: Buffer, verifier: Verifier): SignedHead {
  // A copy: what was read is a part of a larger buffer.
  return { head: openTreeHead(note, [verifier]), note: Buffer.from(note) };
}
