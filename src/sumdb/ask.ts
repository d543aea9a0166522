/**
 * Asks the sources of a checksum database for one answer: the upstreams that offer it under `/sumdb/`, then the
 * database's own addresses. Nothing is trusted but what the judge of the question has verified; whose bytes fail is
 * refused, and the next one is asked.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { firstBody } from '../upstream/first-body.ts';
import type { Plan } from '../upstream/plan.ts';
import { replan } from '../upstream/replan.ts';
import { type SourceOutcome, type Upstream, UpstreamError } from '../upstream/types.ts';
import { isAbsence } from '../upstream/verdict.ts';
import { Walk } from '../upstream/walk.ts';
import { askFailure } from './failure-text.ts';
import { LogError } from './log/log-error.ts';
import { Offers } from './offers.ts';
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
}

/** Single sources that are asked alone, at most. */
const maxAlone = 8;

export class Sources {
  readonly #deps: SourcesDeps;
  readonly #offers: Offers;
  #refused = 0;

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
    this.#offers = new Offers(deps.name, deps.clock);
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
    const outcomes: SourceOutcome[] = [];
    const absent: { readonly name: string; readonly isOffered: Promise<boolean> }[] = [];
    const unproven: SumdbError[] = [];
    for (const way of ways) {
      const heard = await this.#walk(way, question, asker, unproven);
      if (!way.isDirect) absent.push(...this.#doubtOffers(way.plan, heard.outcomes));
      if (heard.good !== undefined) return heard.good;
      outcomes.push(...heard.outcomes);
    }
    // A 404 of an upstream that does not have the database at all says nothing of what was asked.
    const strangers = new Set<string>();
    for (const { name, isOffered } of absent) if (!(await isOffered)) strangers.add(name);
    const told = outcomes.filter(({ source, code }) => !(isAbsence(code) && strangers.has(source)));
    throw askFailure(this.#deps.name, question.operation, told, unproven.at(-1));
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
    const { name, direct } = this.#deps;
    const isOffering = (upstream: Upstream): boolean => !this.#offers.isRefusing(upstream);
    const all = this.#deps.plan();
    const mirrors = replan(all, all.upstreams.filter(isOffering), all.reserve.filter(isOffering));
    return [
      { plan: mirrors, prefix: `/sumdb/${escapeTarget(name)}/`, isDirect: false },
      ...direct.map((one) => ({ plan: this.#deps.directPlan(one), prefix: '/', isDirect: true })),
    ];
  }

  #doubtOffers(plan: Plan, outcomes: readonly SourceOutcome[]) {
    return [...plan.upstreams, ...plan.reserve].flatMap((upstream) => {
      const isAbsent = outcomes.some(({ source, code }) => source === upstream.name && isAbsence(code));
      return isAbsent ? [{ name: upstream.name, isOffered: this.#offers.check(upstream) }] : [];
    });
  }

  async #walk<Value>(
    way: Way,
    question: Question<Value>,
    asker: SumdbAsker,
    unproven: SumdbError[],
  ): Promise<{ good?: Answered<Value>; outcomes: readonly SourceOutcome[] }> {
    const { clock } = this.#deps;
    const { plan, prefix } = way;
    const { signal, requestId, via } = asker;
    const walk = new Walk({
      plan,
      // An absence is told only when every way has agreed, so nobody is waited for long because of one.
      isKnown: () => Promise.resolve(false),
      target: `${prefix}${escapeTarget(question.operation)}`,
      answerClass: 'meta',
      signal,
      clock,
      deadlineAtMs: asker.deadlineAtMs,
      ...(asker.background === true ? { priority: 'low' } : {}),
      ...(requestId === undefined ? {} : { requestId }),
      ...(via === undefined ? {} : { via }),
    });
    try {
      const found = await firstBody({
        walk,
        signal,
        clock,
        limitBytes: question.limitBytes,
        withinMs: plan.lastHopeMs,
        judge: (body, source) => this.#judge(question, body, source, unproven),
        isFinal: isForked,
      });
      const { outcomes } = walk;
      return found === undefined
        ? { outcomes }
        : { good: { value: found.value, source: found.upstream }, outcomes };
    } finally {
      walk.close();
    }
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

/** `!` needs no escape; nothing else that Go's escaping lets through is special but `/`. */
function escapeTarget(text: string): string {
  return text.split('/').map(encodeURIComponent).join('/');
}
