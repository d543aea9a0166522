/**
 * The fill of one module zip: fetched once, staged while it arrives, followed by any number of askers, verified,
 * then published behind their backs. A source whose bytes are refused is replaced by the next; whoever has
 * already received bytes goes on only if the new source's bytes begin the same (design rule 2).
 */
import { createHash } from 'node:crypto';
import type { ArtifactKey } from '../gomod/types.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { pump } from './pump.ts';
import { sameBytes } from './same-bytes.ts';
import type { Sink } from './sink.ts';
import { type FailureKind, type IngestOptions, SourcesFailure } from './types.ts';

/** What verification found of a zip. */
export interface VerifiedZip {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly h1: string;
  readonly source: string;
  readonly verifiedAtMs: number;
  /** The whole file, where it is small or several wait for it. */
  readonly body: Buffer | undefined;
  /** False: it stands in memory only, because the disk takes no more, and will not be stored. */
  readonly isStaged: boolean;
}

export interface ZipFillDeps {
  readonly clock: Clock;
  readonly options: IngestOptions;
  openWalk(signal: AbortSignal): Walk;
  /** Rejects with StoreError `disk_full` when neither disk nor memory takes a body of this length. */
  openSink(capacityBytes: number): Promise<Sink>;
  verify(input: { file: string } | { buffer: Buffer }, signal: AbortSignal): Promise<{ h1: string }>;
  /** Durable publication; called once, after verification; the sink stays readable until `close`. */
  publish(sink: Sink, zip: VerifiedZip): Promise<void>;
  /** Another process fills it or has filled it: `stored` means look in the store again. */
  claim(signal: AbortSignal): Promise<'ours' | 'stored'>;
  failure(walk: Walk): Promise<SourcesFailure>;
  /** False: nobody but look-ahead wants it, and it is too large for that. */
  accept(declaredBytes: number | undefined): boolean;
  onRefused(source: string, reason: string): void;
  /** Whole bodies up to this size are kept in memory once several wait for them. */
  readonly shareInMemoryBytes: number;
}

/** `stored`: another process published it meanwhile. */
export type FillOutcome = VerifiedZip | 'stored';

/** Bodies up to this size are gathered in memory as they arrive: verified and served without reading back. */
const smallZipBytes = 256 * 1024;

export class ZipFill {
  readonly key: ArtifactKey;
  readonly #deps: ZipFillDeps;
  readonly #work: SharedWork<FillOutcome>;
  readonly #notice = new Notice();
  readonly #startedAtMs: number;
  #holdTimer: Timer | undefined;
  #holdOver = false;
  #sink: Sink | undefined;
  #declaredBytes: number | undefined;
  #receivedBytes = 0;
  #verified: VerifiedZip | undefined;
  #finished = false;
  #revoked = false;
  /** The highest position handed to any follower. */
  #sentBytes = 0;
  /** The attempt that clients have seen the beginning of, kept to compare the next source's bytes with. */
  #seen: { sink: Sink; bytes: number; declaredBytes: number | undefined } | undefined;
  /** Grows when what was sent cannot be continued: followers that began before are broken. */
  #era = 0;
  #publishing: Promise<void> = Promise.resolve();
  #followers = 0;

  constructor(key: ArtifactKey, deps: ZipFillDeps) {
    this.key = key;
    this.#deps = deps;
    this.#startedAtMs = deps.clock.monotonic();
    this.#holdTimer = deps.clock.setTimeout(() => {
      this.#holdOver = true;
      this.#notice.raise();
    }, deps.options.holdMs);
    this.#work = new SharedWork(
      (signal) => this.#run(signal),
      () => this.#worthFinishing(),
    );
    void this.#work.promise
      .catch(() => {})
      .then(() => {
        this.#finished = true;
        this.#holdTimer?.cancel();
        this.#notice.raise();
        return this.#maybeClose();
      });
  }

  /** Settles when verified or failed. */
  get outcome(): Promise<FillOutcome> {
    return this.#work.promise;
  }

  /** Resolves when what was verified is published (or could not be). Never rejects. */
  get settled(): Promise<void> {
    return this.#work.promise.then(
      () => this.#publishing,
      () => {},
    );
  }

  get cancelled(): boolean {
    return this.#revoked || this.#work.cancelled;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Stops it; when it is verified already, nobody new joins it all the same. */
  cancel(reason: Error): void {
    this.#revoked = true;
    this.#work.cancel(reason);
  }

  join(): Follower {
    this.#followers += 1;
    return new Follower(this, this.#work.hold());
  }

  /** @internal for Follower */
  async waitOpen(wholeOnly: boolean, signal: AbortSignal): Promise<OpenBody | 'stored'> {
    for (;;) {
      const changed = this.#notice.changed;
      if (this.#finished) {
        const outcome = await this.#work.promise;
        if (outcome === 'stored') return 'stored';
        return { sizeBytes: outcome.sizeBytes, verified: outcome, era: this.#era };
      }
      if (!wholeOnly && this.#holdOver && this.#seen === undefined && this.#releasedBytes() > 0) {
        return { sizeBytes: this.#declaredBytes, verified: undefined, era: this.#era };
      }
      await raceAbort(changed, signal);
    }
  }

  /** @internal for Follower: 0 at the verified end; rejects when it cannot be continued. */
  async readFor(
    state: FollowerState,
    target: Buffer,
    length: number,
    position: number,
    signal: AbortSignal,
  ): Promise<number> {
    for (;;) {
      const changed = this.#notice.changed;
      if (state.era !== this.#era) this.#adopt(state, position);
      if (this.#finished && this.#verified === undefined) await this.#work.promise;
      const verified = this.#verified;
      if (verified !== undefined && position >= verified.sizeBytes) return 0;
      const available = Math.min(length, this.#releasedBytes() - position);
      if (available > 0) {
        this.#sentBytes = Math.max(this.#sentBytes, position + available);
        if (verified?.body !== undefined) {
          return verified.body.copy(target, 0, position, position + available);
        }
        return (this.#sink as Sink).readAt(target, available, position);
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

  /** @internal for Follower */
  leave(release: () => void): void {
    this.#followers -= 1;
    release();
    void this.#maybeClose();
  }

  #releasedBytes(): number {
    if (this.#verified !== undefined) return this.#verified.sizeBytes;
    if (!this.#holdOver || this.#seen !== undefined) return 0;
    const tail = this.#deps.options.tailBytes;
    const received = this.#receivedBytes;
    return Math.max(
      0,
      this.#declaredBytes === undefined ? received - tail : Math.min(received, this.#declaredBytes - tail),
    );
  }

  /** Nearly there: more than half is in, or it will fit in a moment (the idea of Squid's quick_abort). */
  #worthFinishing(): boolean {
    if (this.#verified !== undefined) return true;
    const declared = this.#declaredBytes;
    if (declared === undefined || this.#receivedBytes === 0) return false;
    return this.#receivedBytes * 2 > declared || declared - this.#receivedBytes < 1024 * 1024;
  }

  async #run(signal: AbortSignal): Promise<FillOutcome> {
    let walk: Walk | undefined;
    try {
      if ((await this.#deps.claim(signal)) === 'stored') return 'stored';
      walk = this.#deps.openWalk(signal);
      for (;;) {
        const answer = await walk.next();
        if (answer === undefined) throw await this.#deps.failure(walk);
        const verified = await this.#attempt(walk, answer, signal);
        if (verified === undefined) continue;
        this.#publish(verified);
        return verified;
      }
    } catch (error) {
      if (signal.aborted && !(error instanceof SourcesFailure)) {
        throw new SourcesFailure(
          'cancelled',
          `the fetch was stopped: ${messageOf(signal.reason)}`,
          walk?.outcomes,
        );
      }
      throw error instanceof SourcesFailure ? error : internalFailure(error, walk);
    } finally {
      walk?.close();
    }
  }

  /** One source's body, from its first byte to its verification. Undefined: refused, the walk goes on. */
  async #attempt(walk: Walk, answer: UpstreamAnswer, signal: AbortSignal): Promise<VerifiedZip | undefined> {
    const { options } = this.#deps;
    const limitBytes = options.limits.zipBytes;
    const declared = answer.contentLength;
    if (declared !== undefined && declared > limitBytes) {
      this.#refuse(
        walk,
        answer,
        'refused',
        `its zip of ${declared} bytes is over the limit of ${limitBytes}`,
      );
      return undefined;
    }
    if (!this.#deps.accept(declared)) {
      answer.cancel();
      throw new SourcesFailure('not_fetched', 'too large to be fetched ahead');
    }
    let sink: Sink;
    try {
      sink = await this.#deps.openSink(declared ?? limitBytes);
    } catch (error) {
      answer.cancel();
      throw error;
    }
    this.#begin(sink, declared);
    const hash = createHash('sha256');
    const small: Buffer[] | undefined = declared !== undefined && declared <= smallZipBytes ? [] : undefined;
    try {
      const total = await pump({
        body: small === undefined ? answer.body : gathered(answer.body, small),
        sink,
        hash,
        limitBytes: declared ?? limitBytes,
        onTooLong() {
          throw new UpstreamError(answer.upstream, 'refused', 'sent more bytes than allowed');
        },
        onProgress: () => {
          this.#receivedBytes = sink.sizeBytes;
          if (this.#holdOver) this.#progress();
        },
      });
      this.#receivedBytes = total;
      const body = small === undefined ? undefined : Buffer.concat(small, total);
      const input =
        body !== undefined
          ? { buffer: body }
          : sink.staged !== undefined
            ? { file: sink.staged.file }
            : { buffer: await readWhole(sink) };
      const { h1 } = await this.#deps.verify(input, signal);
      const zip: VerifiedZip = {
        sizeBytes: total,
        sha256: hash.digest('hex'),
        h1,
        source: answer.upstream,
        verifiedAtMs: this.#deps.clock.now(),
        body: body ?? (await this.#shareable(sink, total)),
        isStaged: sink.staged !== undefined,
      };
      await this.#reconcile(total);
      this.#verified = zip;
      return zip;
    } catch (error) {
      answer.cancel();
      if (signal.aborted || !isSourceFault(error)) {
        await this.#dropSink();
        throw error;
      }
      const code = error instanceof UpstreamError ? error.code : 'refused';
      await this.#stepBack();
      this.#refuse(walk, answer, code, messageOf(error));
      return undefined;
    }
  }

  #refuse(walk: Walk, answer: UpstreamAnswer, code: UpstreamError['code'], reason: string): void {
    answer.cancel();
    walk.refuse(answer, code, reason);
    this.#deps.onRefused(answer.upstream, reason);
  }

  #begin(sink: Sink, declaredBytes: number | undefined): void {
    this.#sink = sink;
    this.#declaredBytes = declaredBytes;
    this.#receivedBytes = 0;
    this.#notice.raise();
  }

  #progress(): void {
    this.#notice.raise();
    const seen = this.#seen;
    if (seen !== undefined && this.#receivedBytes >= seen.bytes) void this.#reconcile(undefined);
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

  /** After a failed attempt: keeps what clients have seen, forgets the rest. */
  async #stepBack(): Promise<void> {
    const sink = this.#sink;
    const declaredBytes = this.#declaredBytes;
    this.#sink = undefined;
    this.#receivedBytes = 0;
    this.#declaredBytes = undefined;
    if (sink === undefined) return;
    if (this.#seen === undefined && this.#sentBytes > 0) {
      this.#seen = { sink, bytes: this.#sentBytes, declaredBytes };
    } else {
      await sink.close();
    }
    this.#notice.raise();
  }

  async #shareable(sink: Sink, total: number): Promise<Buffer | undefined> {
    if (this.#followers < 2 || total > this.#deps.shareInMemoryBytes) return undefined;
    return readWhole(sink);
  }

  #publish(zip: VerifiedZip): void {
    const sink = this.#sink as Sink;
    this.#publishing = this.#deps.publish(sink, zip).catch(() => {});
  }

  async #dropSink(): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#receivedBytes = 0;
    this.#declaredBytes = undefined;
    await sink?.close();
  }

  async #maybeClose(): Promise<void> {
    if (!this.#finished || this.#followers > 0) return;
    await this.#publishing;
    if (this.#followers > 0) return;
    await this.#seen?.sink.close();
    await this.#sink?.close();
  }

  /** Milliseconds since the fill began, for texts and logs. */
  get ageMs(): number {
    return this.#deps.clock.monotonic() - this.#startedAtMs;
  }
}

/** What a follower learns when its body opens. `verified` undefined: it streams, and may still break. */
export interface OpenBody {
  readonly sizeBytes: number | undefined;
  readonly verified: VerifiedZip | undefined;
  readonly era: number;
}

interface FollowerState {
  era: number;
  /** The length its client was told, if any. */
  promisedBytes: number | undefined;
}

/** One asker of a fill. Leave it exactly once. */
export class Follower {
  readonly #fill: ZipFill;
  readonly #release: () => void;
  readonly #state: FollowerState = { era: 0, promisedBytes: undefined };
  #left = false;

  constructor(fill: ZipFill, release: () => void) {
    this.#fill = fill;
    this.#release = release;
  }

  /**
   * Resolves when the zip is verified, or the hold time is over and bytes may flow. `wholeOnly` waits for
   * verification however long it takes. Rejects with SourcesFailure, or the signal's reason.
   */
  async open(wholeOnly: boolean, signal: AbortSignal): Promise<OpenBody | 'stored'> {
    const body = await this.#fill.waitOpen(wholeOnly, signal);
    if (body !== 'stored') {
      this.#state.era = body.era;
      this.#state.promisedBytes = body.sizeBytes;
    }
    return body;
  }

  /** Waits until bytes at `position` may be sent. 0 means the verified end. Rejects when the transfer must break. */
  readAt(target: Buffer, length: number, position: number, signal: AbortSignal): Promise<number> {
    return this.#fill.readFor(this.#state, target, length, position, signal);
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#fill.leave(this.#release);
  }
}

async function* gathered(body: AsyncIterable<Buffer>, into: Buffer[]): AsyncIterable<Buffer> {
  for await (const chunk of body) {
    into.push(chunk);
    yield chunk;
  }
}

async function readWhole(sink: Sink): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(sink.sizeBytes);
  let position = 0;
  while (position < whole.length) {
    const count = await sink.readAt(whole.subarray(position), whole.length - position, position);
    if (count === 0) break;
    position += count;
  }
  return whole.subarray(0, position);
}

/** A fault of the source moves the walk on; a fault of ours (disk, worker) ends the fill. */
function isSourceFault(error: unknown): boolean {
  if (error instanceof UpstreamError) return error.code !== 'aborted';
  return error instanceof ModferryError && error.name === 'ZipError' && !error.code.startsWith('verifier_');
}

const ourFaults: Record<string, FailureKind> = {
  disk_full: 'disk_full',
  read_only: 'disk_full',
  verifier_busy: 'overload',
  verifier_closed: 'cancelled',
};

function internalFailure(error: unknown, walk: Walk | undefined): SourcesFailure {
  const code = error instanceof ModferryError ? error.code : '';
  return new SourcesFailure(ourFaults[code] ?? 'failed', messageOf(error), walk?.outcomes, { cause: error });
}
