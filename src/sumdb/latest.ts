/** Asks the sources for their newest head, once for all who want it. */
import type { Sources } from './ask.ts';
import type { SignedHead } from './consistency.ts';
import type { Heads } from './heads.ts';
import { maxNoteBytes, type Verifier } from './log/note.ts';
import { openTreeHead } from './log/tree-head.ts';
import { SharedAsks } from './shared-asks.ts';
import type { SumdbAsker } from './types.ts';

export interface LatestDeps {
  readonly sources: Sources;
  readonly heads: Heads;
  readonly verifier: Verifier;
}

export class Latest {
  readonly #deps: LatestDeps;
  readonly #asks = new SharedAsks<void>();

  constructor(deps: LatestDeps) {
    this.#deps = deps;
  }

  /** The known head is then at least the one that a source gave. Rejects with SumdbError, or the signal's reason. */
  ask(asker: SumdbAsker): Promise<void> {
    return this.#asks.join('latest', asker, (all) => this.#fetch(all));
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
