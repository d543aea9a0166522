/**
 * Holds what came for one artifact against what it must be. Bytes that differ go to quarantine with all that is known
 * of them, and never to a client; what all sources together amount to is told at the end (ruling 9).
 */
import type { Expectation, HashedKey, Judge, Judging } from '../checksums/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Evidence, Quarantine, SuspectBytes, SuspectCause } from '../store/quarantine.ts';
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
}

/** What one source, or several joined, sent. */
export interface Found {
  readonly h1: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Upstream names; more than one: whose part does not belong is not known. */
  readonly sources: readonly string[];
  /** Of the answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
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
  #blocked: SourcesFailure | undefined;

  /** Asks at once, so that the answer is on its way while the bytes are. */
  constructor(deps: ProvingDeps, asker: Judging) {
    this.#deps = deps;
    const signal = AbortSignal.any([asker.signal, this.#controller.signal]);
    this.#expectation = deps.judge.expect(deps.key, { ...asker, signal }).then((expectation) => {
      if (expectation.kind === 'blocked') {
        this.#blocked = new SourcesFailure('unproven', `${this.#name}: ${expectation.reason}`);
      }
      return expectation;
    });
    this.#expectation.catch(() => {});
  }

  /** Throws SourcesFailure `unproven` once it is known that nothing may be published: the bytes need not be fetched. */
  throwIfBlocked(): void {
    if (this.#blocked !== undefined) throw this.#blocked;
  }

  /** Whether nothing but this hash will do; undefined: nothing is known to compare with, or it is not to be published. */
  async expectedH1(): Promise<string | undefined> {
    const expectation = await this.#expectation;
    return expectation.kind === 'known' ? expectation.h1 : undefined;
  }

  /**
   * By what it is proven, or why it may do without. Throws MismatchError after the suspect was put away, ZipError for
   * an oddity that no proof excuses, SourcesFailure `unproven`, or the signal's reason.
   */
  async judge(found: Found, bytes: SuspectBytes): Promise<Trust> {
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

  /** The content is good: tells it as healed when another source had sent something else. */
  settled(source: string): void {
    this.close();
    if (this.#mismatches.length === 0) return;
    const from = [...new Set(this.#mismatches.map((mismatch) => mismatch.source))];
    this.#deps.events.emit('healed', { key: this.#deps.key, from, source });
  }

  /** What the sources' outcomes amount to where all that have the artifact have something else; else undefined. */
  verdict(outcomes: readonly SourceOutcome[]): SourcesFailure | undefined {
    const differing = new Set(this.#mismatches.map(({ source }) => source));
    if (differing.size === 0) return undefined;
    const others = outcomes.filter(({ source, code }) => !differing.has(source) && !isAbsence(code));
    if (others.length > 0) return undefined;
    const hashes = new Set(this.#mismatches.map(({ h1 }) => h1));
    return new SourcesFailure(
      'mismatch',
      `${this.#name}: ${causeText(differing.size, hashes.size)}`,
      outcomes,
    );
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
    const { key, clock, quarantine, events } = this.#deps;
    const source = found.sources.join('+');
    const reason = `its content is ${found.h1}, ${expected.by} says ${expected.h1}`;
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
    // A suspect that cannot be kept is told all the same.
    const entry = await quarantine.add(evidence, bytes).catch(() => undefined);
    events.emit('mismatch', { ...evidence, quarantineId: entry?.id });
    throw new MismatchError('mismatch', messageOf(reason));
  }
}

/** As well as can be told from what came. */
function causeText(sources: number, contents: number): string {
  if (sources === 1) {
    return 'its only source has other content than proven: tampered with, damaged there, or the tag was moved';
  }
  if (contents === 1) {
    return `all ${sources} sources agree on other content than proven: the tag was moved, or they share a bad origin`;
  }
  return `${sources} sources have ${contents} different contents, none as proven: tampered with, or damaged on the way`;
}
