/**
 * The sources of one zip: the walk, with second chances, and new walks for help later on. A source that could not
 * send a part, or whose part did not fit, may still have the whole file; it is asked for that once nobody else is
 * left. A zip may take so long that sources which failed at first are well again before its end.
 */
import type { RangeWish } from '../upstream/attempt.ts';
import type { SourceOutcome, UpstreamAnswer, UpstreamErrorCode } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';

/** By a new plan, without the sources of these names. */
export type OpenHelp = (without: ReadonlySet<string>) => Walk;

export class ZipSources {
  readonly #openHelp: OpenHelp;
  readonly #onRefused: (source: string, reason: string) => void;
  /** Those whose answers were in hand, oldest first; each but the first replaced a source that was too slow. */
  readonly #walks: Walk[];
  /** Asks beside the answer in hand, since nobody of the walks above was left for that. */
  #help: Walk | undefined;
  #isBesideSpent = false;
  /** Whose answer is whose, while it matters. */
  readonly #walkOf = new WeakMap<UpstreamAnswer, Walk>();
  readonly #refused = new WeakSet<UpstreamAnswer>();
  readonly #secondChances = new Set<string>();
  /** Were too slow, or sent what is no good: of no help. */
  readonly #unhelpful = new Set<string>();
  #inHand: string | undefined;
  /** Counts `next`, which puts an end to questions beside. */
  #turn = 0;

  constructor(walk: Walk, openHelp: OpenHelp, onRefused: (source: string, reason: string) => void) {
    this.#walks = [walk];
    this.#openHelp = openHelp;
    this.#onRefused = onRefused;
  }

  /** As the walk's; of one that was asked in several walks what it said last. */
  get outcomes(): readonly SourceOutcome[] {
    const bySource = new Map<string, SourceOutcome>();
    for (const walk of this.#walks) {
      for (const outcome of walk.outcomes) {
        // Not being asked again takes nothing from what it said.
        if (outcome.code === 'skipped' && bySource.has(outcome.source)) continue;
        bySource.set(outcome.source, outcome);
      }
    }
    return [...bySource.values()];
  }

  /** As the walk's. An answer to a `range` may be whole. */
  async next(range: RangeWish = {}): Promise<UpstreamAnswer | undefined> {
    this.#turn += 1;
    this.#inHand = undefined;
    this.#dropHelp();
    for (const walk of this.#walks.toReversed()) {
      let answer = await walk.next(range);
      if (answer === undefined && this.#reopen(walk, range)) answer = await walk.next();
      if (answer === undefined) continue;
      this.#walkOf.set(answer, walk);
      this.#inHand = answer.upstream;
      return answer;
    }
    return undefined;
  }

  /**
   * As the walk's. After it has come to nothing, the next call goes by a new plan, in which those that failed before
   * may be asked once more: leave some time between the two.
   */
  async nextBeside(range: RangeWish): Promise<UpstreamAnswer | undefined> {
    const turn = this.#turn;
    const walk = this.#walkForHelp();
    let answer = await walk.nextBeside(range);
    // Where `next` has ended it, nothing is told about who is left.
    if (answer === undefined && turn === this.#turn && this.#reopen(walk, range)) {
      answer = await walk.nextBeside();
    }
    if (answer !== undefined) this.#walkOf.set(answer, walk);
    else if (turn === this.#turn) {
      this.#isBesideSpent = true;
      this.#dropHelp();
    }
    return answer;
  }

  /** The answer of `nextBeside` is now the one in hand; the one before is refused or at its end. */
  adopt(answer: UpstreamAnswer): void {
    const walk = this.#walkOf.get(answer);
    walk?.adopt(answer);
    this.#inHand = answer.upstream;
    if (walk === undefined || walk !== this.#help) return;
    this.#help = undefined;
    this.#isBesideSpent = false;
    this.#walks.push(walk);
  }

  /** The answer of `nextBeside` replaces the one in hand, which is at fault. */
  replace(old: UpstreamAnswer, answer: UpstreamAnswer, cause: string): void {
    this.adopt(answer);
    this.#unhelpful.add(old.upstream);
    this.#refuse(old, 'timeout', cause);
    this.#refused.add(old);
  }

  /** Idempotent for each answer. */
  refuse(answer: UpstreamAnswer, code: UpstreamErrorCode, reason: string): void {
    if (this.#refused.has(answer)) return;
    this.#refused.add(answer);
    if (code === 'refused' || code === 'too_large') this.#unhelpful.add(answer.upstream);
    this.#refuse(answer, code, reason);
    this.#onRefused(answer.upstream, reason);
  }

  /** Not needed, or not proven to be at fault: dropped without blame; the source may be asked again. */
  putBack(answer: UpstreamAnswer, reason: string): void {
    if (this.#refused.has(answer)) return;
    this.#refused.add(answer);
    this.#refuse(answer, 'beaten', reason);
  }

  /** To be asked for the whole file when nobody else is left. */
  giveSecondChance(source: string): void {
    this.#secondChances.add(source);
  }

  /** Closes all walks; idempotent. */
  close(): void {
    this.#turn += 1;
    this.#dropHelp();
    for (const walk of this.#walks) walk.close();
  }

  #walkForHelp(): Walk {
    const newest = this.#walks.at(-1);
    if (newest !== undefined && !this.#isBesideSpent) return newest;
    if (this.#help === undefined) {
      const without = new Set(this.#unhelpful);
      if (this.#inHand !== undefined) without.add(this.#inHand);
      this.#help = this.#openHelp(without);
    }
    return this.#help;
  }

  #dropHelp(): void {
    this.#help?.close();
    this.#help = undefined;
  }

  #refuse(answer: UpstreamAnswer, code: UpstreamErrorCode, reason: string): void {
    const walk = this.#walkOf.get(answer);
    if (walk === undefined) answer.cancel();
    else walk.refuse(answer, code, reason);
  }

  #reopen(walk: Walk, { fromByte = 0 }: RangeWish): boolean {
    const names = [...this.#secondChances];
    if (fromByte > 0) names.push(...walk.outcomes.filter(hasNoPart).map(({ source }) => source));
    const asked = names.filter((name) => walk.askAgain(name));
    for (const name of asked) this.#secondChances.delete(name);
    return asked.length > 0;
  }
}

/** It answered, but not with the part that was asked. */
function hasNoPart({ code, status }: SourceOutcome): boolean {
  return status === 416 || code === 'protocol';
}
