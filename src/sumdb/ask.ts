/**
 * Asks the sources of a checksum database for one answer: the upstreams that offer it under `/sumdb/`, then the
 * database's own addresses. Nothing is trusted but what the judge of the question has verified; whose bytes fail is
 * refused, and the next one is asked.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Plan } from '../upstream/plan.ts';
import { replan } from '../upstream/replan.ts';
import { type SourceOutcome, type Upstream, UpstreamError } from '../upstream/types.ts';
import { isAbsence } from '../upstream/verdict.ts';
import { walkForBody } from '../upstream/walk-for-body.ts';
import { askFailure } from './failure-text.ts';
import { LogError } from './log/log-error.ts';
import { Offers } from './offers.ts';
import { urlPath } from './target.ts';
import { type SumdbAsker, SumdbError, type SumdbEvents } from './types.ts';

export interface SourcesDeps {
  /** The database's name. */
  readonly name: string;
  /** Its own addresses, asked last, in this order. */
  readonly direct: readonly Upstream[];
  readonly clock: Clock;
  /** Over the upstreams that may offer `/sumdb/`. */
  plan(): Plan;
  directPlan(direct: Upstream): Plan;
  readonly events: EventBus<SumdbEvents>;
  /** A source has sent something, good or not. */
  onAnswered(): void;
}

export interface Question<Value> {
  /** What stands behind the database's name, escaped by Go's rules: `latest`, `lookup/…`, `tile/…`. */
  readonly operation: string;
  readonly limitBytes: number;
  /**
   * Verifies. LogError and UpstreamError refuse the source. SumdbError `forked` ends everything; any other one means
   * that it could not be verified now, which is not laid on the source.
   */
  judge(body: Buffer, source: string): Value | Promise<Value>;
}

export interface Answered<Value> {
  readonly value: Value;
  /** The upstream's name. */
  readonly source: string;
}

/** Some sources, asked by one walk. */
export interface Way {
  readonly plan: Plan;
  /** What stands before the operation. */
  readonly prefix: string;
  readonly isDirect: boolean;
  /** Tells it from the other ways: an upstream and an own address may have one name. */
  readonly key: string;
}

/** What became of one way. */
interface Heard<Value> {
  readonly good?: Answered<Value>;
  readonly outcomes: readonly SourceOutcome[];
}

/** Single sources that are asked alone, at most. */
const maxAlone = 8;
/** A way that kept silent while another one answered is asked after the others for so long. */
const silentForMs = 30_000;

export class Sources {
  readonly #deps: SourcesDeps;
  #direct: readonly Upstream[];
  #offers: Offers;
  #refused = 0;
  /** Until when a way is asked last, by its key. Monotonic. */
  readonly #lastUntilMs = new Map<string, number>();

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
    this.#direct = deps.direct;
    this.#offers = new Offers(deps.name, deps.clock);
  }

  /** Other upstreams and own addresses from now on: nothing that was learnt of those before counts any more. */
  adopt(direct: readonly Upstream[]): void {
    this.#direct = direct;
    this.#offers = new Offers(this.#deps.name, this.#deps.clock);
    this.#lastUntilMs.clear();
  }

  /** How often a source's bytes have failed their verification. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * The first answer that the judge lets through. Rejects with SumdbError `absent`, `unreachable`, `refused`, with
   * `forked` of the judge, or with the reason of the asker's signal.
   */
  async ask<Value>(
    question: Question<Value>,
    asker: SumdbAsker,
    ways: readonly Way[] = this.#ways(),
  ): Promise<Answered<Value>> {
    const unproven: SumdbError[] = [];
    const { good, heard } = await this.#walkAll(ways, question, asker, unproven);
    const told = heard.map(({ outcomes }, index) => this.#withoutStrangers(ways[index], outcomes));
    if (good !== undefined) return good;
    throw askFailure(this.#deps.name, question.operation, (await Promise.all(told)).flat(), unproven.at(-1));
  }

  /** Each source by itself, a few at most: who is asked alone can be told from the others. */
  alone(): readonly Way[] {
    return this.#ways()
      .flatMap((way) => {
        if (way.isDirect) return [way];
        const { upstreams, reserve } = way.plan;
        return [...upstreams, ...reserve].map((one) => ({ ...way, plan: replan(way.plan, [one], []) }));
      })
      .slice(0, maxAlone);
  }

  #ways(): Way[] {
    const { name, clock } = this.#deps;
    const isOffering = (upstream: Upstream): boolean => !this.#offers.isRefusing(upstream);
    const all = this.#deps.plan();
    const mirrors = replan(all, all.upstreams.filter(isOffering), all.reserve.filter(isOffering));
    const ways: Way[] = [
      { plan: mirrors, prefix: `/sumdb/${urlPath(name)}/`, isDirect: false, key: 'upstreams' },
      ...this.#direct.map((one) => {
        return { plan: this.#deps.directPlan(one), prefix: '/', isDirect: true, key: `own ${one.name}` };
      }),
    ];
    const nowMs = clock.monotonic();
    const isLast = ({ key }: Way): boolean => nowMs < (this.#lastUntilMs.get(key) ?? nowMs);
    return [...ways.filter((way) => !isLast(way)), ...ways.filter(isLast)];
  }

  /** A 404 of an upstream that does not have the database at all says nothing of what was asked. Never rejects. */
  async #withoutStrangers(
    way: Way | undefined,
    outcomes: readonly SourceOutcome[],
  ): Promise<readonly SourceOutcome[]> {
    if (way === undefined || way.isDirect) return outcomes;
    const { upstreams, reserve } = way.plan;
    const offers = this.#offers;
    const kept = outcomes.map(async (outcome) => {
      const upstream = [...upstreams, ...reserve].find(({ name }) => name === outcome.source);
      const isTold = upstream === undefined || !isAbsence(outcome.code) || (await offers.check(upstream));
      return isTold ? [outcome] : [];
    });
    return (await Promise.all(kept)).flat();
  }

  /** Way after way; where one keeps silent the next is asked beside it. `heard` in the order of `ways`. */
  async #walkAll<Value>(
    ways: readonly Way[],
    question: Question<Value>,
    asker: SumdbAsker,
    unproven: SumdbError[],
  ): Promise<{ good: Answered<Value> | undefined; heard: readonly Heard<Value>[] }> {
    const needless = new AbortController();
    const signal = AbortSignal.any([asker.signal, needless.signal]);
    const heard: Heard<Value>[] = ways.map(() => ({ outcomes: [] }));
    const first = Promise.withResolvers<Answered<Value> | undefined>();
    first.promise.catch(() => {});
    const walking = new Map<Way, Promise<void>>();
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    first.promise.then(over, over);
    const walk = async (way: Way, index: number): Promise<void> => {
      try {
        const judge: Question<Value>['judge'] = (body, source) => {
          this.#deps.onAnswered();
          this.#noteSilence(index, ways, walking);
          return question.judge(body, source);
        };
        const told = await this.#walk(way, { ...question, judge }, { ...asker, signal }, unproven);
        heard[index] = told;
        if (told.good !== undefined) first.resolve(told.good);
      } catch (error) {
        first.reject(error);
      } finally {
        walking.delete(way);
      }
    };
    try {
      for (const [index, way] of ways.entries()) {
        const walked = walk(way, index);
        walking.set(way, walked);
        await this.#endOrPatience(Promise.race([walked, first.promise]), way);
        if (isOver) break;
      }
      void Promise.all(walking.values()).then(() => first.resolve(undefined));
      return { good: await first.promise, heard };
    } finally {
      needless.abort(new Error('no longer needed'));
    }
  }

  /** Resolves when the work has ended, or as long as one of the way's sources may be silent. */
  async #endOrPatience(work: Promise<unknown>, { plan }: Way): Promise<void> {
    const patienceMs = Math.max(0, ...plan.upstreams.map((upstream) => plan.patienceMs(upstream)));
    const late = Promise.withResolvers<void>();
    const timer = this.#deps.clock.setTimeout(() => late.resolve(), patienceMs);
    try {
      await Promise.race([work.catch(() => {}), late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** One way has answered. What its answer needs to be verified is asked of it first already. */
  #noteSilence(answered: number, ways: readonly Way[], walking: ReadonlyMap<Way, unknown>): void {
    const untilMs = this.#deps.clock.monotonic() + silentForMs;
    // Only those begun before it have had their patience.
    for (const way of ways.slice(0, answered)) if (walking.has(way)) this.#lastUntilMs.set(way.key, untilMs);
  }

  async #walk<Value>(
    way: Way,
    question: Question<Value>,
    asker: SumdbAsker,
    unproven: SumdbError[],
  ): Promise<Heard<Value>> {
    const { clock } = this.#deps;
    const { plan, prefix } = way;
    const { signal, requestId, via } = asker;
    const { good, outcomes } = await walkForBody({
      plan,
      // An absence is told only when every way has agreed, so nobody is waited for long because of one.
      isKnown: () => Promise.resolve(false),
      target: `${prefix}${urlPath(question.operation)}`,
      answerClass: 'meta',
      signal,
      clock,
      deadlineAtMs: asker.deadlineAtMs,
      ...(requestId === undefined ? {} : { requestId }),
      ...(via === undefined ? {} : { via }),
      limitBytes: question.limitBytes,
      judge: (body, source) => this.#judge(question, body, source, unproven),
      isFinal: isForked,
    });
    return good === undefined
      ? { outcomes }
      : { good: { value: good.value, source: good.upstream }, outcomes };
  }

  async #judge<Value>(
    question: Question<Value>,
    body: Buffer,
    source: string,
    unproven: SumdbError[],
  ): Promise<Value> {
    try {
      return await question.judge(body, source);
    } catch (error) {
      if (isForked(error)) throw error;
      const reason = messageOf(error);
      if (error instanceof LogError || error instanceof UpstreamError) {
        this.#refused += 1;
        const { name: database, events } = this.#deps;
        events.emit('refused', { database, source, what: question.operation, reason });
        throw new UpstreamError(source, 'refused', reason, { cause: error });
      }
      if (error instanceof SumdbError) unproven.push(error);
      // The answer may be good; whoever watches the source hears nothing of it.
      throw new UpstreamError(source, 'aborted', `it could not be verified: ${reason}`, { cause: error });
    }
  }
}

function isForked(error: unknown): boolean {
  return error instanceof SumdbError && error.code === 'forked';
}
