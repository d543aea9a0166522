/** Asks for one answer of a checksum database: over the upstreams that offer `/sumdb/`, then its own addresses. */
import type { ModulePath } from '../gomod/types.ts';
import { failureOf } from '../ingest/source-failure.ts';
import type { Clock } from '../lib/clock.ts';
import { maxSumdbBytes } from '../store/store.ts';
import { urlPath } from '../sumdb/target.ts';
import type { Plan } from '../upstream/plan.ts';
import { type SourceOutcome, type Upstream, UpstreamError } from '../upstream/types.ts';
import { walkForBody } from '../upstream/walk-for-body.ts';
import { type AskedOperation, wrongShape } from './sumdb-operation.ts';
import type { RequestContext } from './types.ts';

export interface SumdbWays {
  readonly clock: Clock;
  /** Over the upstreams that offer `/sumdb/`, and to one of a database's own addresses. */
  plan(): Plan;
  directPlan(direct: Upstream): Plan;
}

export interface SumdbQuestion {
  /** The database's name. */
  readonly name: string;
  /** Its own addresses, asked last, in this order. */
  readonly direct: readonly Upstream[];
  /** What followed `/sumdb/`. */
  readonly rest: string;
  /** `rest` behind the database's name. */
  readonly text: string;
  readonly operation: AskedOperation;
}

export interface Fetched {
  readonly body: Buffer;
  /** As in the access log. */
  readonly source: string;
}

/** Rejects with SourcesFailure when nobody gave an answer, or with the reason of the context's signal. */
export async function askSumdb(
  ways: SumdbWays,
  question: SumdbQuestion,
  context: RequestContext,
): Promise<Fetched> {
  const { direct, rest, text, operation } = question;
  const attempts = [
    { plan: () => ways.plan(), target: `/sumdb/${urlPath(rest)}` },
    ...direct.map((address) => ({
      plan: () => ways.directPlan(address),
      target: `/${urlPath(text)}`,
    })),
  ];
  const outcomes: SourceOutcome[] = [];
  for (const { plan, target } of attempts) {
    const walked = await walkForBody({
      plan: plan(),
      // An absence here is never told as such, so nobody is waited for long because of one.
      isKnown: () => Promise.resolve(false),
      target,
      answerClass: 'meta',
      signal: context.signal,
      clock: ways.clock,
      requestId: context.id,
      via: context.via,
      deadlineAtMs: context.deadlineAtMs,
      limitBytes: maxSumdbBytes,
      judge(body, upstream) {
        const wrong = wrongShape(operation, body);
        if (wrong !== undefined) throw new UpstreamError(upstream, 'refused', wrong);
        return body;
      },
    });
    if (walked.good !== undefined) {
      return { body: walked.good.value, source: `upstream:${walked.good.upstream}` };
    }
    outcomes.push(...walked.outcomes);
  }
  throw failureOf(outcomes, {
    path: rest as ModulePath,
    // A 404 here sends the client elsewhere for good: it must not hide that another way failed.
    knownToExist: true,
    isPrivate: false,
    hint: undefined,
    what: `/sumdb/${rest}`,
  });
}
