/**
 * The fill of one module zip: fetched once, staged while it arrives, followed by any number of askers, verified,
 * then published behind their backs. A source whose bytes are refused is replaced by the next; whoever has
 * already received bytes goes on only if the new source's bytes begin the same (design rule 2).
 */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Deadline } from '../lib/deadline.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { type SourceOutcome, type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import type { StagedPart, ZipStream } from '../zip/stream-feed.ts';
import { Follower } from './follower.ts';
import { type FillOutcome, GrowingBody, type VerifiedZip } from './growing-body.ts';
import { MismatchError, type Proving } from './proving.ts';
import { JoinError, RelayBody, Restart, type TakeOver } from './relay-body.ts';
import type { Sink } from './sink.ts';
import { type FailureKind, type IngestEvents, type IngestOptions, SourcesFailure } from './types.ts';
import { fetchZip, type ZipVerdict } from './zip-attempt.ts';
import { ZipSources } from './zip-sources.ts';

export interface ZipFillDeps {
  readonly clock: Clock;
  readonly options: IngestOptions;
  /** By a plan made now. `without`: it is for help in the middle of a zip, and these are not asked. */
  openWalk(signal: AbortSignal, without?: ReadonlySet<string>): Walk;
  /** Rejects with StoreError `disk_full` when neither disk nor memory takes a body of this length. */
  openSink(capacityBytes: number): Promise<Sink>;
  verify(input: { file: string } | { buffer: Buffer }, signal: AbortSignal): Promise<ZipVerdict>;
  /** See `ZipAttempt`. */
  openStream?(staged: () => StagedPart | undefined): ZipStream;
  /** Called once, when the fetch begins; closed here. */
  openProving(signal: AbortSignal): Proving;
  /** Durable publication; called once, after verification; the sink stays readable until `close`. */
  publish(sink: Sink, zip: VerifiedZip): Promise<void>;
  /** Another process fills it or has filled it: `stored` means look in the store again. */
  claim(signal: AbortSignal): Promise<'ours' | 'stored'>;
  failure(heard: Pick<Walk, 'outcomes'>): Promise<SourcesFailure>;
  /** False: nobody but look-ahead wants it, and it is too large for that. */
  accept(declaredBytes: number | undefined): boolean;
  onRefused(source: string, reason: string): void;
  onTakeOver?(event: TakeOver): void;
  /** The walk is over. */
  onFetched?(event: Omit<IngestEvents['fetched'], 'key'>): void;
  /** Whole bodies up to this size are kept in memory once several wait for them. */
  readonly shareInMemoryBytes: number;
}

/** A source that failed in the middle of its body, until the next one has answered. */
type Lost = Omit<TakeOver, 'to' | 'how'>;

export class ZipFill {
  readonly key: ArtifactKey;
  readonly #deps: ZipFillDeps;
  readonly #work: SharedWork<FillOutcome>;
  readonly #body: GrowingBody;
  readonly #holdTimer: Timer;
  /** Resolves when it is known what the content must be. */
  readonly #expected = Promise.withResolvers<void>();
  #isFinished = false;
  #revoked = false;
  /** Until a part did not fit. */
  #mayResume = true;
  #lost: Lost | undefined;
  #publishing: Promise<void> = Promise.resolve();
  #followers = 0;

  constructor(key: ArtifactKey, deps: ZipFillDeps) {
    this.key = key;
    this.#deps = deps;
    const outcome = Promise.withResolvers<FillOutcome>();
    outcome.promise.catch(() => {});
    this.#body = new GrowingBody(deps.options.tailBytes, outcome.promise);
    this.#holdTimer = deps.clock.setTimeout(() => {
      // While it is not known what it must be, the answer may still become "not proven": better a status than a cut.
      void this.#expected.promise.then(() => this.#body.endHold());
    }, deps.options.holdMs);
    this.#work = new SharedWork(
      (signal) => this.#run(signal),
      () => this.#worthFinishing(),
    );
    outcome.resolve(this.#work.promise);
    void this.#work.promise
      .catch(() => {})
      .then(() => {
        this.#isFinished = true;
        this.#holdTimer.cancel();
        this.#body.finish();
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
    return this.#body.receivedBytes;
  }

  /** Stops it; when it is verified already, nobody new joins it all the same. */
  cancel(reason: Error): void {
    this.#revoked = true;
    this.#work.cancel(reason);
  }

  /** Monotonic: until when anybody waits for its first bytes; undefined: however long it takes. */
  get deadlineAtMs(): number | undefined {
    return this.#work.deadlineAtMs;
  }

  join(deadlineAtMs?: Deadline): Follower {
    this.#followers += 1;
    const release = this.#work.hold(deadlineAtMs);
    return new Follower(this.#body, () => {
      this.#followers -= 1;
      release();
      void this.#maybeClose();
    });
  }

  /** Nearly there: more than half is in, or it will fit in a moment (the idea of Squid's quick_abort). */
  #worthFinishing(): boolean {
    if (this.#body.isVerified) return true;
    const { declaredBytes, receivedBytes } = this.#body;
    if (declaredBytes === undefined || receivedBytes === 0) return false;
    return receivedBytes * 2 > declaredBytes || declaredBytes - receivedBytes < 1024 * 1024;
  }

  async #run(signal: AbortSignal): Promise<FillOutcome> {
    let sources: ZipSources | undefined;
    let proving: Proving | undefined;
    try {
      if ((await this.#deps.claim(signal)) === 'stored') return 'stored';
      proving = this.#deps.openProving(signal);
      this.#expected.resolve(proving.known);
      sources = new ZipSources(
        this.#deps.openWalk(signal),
        (without) => this.#deps.openWalk(signal, without),
        (source, reason) => this.#deps.onRefused(source, reason),
      );
      const zip = await this.#fetch(sources, proving, signal);
      proving.settled(zip.source);
      if (this.#body.sink !== undefined) {
        this.#publishing = this.#deps.publish(this.#body.sink, zip).catch(() => {});
      }
      return zip;
    } catch (error) {
      if (signal.aborted && !(error instanceof SourcesFailure)) {
        throw new SourcesFailure(
          'cancelled',
          `the fetch was stopped: ${messageOf(signal.reason)}`,
          sources?.outcomes,
        );
      }
      throw error instanceof SourcesFailure ? error : internalFailure(error, sources?.outcomes);
    } finally {
      proving?.close();
      sources?.close();
    }
  }

  /** Source after source, until a file is verified. */
  async #fetch(sources: ZipSources, proving: Proving, signal: AbortSignal): Promise<VerifiedZip> {
    const startedAtMs = this.#deps.clock.monotonic();
    let source: string | undefined;
    try {
      let answer = await sources.next();
      for (;;) {
        if (answer === undefined) {
          throw proving.verdict(sources.outcomes) ?? (await this.#deps.failure(sources));
        }
        this.#tellRestart(answer);
        const result: VerifiedZip | Restart | undefined = await this.#attempt(
          sources,
          answer,
          proving,
          signal,
        );
        if (result !== undefined && !(result instanceof Restart)) {
          source = result.source;
          return result;
        }
        answer = result?.answer ?? (await sources.next());
      }
    } finally {
      const tookMs = this.#deps.clock.monotonic() - startedAtMs;
      this.#deps.onFetched?.({ source, outcomes: sources.outcomes, tookMs });
    }
  }

  /** Undefined: refused, the walk goes on. */
  async #attempt(
    sources: ZipSources,
    answer: UpstreamAnswer,
    proving: Proving,
    signal: AbortSignal,
  ): Promise<VerifiedZip | Restart | undefined> {
    const { options, clock } = this.#deps;
    const { zipBytes: limitBytes } = options.limits;
    const declaredBytes = answer.contentLength;
    if (declaredBytes !== undefined && declaredBytes > limitBytes) {
      const reason = `its zip of ${declaredBytes} bytes is over the limit of ${limitBytes}`;
      sources.refuse(answer, 'too_large', reason);
      return undefined;
    }
    const sink = await this.#openSink(answer, proving, declaredBytes ?? limitBytes);
    this.#body.begin(sink, declaredBytes);
    const relay = new RelayBody(answer, {
      sources,
      clock,
      limits: options,
      mayResume: this.#mayResume,
      onTakeOver: (event) => this.#deps.onTakeOver?.(event),
      onJoin: (atByte) => this.#body.join(atByte),
    });
    try {
      const zip = await fetchZip({
        relay,
        sink,
        declaredBytes,
        limitBytes,
        onChunk: () => proving.throwIfBlocked(),
        onProgress: (receivedBytes) => this.#body.advance(receivedBytes),
        verify: (input) => this.#deps.verify(input, signal),
        openStream: (staged) => this.#deps.openStream?.(staged),
        signal,
        prove: (found, bytes) => proving.judge(found, bytes),
        spoilt: async (came, error, bytes) => {
          if (isSourceFault(error)) await proving.spoilt(came, messageOf(error), bytes);
        },
        isShared: (sizeBytes) => this.#followers >= 2 && sizeBytes <= this.#deps.shareInMemoryBytes,
        now: () => clock.now(),
      });
      await this.#body.verify(zip);
      return zip;
    } catch (error) {
      return await this.#failed(sources, relay, error, signal);
    }
  }

  async #openSink(answer: UpstreamAnswer, proving: Proving, capacityBytes: number): Promise<Sink> {
    try {
      proving.throwIfBlocked();
      if (!this.#deps.accept(answer.contentLength)) {
        throw new SourcesFailure('not_fetched', 'too large to be fetched ahead');
      }
      return await this.#deps.openSink(capacityBytes);
    } catch (error) {
      answer.cancel();
      throw error;
    }
  }

  /** What follows from the failure of an attempt. Throws when it ends the fill. */
  async #failed(
    sources: ZipSources,
    relay: RelayBody,
    error: unknown,
    signal: AbortSignal,
  ): Promise<Restart | undefined> {
    const { answer, sourceNames } = relay;
    if (error instanceof Restart) {
      await this.#body.stepBack();
      return error;
    }
    if (signal.aborted || !isSourceFault(error)) {
      answer.cancel();
      await this.#body.drop();
      throw error;
    }
    await this.#body.stepBack();
    const reason = messageOf(error);
    if (error instanceof UpstreamError && error.code !== 'refused') {
      this.#lost = { from: answer.upstream, atByte: relay.receivedBytes, cause: reason };
    }
    if (sourceNames.length > 1 && !(error instanceof UpstreamError)) {
      // Which of them sent what does not belong is not known: nobody is blamed, each may show its whole file.
      this.#mayResume = false;
      for (const name of sourceNames) sources.giveSecondChance(name);
      const text = `joined from ${sourceNames.join(' and ')}: ${reason}`;
      this.#deps.onRefused(answer.upstream, text);
      sources.putBack(answer, text);
      return undefined;
    }
    sources.refuse(answer, error instanceof UpstreamError ? error.code : 'refused', reason);
    return undefined;
  }

  #tellRestart(answer: UpstreamAnswer): void {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost === undefined || lost.atByte === 0) return;
    this.#deps.onTakeOver?.({ ...lost, to: answer.upstream, how: 'restarted' });
  }

  async #maybeClose(): Promise<void> {
    if (!this.#isFinished || this.#followers > 0) return;
    await this.#publishing;
    if (this.#followers > 0) return;
    await this.#body.close();
  }
}

/** A fault of the source moves the walk on; a fault of ours (disk, worker) ends the fill. */
function isSourceFault(error: unknown): boolean {
  if (error instanceof JoinError || error instanceof MismatchError) return true;
  if (error instanceof UpstreamError) return error.code !== 'aborted';
  return error instanceof ModferryError && error.name === 'ZipError' && !error.code.startsWith('verifier_');
}

const ourFaults: Record<string, FailureKind> = {
  disk_full: 'disk_full',
  read_only: 'disk_full',
  verifier_busy: 'overload',
  verifier_closed: 'cancelled',
};

function internalFailure(error: unknown, outcomes?: readonly SourceOutcome[]): SourcesFailure {
  const code = error instanceof ModferryError ? error.code : '';
  return new SourcesFailure(ourFaults[code] ?? 'internal', messageOf(error), outcomes, { cause: error });
}
