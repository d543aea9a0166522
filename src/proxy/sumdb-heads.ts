/**
 * The known head of a proven database, for who asks for the latest one: an old one is asked for again, but while one
 * is known nobody waits long for that, and nobody waits where it was in vain before.
 */
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { SumdbAsker, SumdbDatabase, SumdbHead } from '../sumdb/types.ts';
import { failurePauseMs } from './revalidating.ts';

export interface SumdbHeadsDeps {
  readonly clock: Clock;
  /** False: no upstream can be expected to answer now. */
  mayAnswer(): boolean;
  /** How long an asker waits for a newer head when one is known. */
  patienceMs(): number;
}

export interface GivenHead {
  readonly head: SumdbHead;
  /** True: as it was known here before. */
  readonly isKept: boolean;
}

interface Refresh {
  readonly startedAtMs: number;
  readonly waitMs: number;
  readonly work: SharedWork<SumdbHead | undefined>;
  isRunning: boolean;
  /** It has outlasted its askers' patience and brought nothing since. */
  isLate: boolean;
}

export class SumdbHeads {
  readonly #deps: SumdbHeadsDeps;
  /** The last one of each database. */
  readonly #refreshes = new WeakMap<SumdbDatabase, Refresh>();

  constructor(deps: SumdbHeadsDeps) {
    this.#deps = deps;
  }

  /**
   * A head that was confirmed at most `maxAgeMs` ago, or the last known one where that cannot be had in time.
   * Undefined: none is known and none could be had. Rejects with SumdbError or the signal's reason.
   */
  async get(database: SumdbDatabase, asker: SumdbAsker, maxAgeMs: number): Promise<GivenHead | undefined> {
    const known = await knownHead(database, asker);
    if (known === undefined) {
      const head = asker.storedOnly === true ? undefined : await database.head(asker, maxAgeMs);
      return head === undefined ? undefined : { head, isKept: false };
    }
    const kept = { head: known, isKept: true };
    if (asker.storedOnly === true || this.#isYoung(known, maxAgeMs)) return kept;
    const refresh = this.#refresh(database, asker, maxAgeMs);
    return this.#inTime(refresh, kept, asker.signal);
  }

  #refresh(database: SumdbDatabase, asker: SumdbAsker, maxAgeMs: number): Refresh {
    const { clock } = this.#deps;
    const startedAtMs = clock.monotonic();
    const last = this.#refreshes.get(database);
    if (last !== undefined) {
      const pauseMs = Math.min(failurePauseMs, maxAgeMs);
      if (last.isRunning || startedAtMs - last.startedAtMs < pauseMs) return last;
    }
    const { requestId, via } = asker;
    const work = new SharedWork((signal) => database.head({ signal, requestId, via }, maxAgeMs));
    const isHopeful = this.#deps.mayAnswer() && last?.isLate !== true;
    const waitMs = isHopeful ? this.#deps.patienceMs() : 0;
    const refresh: Refresh = { startedAtMs, waitMs, work, isRunning: true, isLate: !isHopeful };
    this.#refreshes.set(database, refresh);
    // It goes on behind the reply of an asker whose patience ends.
    work.join().then(
      (head) => {
        refresh.isRunning = false;
        if (head !== undefined && this.#isYoung(head, maxAgeMs)) refresh.isLate = false;
      },
      () => {
        refresh.isRunning = false;
      },
    );
    return refresh;
  }

  async #inTime(refresh: Refresh, kept: GivenHead, signal: AbortSignal): Promise<GivenHead> {
    const { clock } = this.#deps;
    const leftMs = refresh.startedAtMs + refresh.waitMs - clock.monotonic();
    if (leftMs <= 0) return kept;
    const late = Promise.withResolvers<undefined>();
    const timer = clock.setTimeout(() => {
      refresh.isLate = true;
      late.resolve(undefined);
    }, leftMs);
    try {
      // Why it failed is told where nothing is known.
      const asked = refresh.work.promise.catch(() => undefined);
      const head = await raceAbort(Promise.race([asked, late.promise]), signal);
      // Nobody answered it, or whoever joined an older refresh knows of a later one.
      if (head === undefined || head.confirmedAtMs <= kept.head.confirmedAtMs) return kept;
      return { head, isKept: false };
    } finally {
      timer.cancel();
    }
  }

  #isYoung(head: SumdbHead, maxAgeMs: number): boolean {
    return this.#deps.clock.now() - head.confirmedAtMs <= maxAgeMs;
  }
}

/** What is known without asking any source. */
export function knownHead(database: SumdbDatabase, asker: SumdbAsker): Promise<SumdbHead | undefined> {
  return database.head({ ...asker, storedOnly: true }, Number.POSITIVE_INFINITY);
}
