/** Asks for one answer of a checksum database: over the upstreams that offer `/sumdb/`, then its own addresses. */
import type { ModulePath } from '../gomod/types.ts';
import { failureOf } from '../ingest/source-failure.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { maxSumdbBytes } from '../store/store.ts';
import { firstBody } from '../upstream/first-body.ts';
import type { Plan } from '../upstream/plan.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import { Walk } from '../upstream/walk.ts';
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
  const { direct, rest, text } = question;
  const attempts = [
    { plan: () => ways.plan(), target: `/sumdb/${escapeTarget(rest)}` },
    ...direct.map((address) => ({
      plan: () => ways.directPlan(address),
      target: `/${escapeTarget(text)}`,
    })),
  ];
  const failures: SourcesFailure[] = [];
  for (const { plan, target } of attempts) {
    try {
      return await walk(ways.clock, plan(), target, question, context);
    } catch (error) {
      if (!(error instanceof SourcesFailure)) throw error;
      failures.push(error);
    }
  }
  throw failureOf(
    failures.flatMap((failure) => failure.outcomes),
    {
      path: rest as ModulePath,
      // A 404 here sends the client elsewhere for good: it must not hide that another way failed.
      knownToExist: true,
      isPrivate: false,
      hint: undefined,
      what: `/sumdb/${rest}`,
    },
  );
}

async function walk(
  clock: Clock,
  plan: Plan,
  target: string,
  { rest, operation }: SumdbQuestion,
  context: RequestContext,
): Promise<Fetched> {
  const { signal } = context;
  const sources = new Walk({
    plan,
    // An absence here is never told as such, so nobody is waited for long because of one.
    isKnown: () => Promise.resolve(false),
    target,
    answerClass: 'meta',
    signal,
    clock,
    requestId: context.id,
    via: context.via,
    deadlineAtMs: context.deadlineAtMs,
  });
  try {
    const good = await firstBody({
      walk: sources,
      signal,
      clock,
      limitBytes: maxSumdbBytes,
      withinMs: plan.lastHopeMs,
      judge(body, upstream) {
        const wrong = wrongShape(operation, body);
        if (wrong !== undefined) throw new UpstreamError(upstream, 'refused', wrong);
        return body;
      },
    });
    if (good === undefined) throw new SourcesFailure('failed', rest, sources.outcomes);
    return { body: good.value, source: `upstream:${good.upstream}` };
  } finally {
    sources.close();
  }
}

/** What followed `/sumdb/` was decoded once; only what the checks let through is here, and `!` needs no escape. */
function escapeTarget(text: string): string {
  return text.split('/').map(encodeURIComponent).join('/');
}
