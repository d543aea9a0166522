/**
 * Proves what was published while no record could be reached: at the start, when told that the database is back, and
 * by itself with growing pauses as long as something waits. One artifact at a time. What the database has no record of
 * is asked for again after hours only.
 */
import type { HashedKey, Judge, NoProof } from '../checksums/types.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { sleep } from '../lib/sleep.ts';
import type { ArtifactRecord, Store } from '../store/store.ts';
import { Absences } from './absences.ts';
import type { Heal } from './heal.ts';

export interface LateProofEvents {
  proven: { key: ArtifactKey; by: string };
  /** Withdrawn; `id` is its place in quarantine. `healedBy` undefined: no good copy was found. */
  mismatch: { key: ArtifactKey; id: string; reason: string; healedBy: string | undefined };
  /** The walk over what waits could not be finished. */
  failed: { reason: string };
}

export interface LateProofsDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'awaitingProof' | 'open' | 'setTrust' | 'withdraw'>;
  readonly judge: Judge;
  readonly events: EventBus<LateProofEvents>;
  /** Tells when something new waits. */
  readonly ingest?: EventBus<IngestEvents> | undefined;
  /** Undefined: what is withdrawn stays in quarantine. */
  readonly heal?: Heal | undefined;
}

const firstPauseMs = 10_000;
const maxPauseMs = 600_000;
/** Between two failures: a database that is away must not be asked in a loop. */
const afterFailureMs = 200;
/** New heads come with every other miss of a busy server. */
const betweenHeadsMs = 60_000;

export class LateProofs {
  readonly #deps: LateProofsDeps;
  readonly #controller = new AbortController();
  #unsubscribe: () => void = () => {};
  #done: Promise<void> | undefined;
  #wake = new AbortController();
  #isKicked = false;
  readonly #absences: Absences;
  /** Of the walk under way, or else of the last one: the database could not be asked for something. */
  #isAway = false;
  /** Monotonic. */
  #lastHeadMs = -Infinity;
  /** Something was published unproven since the last walk began. */
  #isMore = false;
  #isResting = false;
  /** Undefined: nothing waits, as far as is known. */
  #pauseMs: number | undefined;

  constructor(deps: LateProofsDeps) {
    this.#deps = deps;
    this.#absences = new Absences(deps.clock);
  }

  /** Begins at once. Idempotent. */
  start(): void {
    if (this.#done !== undefined) return;
    const unsubscribe = this.#deps.ingest?.on('published', ({ trust }) => {
      if (trust.unproven === 'unreachable') this.moreWaits();
    });
    this.#unsubscribe = unsubscribe ?? this.#unsubscribe;
    this.#done = this.#loop().catch(() => {});
  }

  /** The trusted go.sum lines have changed: everything that waits is tried now. */
  linesChanged(): void {
    this.#absences.clear();
    this.#kick();
  }

  /** The database has grown, so it was reached: what waits because it could not be asked is tried now. */
  databaseSeen(): void {
    const nowMs = this.#deps.clock.monotonic();
    if (!this.#isAway || nowMs - this.#lastHeadMs < betweenHeadsMs) return;
    this.#lastHeadMs = nowMs;
    this.#kick();
  }

  /** Resolves when it has stopped. Idempotent. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#controller.abort(new Error('modferry is stopping'));
    await this.#done;
  }

  /** Something waits, or may wait, that did not. It is tried soon, not at once: it was unreachable this moment. */
  moreWaits(): void {
    this.#isMore = true;
    if (!this.#isResting || this.#pauseMs !== undefined) return;
    this.#pauseMs = firstPauseMs;
    this.#wake.abort();
  }

  #kick(): void {
    this.#isKicked = true;
    this.#wake.abort();
  }

  async #loop(): Promise<void> {
    const { signal } = this.#controller;
    for (;;) {
      this.#isKicked = false;
      this.#isMore = false;
      let isLeft = true;
      try {
        isLeft = await this.#walk(signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#deps.events.emit('failed', { reason: messageOf(error) });
      }
      const doubledMs = Math.min(maxPauseMs, (this.#pauseMs ?? firstPauseMs / 2) * 2);
      this.#pauseMs = isLeft || this.#hasMore() ? doubledMs : undefined;
      this.#isResting = true;
      await this.#rest(signal);
      this.#isResting = false;
    }
  }

  #hasMore(): boolean {
    return this.#isMore;
  }

  /** Until it is time again. With nothing left, another process may still publish something. */
  async #rest(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#isKicked) return;
      this.#wake = new AbortController();
      const before = this.#pauseMs;
      const either = AbortSignal.any([signal, this.#wake.signal]);
      try {
        await sleep(this.#deps.clock, before ?? maxPauseMs, either);
        return;
      } catch {
        signal.throwIfAborted();
        // Woken by something new: it gets its own pause.
      }
    }
  }

  /** True when something is left that may be proven later. */
  async #walk(signal: AbortSignal): Promise<boolean> {
    let isLeft = false;
    this.#isAway = false;
    for await (const key of this.#deps.store.awaitingProof()) {
      signal.throwIfAborted();
      if (!isHashed(key)) continue;
      if (this.#absences.has(key)) {
        isLeft = true;
        continue;
      }
      if (await this.#prove(key, signal)) continue;
      isLeft = true;
      await sleep(this.#deps.clock, afterFailureMs, signal);
    }
    return isLeft;
  }

  /** False: it waits on. */
  async #prove(key: HashedKey, signal: AbortSignal): Promise<boolean> {
    const { store, judge, events } = this.#deps;
    const record = await this.#recordOf(key);
    // Gone, or rotten, which is the scrub's to find.
    if (record === undefined || record.proof !== undefined) return true;
    const expectation = await judge.expect(key, { signal });
    if (expectation.kind === 'blocked') return this.#waitsOn(key, expectation.cause);
    if (expectation.kind === 'unproven') {
      if (expectation.why === 'unreachable') return this.#waitsOn(key, expectation.cause);
      // The rules changed: nobody will be asked for this one any more.
      return await store.setTrust(key, record.sha256, { unproven: expectation.why });
    }
    // Rebuilt without one: the scrub hashes the tree.
    if (record.h1 === undefined) return true;
    if (record.h1 === expectation.h1) {
      if (!(await store.setTrust(key, record.sha256, { proof: expectation.proof }))) return true;
      events.emit('proven', { key, by: expectation.by });
      return true;
    }
    await this.#mismatch(key, record, expectation, signal);
    return true;
  }

  #waitsOn(key: HashedKey, cause: NoProof | undefined): false {
    if (cause !== 'absent') this.#isAway = true;
    // Kicked: what was said before the kick is asked for once more.
    else if (!this.#isKicked) this.#absences.add(key);
    return false;
  }

  async #mismatch(
    key: HashedKey,
    record: ArtifactRecord,
    { h1, by }: { readonly h1: string; readonly by: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock, heal, events } = this.#deps;
    const reason = `its hash is ${record.h1 ?? 'not known'}, ${by} says ${h1}`;
    const entry = await store.withdraw(key, {
      key,
      cause: 'mismatch',
      source: 'store',
      reason: `${reason}; it came from ${record.source} while it could not be proven`,
      sha256: record.sha256,
      sizeBytes: record.sizeBytes,
      expectedH1: h1,
      foundH1: record.h1,
      expectedBy: by,
      atMs: clock.now(),
    });
    if (entry === undefined) return;
    const result = await heal?.(key, { sha256: '', h1 }, signal);
    const healedBy = result?.outcome === 'healed' ? result.source : undefined;
    events.emit('mismatch', { key, id: entry.id, reason, healedBy });
  }

  async #recordOf(key: ArtifactKey): Promise<ArtifactRecord | undefined> {
    try {
      const file = await this.#deps.store.open(key);
      await file?.close();
      return file?.record;
    } catch {
      return undefined;
    }
  }
}

function isHashed(key: ArtifactKey): key is HashedKey {
  return key.ext !== 'info';
}
