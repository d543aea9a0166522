/**
 * The sources of one zip: the walk, with second chances. A source that could not send a part, or whose part did not
 * fit, may still have the whole file; it is asked for that once nobody else is left.
 */
import type { RangeWish } from '../upstream/attempt.ts';
import type { SourceOutcome, UpstreamAnswer, UpstreamErrorCode } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';

export class ZipSources {
  readonly walk: Walk;
  readonly #onRefused: (source: string, reason: string) => void;
  readonly #refused = new WeakSet<UpstreamAnswer>();
  readonly #secondChances = new Set<string>();

  constructor(walk: Walk, onRefused: (source: string, reason: string) => void) {
    this.walk = walk;
    this.#onRefused = onRefused;
  }

  /** As the walk's. An answer to a `range` may be whole. */
  async next(range: RangeWish = {}): Promise<UpstreamAnswer | undefined> {
    const answer = await this.walk.next(range);
    return answer === undefined && this.#reopen(range) ? this.walk.next() : answer;
  }

  /** As the walk's. */
  async nextBeside(range: RangeWish): Promise<UpstreamAnswer | undefined> {
    const answer = await this.walk.nextBeside(range);
    return answer === undefined && this.#reopen(range) ? this.walk.nextBeside() : answer;
  }

  /** The answer of `nextBeside` replaces the one in hand, which is at fault. */
  replace(old: UpstreamAnswer, answer: UpstreamAnswer, cause: string): void {
    this.walk.adopt(answer);
    this.walk.refuse(old, 'timeout', cause);
    this.#refused.add(old);
  }

  /** Idempotent for each answer. */
  refuse(answer: UpstreamAnswer, code: UpstreamErrorCode, reason: string): void {
    if (this.#refused.has(answer)) return;
    this.#refused.add(answer);
    this.walk.refuse(answer, code, reason);
    this.#onRefused(answer.upstream, reason);
  }

  /** Not needed, or not proven to be at fault: dropped without blame; the source may be asked again. */
  putBack(answer: UpstreamAnswer, reason: string): void {
    if (this.#refused.has(answer)) return;
    this.#refused.add(answer);
    this.walk.refuse(answer, 'beaten', reason);
  }

  /** To be asked for the whole file when nobody else is left. */
  giveSecondChance(source: string): void {
    this.#secondChances.add(source);
  }

  #reopen({ fromByte = 0 }: RangeWish): boolean {
    const names = [...this.#secondChances];
    this.#secondChances.clear();
    if (fromByte > 0) names.push(...this.walk.outcomes.filter(hasNoPart).map(({ source }) => source));
    return names.filter((name) => this.walk.askAgain(name)).length > 0;
  }
}

/** It answered, but not with the part that was asked. */
function hasNoPart({ code, status }: SourceOutcome): boolean {
  return status === 416 || code === 'protocol';
}
