/**
 * The bytes of one zip from one source after another: while a source is too slow another one is asked beside it, and
 * after a failure the next one goes on where it ended, if both promise the same bytes by a strong ETag and the same
 * length. Otherwise the file is begun again with the next source (`Restart`). It never guesses: what is joined here
 * is verified as a whole by the caller like any other file.
 */
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { isStrongEtag } from '../upstream/answer-place.ts';
import type { RangeWish } from '../upstream/attempt.ts';
import { type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import { BodyPace, type PaceLimits } from './body-pace.ts';
import type { IngestEvents } from './types.ts';
import type { ZipSources } from './zip-sources.ts';

export type TakeOver = Omit<IngestEvents['takeOver'], 'key'>;

export interface RelayOptions {
  readonly sources: ZipSources;
  readonly clock: Clock;
  readonly limits: PaceLimits;
  /** False: a part of the file did not fit before, so that every source is asked for all of it. */
  readonly mayResume: boolean;
  readonly onTakeOver: (event: TakeOver) => void;
  /** What follows after this byte comes from another source. */
  readonly onJoin: (atByte: number) => void;
}

/** Ends the body: another source's answer is to be read from its first byte. */
export class Restart extends ModferryError<'restart'> {
  readonly answer: UpstreamAnswer;

  constructor(answer: UpstreamAnswer) {
    super('restart', `${answer.upstream} sends the whole file`);
    this.answer = answer;
  }
}

/** Two sources that promise the same bytes sent different ones. */
export class JoinError extends ModferryError<'differs'> {}

/** Less than this is fetched again sooner than it is joined. */
const leastResumeBytes = 64 * 1024;
/** What a slow source sends while another is being asked, kept to compare. One that sends more is well again. */
const maxOverlapBytes = 1024 * 1024;
/** Between a question for help that came to nothing and the next one. */
const helpPauseMs = 30_000;

interface Beside {
  readonly cause: string;
  readonly range: RangeWish;
  /** What came since it was asked. */
  readonly overlap: Buffer[];
  overlapBytes: number;
  answer: UpstreamAnswer | undefined;
}

export class RelayBody {
  readonly #options: RelayOptions;
  readonly #first: UpstreamAnswer;
  #answer: UpstreamAnswer;
  #pace: BodyPace;
  #mayResume: boolean;
  #receivedBytes = 0;
  #beside: { asked: Beside; done: Promise<void> } | undefined;
  /** Bytes in hand that the present source sends once more. */
  #overlap: Buffer = Buffer.alloc(0);
  readonly #sourceNames: string[];

  /** `answer` begins at byte 0. */
  constructor(answer: UpstreamAnswer, options: RelayOptions) {
    this.#options = options;
    this.#first = answer;
    this.#answer = answer;
    this.#mayResume = options.mayResume;
    this.#sourceNames = [answer.upstream];
    this.#pace = this.#watch(answer);
  }

  /** Where the bytes come from now. */
  get answer(): UpstreamAnswer {
    return this.#answer;
  }

  /** All that have sent a part of it, in order. More than one: it is joined. */
  get sourceNames(): readonly string[] {
    return this.#sourceNames;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /**
   * Throws Restart, JoinError, or the last source's error when nobody can go on. Read it once; what it throws leaves
   * no question open but the answer in hand.
   */
  async *chunks(): AsyncGenerator<Buffer, void, void> {
    try {
      for (;;) {
        const step = await this.#pace.next().catch((error: unknown) => this.#recover(error));
        if (step === undefined) continue;
        if (step.kind === 'end') return;
        if (step.kind === 'slow') this.#askBeside(step.cause);
        else if (step.kind === 'interrupted') this.#answeredBeside();
        else {
          const chunk = this.#accept(step.chunk);
          if (chunk.byteLength > 0) yield chunk;
        }
      }
    } finally {
      this.#pace.stop();
      this.#dropBeside();
    }
  }

  #watch(answer: UpstreamAnswer): BodyPace {
    return new BodyPace(answer, this.#options.clock, this.#options.limits);
  }

  #accept(received: Buffer): Buffer {
    const known = Math.min(received.byteLength, this.#overlap.byteLength);
    if (!received.subarray(0, known).equals(this.#overlap.subarray(0, known))) {
      throw new JoinError(
        'differs',
        `${this.#sourceNames.join(' and ')} sent different bytes under one ETag`,
      );
    }
    this.#overlap = this.#overlap.subarray(known);
    const chunk = received.subarray(known);
    this.#receivedBytes += chunk.byteLength;
    const asked = this.#beside?.asked;
    if (asked !== undefined) {
      asked.overlapBytes += chunk.byteLength;
      if (asked.overlapBytes <= maxOverlapBytes) asked.overlap.push(chunk);
    }
    return chunk;
  }

  /** What the next source is asked for: the rest where it can be proven to be the same file, else all of it. */
  #wish(): RangeWish {
    const { etag, contentLength } = this.#first;
    const isWorthIt = this.#receivedBytes >= leastResumeBytes && this.#overlap.byteLength === 0;
    if (!this.#mayResume || !isWorthIt || !isStrongEtag(etag)) return {};
    if (contentLength === undefined || this.#receivedBytes >= contentLength) return {};
    return { fromByte: this.#receivedBytes, ifRange: etag };
  }

  #fits(answer: UpstreamAnswer, { fromByte = 0 }: RangeWish): boolean {
    return (
      fromByte > 0 &&
      answer.offset === fromByte &&
      answer.totalBytes === this.#first.contentLength &&
      isStrongEtag(answer.etag) &&
      answer.etag === this.#first.etag
    );
  }

  /** The present source goes on meanwhile. */
  #askBeside(cause: string): void {
    const asked: Beside = { cause, range: this.#wish(), overlap: [], overlapBytes: 0, answer: undefined };
    const done = this.#options.sources.nextBeside(asked.range).then(
      (answer) => {
        asked.answer = answer;
        if (this.#beside?.asked === asked) this.#pace.interrupt();
        else if (answer !== undefined) this.#options.sources.putBack(answer, 'no longer needed');
      },
      // The request was given up: the body in hand says so itself.
      () => {},
    );
    this.#beside = { asked, done };
  }

  #dropBeside(): void {
    const answer = this.#beside?.asked.answer;
    this.#beside = undefined;
    if (answer !== undefined) this.#options.sources.putBack(answer, 'no longer needed');
  }

  #answeredBeside(): void {
    const asked = this.#beside?.asked;
    this.#beside = undefined;
    if (asked?.answer === undefined) {
      // Nobody else can now: the last hope goes on as it does, until somebody may be well again.
      this.#pace.forgive(helpPauseMs);
      return;
    }
    const { sources } = this.#options;
    const { answer, cause, range } = asked;
    if (asked.overlapBytes > maxOverlapBytes) {
      sources.putBack(answer, `${this.#answer.upstream} is quick enough again`);
      this.#pace.forgive();
      return;
    }
    if (this.#fits(answer, range)) {
      sources.replace(this.#answer, answer, cause);
      this.#join(answer, asked.overlap, cause);
      return;
    }
    if (isWhole(answer)) {
      sources.replace(this.#answer, answer, cause);
      throw this.#restart(answer, cause);
    }
    this.#mayResume = false;
    sources.putBack(answer, 'sent a part of another file: to be asked for all of it');
    this.#askBeside(cause);
  }

  /** After a failure in the middle. Returns when another source goes on; throws the error when none can. */
  async #recover(error: unknown): Promise<undefined> {
    if (!(error instanceof UpstreamError) || !recoverable.has(error.code)) throw error;
    const beside = this.#beside;
    let wish = beside?.asked.range ?? this.#wish();
    if (beside === undefined && wish.fromByte === undefined) throw error;
    const { sources } = this.#options;
    sources.refuse(this.#answer, error.code, error.message);
    await beside?.done;
    this.#beside = undefined;
    let answer = beside?.asked.answer;
    let overlap = beside?.asked.overlap ?? [];
    if (answer !== undefined && (beside?.asked.overlapBytes ?? 0) > maxOverlapBytes) {
      sources.putBack(answer, 'asked too early in the file');
      answer = undefined;
    }
    if (answer === undefined) {
      wish = this.#wish();
      overlap = [];
      answer = await sources.next(wish);
    } else sources.adopt(answer);
    if (answer !== undefined && this.#fits(answer, wish)) {
      this.#join(answer, overlap, error.message);
      return undefined;
    }
    if (answer !== undefined && !isWhole(answer)) {
      sources.putBack(answer, 'sent a part of another file: to be asked for all of it');
      answer = await sources.next();
    }
    if (answer === undefined) throw error;
    throw this.#restart(answer, error.message);
  }

  #join(answer: UpstreamAnswer, overlap: readonly Buffer[], cause: string): void {
    this.#pace.stop();
    this.#tell('resumed', answer, cause);
    this.#answer = answer;
    this.#overlap = Buffer.concat(overlap);
    this.#sourceNames.push(answer.upstream);
    this.#pace = this.#watch(answer);
    this.#options.onJoin(this.#receivedBytes);
  }

  #restart(answer: UpstreamAnswer, cause: string): Restart {
    this.#tell('restarted', answer, cause);
    return new Restart(answer);
  }

  #tell(how: TakeOver['how'], answer: UpstreamAnswer, cause: string): void {
    const atByte = this.#receivedBytes;
    this.#options.onTakeOver({ from: this.#answer.upstream, to: answer.upstream, atByte, how, cause });
  }
}

/** Failures in the middle of a body after which its beginning is still worth something. */
const recoverable: ReadonlySet<string> = new Set(['reset', 'truncated', 'timeout', 'connect', 'tls']);

function isWhole(answer: UpstreamAnswer): boolean {
  return (answer.offset ?? 0) === 0;
}
