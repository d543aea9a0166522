/**
 * A zip while it arrives, as its followers see it: how far it may be read now, what they have been given, and whether
 * the bytes of another source continue that. Nobody ever gets a mixture: who has received bytes that the present
 * source does not send is broken (design rule 2).
 */
import { raceAbort } from '../lib/abort.ts';
import { Notice } from '../lib/notice.ts';
import type { Trust } from '../store/store.ts';
import { UpstreamError } from '../upstream/types.ts';
import { sameBytes } from './same-bytes.ts';
import type { Sink } from './sink.ts';

/** What verification found of a zip. */
export interface VerifiedZip {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly h1: string;
  readonly trust: Trust;
  readonly source: string;
  readonly verifiedAtMs: number;
  /** The whole file, where it is small or several wait for it. */
  readonly body: Buffer | undefined;
  /** False: it stands in memory only, because the disk takes no more, and will not be stored. */
  readonly isStaged: boolean;
}

/** `stored`: another process published it meanwhile. */
export type FillOutcome = VerifiedZip | 'stored';

/** What a follower learns when its body opens. `verified` undefined: it streams, and may still break. */
export interface OpenBody {
  readonly sizeBytes: number | undefined;
  readonly verified: VerifiedZip | undefined;
  readonly era: number;
}

export interface FollowerState {
  era: number;
  /** The length its client was told, if any. */
  promisedBytes: number | undefined;
  /** False: it verifies for itself and takes bytes before the hold time is over. */
  isHeld: boolean;
}

export interface OpenWish {
  /** Waits for verification however long it takes. */
  readonly wholeOnly: boolean;
  readonly hold: boolean;
}

/** The attempt that clients have seen the beginning of, kept to compare the next source's bytes with. */
interface Seen {
  readonly sink: Sink;
  readonly bytes: number;
  readonly declaredBytes: number | undefined;
}

export class GrowingBody {
  readonly #tailBytes: number;
  readonly #outcome: Promise<FillOutcome>;
  readonly #notice = new Notice();
  #isHoldOver = false;
  /** Somebody takes bytes before the hold time is over. */
  #isWatched = false;
  #sink: Sink | undefined;
  #declaredBytes: number | undefined;
  #receivedBytes = 0;
  /** From here on the bytes come from another source, joined without having been compared. */
  #seamBytes = Number.POSITIVE_INFINITY;
  #verified: VerifiedZip | undefined;
  #isFinished = false;
  /** The highest position handed to any follower. */
  #sentBytes = 0;
  #seen: Seen | undefined;
  /** Grows when what was sent cannot be continued: followers that began before are broken. */
  #era = 0;

  /** `outcome` settles before `finish` is called. */
  constructor(tailBytes: number, outcome: Promise<FillOutcome>) {
    this.#tailBytes = tailBytes;
    this.#outcome = outcome;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get declaredBytes(): number | undefined {
    return this.#declaredBytes;
  }

  get isVerified(): boolean {
    return this.#verified !== undefined;
  }

  /** Where the present source's bytes are. */
  get sink(): Sink | undefined {
    return this.#sink;
  }

  /** From now on what has arrived may be read before it is verified, but for its tail. */
  endHold(): void {
    this.#isHoldOver = true;
    this.#notice.raise();
  }

  /** Bytes of a file begun again arrive in this sink. */
  begin(sink: Sink, declaredBytes: number | undefined): void {
    this.#sink = sink;
    this.#declaredBytes = declaredBytes;
    this.#receivedBytes = 0;
    this.#seamBytes = Number.POSITIVE_INFINITY;
    this.#notice.raise();
  }

  /** So many bytes are readable from the sink. */
  advance(receivedBytes: number): void {
    this.#receivedBytes = receivedBytes;
    if (!this.#isHoldOver && !this.#isWatched) return;
    this.#notice.raise();
    const seen = this.#seen;
    if (seen !== undefined && receivedBytes >= seen.bytes) void this.#reconcile(undefined);
  }

  /** What follows is held until it is verified. */
  join(atByte: number): void {
    this.#seamBytes = Math.min(this.#seamBytes, atByte);
  }

  /** All of it is proven. */
  async verify(zip: VerifiedZip): Promise<void> {
    await this.#reconcile(zip.sizeBytes);
    this.#verified = zip;
  }

  /** After a failed attempt: keeps what clients have seen, forgets the rest. */
  async stepBack(): Promise<void> {
    const sink = this.#sink;
    const declaredBytes = this.#declaredBytes;
    this.#forget();
    if (sink === undefined) return;
    if (this.#seen === undefined && this.#sentBytes > 0) {
      this.#seen = { sink, bytes: this.#sentBytes, declaredBytes };
    } else {
      await sink.close();
    }
    this.#notice.raise();
  }

  /** Nobody will continue it. */
  async drop(): Promise<void> {
    const sink = this.#sink;
    this.#forget();
    await sink?.close();
  }

  /** The outcome has settled. */
  finish(): void {
    this.#isFinished = true;
    this.#notice.raise();
  }

  /** Once nobody reads any more. */
  async close(): Promise<void> {
    await this.#seen?.sink.close();
    await this.#sink?.close();
  }

  /** Resolves when it is verified, or bytes may flow. Rejects with the outcome's error, or the signal's reason. */
  async waitOpen({ wholeOnly, hold }: OpenWish, signal: AbortSignal): Promise<OpenBody | 'stored'> {
    if (!hold && !wholeOnly) this.#isWatched = true;
    for (;;) {
      const changed = this.#notice.changed;
      if (this.#isFinished) {
        const outcome = await this.#outcome;
        if (outcome === 'stored') return 'stored';
        return { sizeBytes: outcome.sizeBytes, verified: outcome, era: this.#era };
      }
      if (!wholeOnly && this.#verified === undefined && this.#releasedBytes(hold) > 0) {
        return { sizeBytes: this.#declaredBytes, verified: undefined, era: this.#era };
      }
      await raceAbort(changed, signal);
    }
  }

  /** 0 at the verified end; rejects when it cannot be continued, or with the signal's reason. */
  async read(
    state: FollowerState,
    target: Buffer,
    length: number,
    position: number,
    signal: AbortSignal,
  ): Promise<number> {
    for (;;) {
      const changed = this.#notice.changed;
      if (state.era !== this.#era) this.#adopt(state, position);
      if (this.#isFinished && this.#verified === undefined) await this.#outcome;
      const verified = this.#verified;
      if (verified !== undefined && position >= verified.sizeBytes) return 0;
      const available = Math.min(length, this.#releasedBytes(state.isHeld) - position);
      if (available > 0) {
        this.#sentBytes = Math.max(this.#sentBytes, position + available);
        if (verified?.body !== undefined) {
          return verified.body.copy(target, 0, position, position + available);
        }
        if (this.#sink === undefined) throw new TypeError('released bytes stand in a sink');
        return this.#sink.readAt(target, available, position);
      }
      await raceAbort(changed, signal);
    }
  }

  /** A follower that has received nothing may go on with the new source, if the length it was told still holds. */
  #adopt(state: FollowerState, position: number): void {
    const sizeNow = this.#verified?.sizeBytes ?? this.#declaredBytes;
    if (position > 0 || (state.promisedBytes !== undefined && state.promisedBytes !== sizeNow)) {
      throw new UpstreamError('modferry', 'reset', 'the source was replaced and its bytes differ');
    }
    state.era = this.#era;
  }

  #releasedBytes(isHeld: boolean): number {
    if (this.#verified !== undefined) return this.#verified.sizeBytes;
    if ((isHeld && !this.#isHoldOver) || this.#seen !== undefined) return 0;
    const received = isHeld ? Math.min(this.#receivedBytes, this.#seamBytes) : this.#receivedBytes;
    const declared = this.#declaredBytes;
    const tail = this.#tailBytes;
    return Math.max(0, declared === undefined ? received - tail : Math.min(received, declared - tail));
  }

  /**
   * Compares the beginning that clients have seen with the new source's bytes. Equal: they go on where they were.
   * Different: whoever has received bytes is broken, the others are served from the new source.
   */
  async #reconcile(totalBytes: number | undefined): Promise<void> {
    const seen = this.#seen;
    const sink = this.#sink;
    if (seen === undefined || sink === undefined) return;
    const sizeNow = totalBytes ?? this.#declaredBytes;
    const sizeFits = seen.declaredBytes === sizeNow || seen.declaredBytes === undefined;
    const same = sizeFits && (await sameBytes(seen.sink, sink, seen.bytes).catch(() => false));
    // Decided meanwhile, or this attempt failed while it was compared: the next one is compared anew.
    if (this.#seen !== seen || this.#sink !== sink) return;
    // In one go: a follower that woke up in between would read the new source's bytes behind the old one's.
    this.#seen = undefined;
    if (!same) {
      this.#era += 1;
      this.#sentBytes = 0;
    }
    this.#notice.raise();
    await seen.sink.close();
  }

  #forget(): void {
    this.#sink = undefined;
    this.#receivedBytes = 0;
    this.#declaredBytes = undefined;
  }
}
