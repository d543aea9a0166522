/**
 * Holds what came for one artifact against what it must be. Bytes that differ go to quarantine with all that is known
 * of them, and never to a client; what all sources together amount to is told at the end (ruling 9).
 */
import type { Expectation, HashedKey, Judge, Judging } from '../checksums/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type {
  Evidence,
  Quarantine,
  QuarantineEntry,
  SuspectBytes,
  SuspectCause,
} from '../store/quarantine.ts';
import type { Trust } from '../store/store.ts';
import type { SourceOutcome } from '../upstream/types.ts';
import { isAbsence } from '../upstream/verdict.ts';
import { ZipError, type ZipOddity } from '../zip/zip-types.ts';
import { type IngestEvents, SourcesFailure } from './types.ts';

/** The content is not what the checksum database, or a trusted go.sum, says. */
export class MismatchError extends ModferryError<'mismatch'> {}

export interface ProvingDeps {
  readonly key: HashedKey;
  readonly judge: Judge;
  readonly clock: Clock;
  readonly quarantine: Pick<Quarantine, 'add'>;
  readonly events: EventBus<IngestEvents>;
  /** The bytes are there, and what they must be is not known yet. May be called again. */
  onWaiting?(): void;
}

/** What one source, or several joined, sent. */
export interface Came {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Upstream names; more than one: whose part does not belong is not known. */
  readonly sources: readonly string[];
  /** Of the answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface Found extends Came {
  readonly h1: string;
  /** Broken extra rules: no matter where the content is proven (ruling 12). */
  readonly oddities?: readonly ZipOddity[] | undefined;
}

interface Mismatch {
  readonly source: string;
  readonly h1: string;
}

export class Proving {
  readonly #deps: ProvingDeps;
  readonly #controller = new AbortController();
  readonly #expectation: Promise<Expectation>;
  readonly #mismatches: Mismatch[] = [];
  /** Sources whose zip was none. */
  readonly #spoilt = new Set<string>();
  #blocked: SourcesFailure | undefined;
  #isKnown = false;
  #quarantineId: string | undefined;
  #expectedText = '';

  /** Asks at once, so that the answer is on its way while the bytes are. */
  constructor(deps: ProvingDeps, asker: Judging) {
    this.#deps = deps;
    const signal = AbortSignal.any([asker.signal, this.#controller.signal]);
    this.#expectation = deps.judge.expect(deps.key, { ...asker, signal }).then((expectation) => {
      this.#isKnown = true;
      if (expectation.kind === 'blocked') {
        this.#blocked = new SourcesFailure('unproven', `${this.#name}: ${expectation.reason}`);
      }
      return expectation;
    });
    this.#expectation.catch(() => {});
  }

  /** Resolves when it is known what it must be, or that this will not be known. Never rejects. */
  get known(): Promise<void> {
    return this.#expectation.then(
      () => {},
      () => {},
    );
  }

  /** Throws SourcesFailure `unproven` once it is known that nothing may be published: the bytes need not be fetched. */
  throwIfBlocked(): void {
    if (this.#blocked !== undefined) throw this.#blocked;
  }

  /** Whether nothing but this hash will do; undefined: nothing is known to compare with, or it is not to be published. */
  async expectedH1(): Promise<string | undefined> {
    if (!this.#isKnown) this.#deps.onWaiting?.();
    const expectation = await this.#expectation;
    return expectation.kind === 'known' ? expectation.h1 : undefined;
  }

  /**
   * By what it is proven, or why it may do without. Throws MismatchError after the suspect was put away, ZipError for
   * an oddity that no proof excuses, SourcesFailure `unproven`, or the signal's reason.
   */
  async judge(found: Found, bytes: SuspectBytes): Promise<Trust> {
    if (!this.#isKnown) this.#deps.onWaiting?.();
    const expectation = await this.#expectation;
    this.throwIfBlocked();
    if (expectation.kind !== 'known') {
      const oddity = found.oddities?.[0];
      if (oddity !== undefined) throw new ZipError(oddity.code, oddity.message);
      return { unproven: expectation.kind === 'unproven' ? expectation.why : 'unreachable' };
    }
    if (expectation.h1 === found.h1) return { proof: expectation.proof };
    return await this.#refuse(found, expectation, bytes);
  }

  /** It came whole and is no module file: put away with all that is known of it. Never rejects. */
  async spoilt(came: Came, reason: string, bytes: SuspectBytes): Promise<void> {
    const source = came.sources.join('+');
    if (came.sources.length > 1) return;
    this.#spoilt.add(source);
    const expectation = this.#isKnown ? await this.#expectation : undefined;
    const expected = expectation?.kind === 'known' ? expectation : undefined;
    await this.#putAway(
      {
        key: this.#deps.key,
        cause: 'corrupt',
        source,
        reason,
        sha256: came.sha256,
        sizeBytes: came.sizeBytes,
        expectedH1: expected?.h1,
        expectedBy: expected?.by,
        headers: came.headers,
        atMs: this.#deps.clock.now(),
      },
      bytes,
    );
  }

  /** The content is good: tells it as healed when another source had sent something else. */
  settled(source: string): void {
    this.close();
    const from = [...new Set([...this.#spoilt, ...this.#mismatches.map((mismatch) => mismatch.source)])];
    if (from.length === 0) return;
    this.#deps.events.emit('healed', { key: this.#deps.key, from, source });
  }

  /** What the sources' outcomes amount to where all that have the artifact have something else; else undefined. */
  verdict(outcomes: readonly SourceOutcome[]): SourcesFailure | undefined {
    const differing = new Set(this.#mismatches.map(({ source }) => source));
    if (differing.size === 0) return undefined;
    const others = outcomes.filter(({ source, code }) => !differing.has(source) && !isAbsence(code));
    if (others.length > 0) return undefined;
    const hashes = new Set(this.#mismatches.map(({ h1 }) => h1));
    const kept =
      this.#quarantineId === undefined ? '' : `; see modferry quarantine show ${this.#quarantineId}`;
    const text = `${this.#name}: ${causeText(differing.size, hashes.size)} (${this.#expectedText})${kept}`;
    return new SourcesFailure('mismatch', text, outcomes);
  }

  /** The expectation is no longer waited for. Idempotent. */
  close(): void {
    this.#controller.abort(new Error('no longer needed'));
  }

  get #name(): string {
    const { path, version, ext } = this.#deps.key;
    return `${path}@${version}.${ext}`;
  }

  async #refuse(
    found: Found,
    expected: Expectation & { kind: 'known' },
    bytes: SuspectBytes,
  ): Promise<never> {
    const { key, clock } = this.#deps;
    const source = found.sources.join('+');
    // Short enough for the line that a client is shown; the evidence has both whole.
    const reason = `has ${shortHash(found.h1)} where ${expected.by} has ${shortHash(expected.h1)}`;
    this.#expectedText = `${expected.by} has ${shortHash(expected.h1)}`;
    if (found.sources.length > 1) throw new MismatchError('mismatch', reason);
    const cause: SuspectCause = this.#mismatches.some(
      (other) => other.h1 === found.h1 && other.source !== source,
    )
      ? 'retagged'
      : 'mismatch';
    if (!this.#mismatches.some((other) => other.source === source && other.h1 === found.h1)) {
      this.#mismatches.push({ source, h1: found.h1 });
    }
    const evidence: Evidence = {
      key,
      cause,
      source,
      reason,
      sha256: found.sha256,
      sizeBytes: found.sizeBytes,
      expectedH1: expected.h1,
      foundH1: found.h1,
      expectedBy: expected.by,
      headers: found.headers,
      atMs: clock.now(),
    };
    const entry = await this.#putAway(evidence, bytes);
    this.#quarantineId ??= entry?.id;
    throw new MismatchError('mismatch', reason);
  }

  /** A suspect that cannot be kept is told all the same. */
  async #putAway(evidence: Evidence, bytes: SuspectBytes): Promise<QuarantineEntry | undefined> {
    const { quarantine, events } = this.#deps;
    const entry = await quarantine.add(evidence, bytes).catch(() => undefined);
    events.emit('mismatch', { ...evidence, quarantineId: entry?.id });
    return entry;
  }
}

/** Enough to tell two apart. */
function shortHash(h1: string): string {
  return `${h1.slice(0, 15)}…`;
}

/** As well as can be told from what came. */
function causeText(sources: number, contents: number): string {
  if (sources === 1) {
    return 'its only source has other content: tampered with, damaged there, or the tag was moved';
  }
  if (contents === 1) {
    return `all ${sources} sources agree on other content: the tag was moved, or they share a bad origin`;
  }
  return `${sources} sources have ${contents} other contents: tampered with, or damaged on the way`;
}
