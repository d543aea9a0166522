/**
 * Asks several upstreams for the same small thing and takes all that answer: list and @latest are unions. Public
 * ones that follow each other are asked together; one that keeps Go's `,` rule is a group of its own and a barrier
 * (ruling 2).
 */

import type { ModulePath } from '../gomod/types.ts';
import { reasonOf } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import type { Plan } from './plan.ts';
import { readBody } from './read-body.ts';
import { type SourceOutcome, type Upstream, UpstreamError, type UpstreamRequest } from './types.ts';
import { isOutOfTime } from './walk.ts';

export interface FanOutOptions<Value> {
  /** Whom to ask. */
  readonly plan: Plan;
  readonly target: string;
  /** Ends everything until `fanOut` has resolved; what is still asked for `onLate` then goes on without it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly limitBytes: number;
  /** The module asked about, for who watches the upstreams. */
  readonly modulePath?: ModulePath;
  /** How long the others are waited for once one has answered. Default 500. */
  readonly graceMs?: number;
  readonly requestId?: string;
  readonly priority?: 'normal' | 'low';
  readonly via?: readonly string[];
  /** Judges and reads a body; what it throws refuses the source. */
  readonly read: (body: Buffer, upstream: string) => Value;
  /** A good answer that came after `fanOut` resolved. Without it, late ones are cancelled. */
  readonly onLate?: (upstream: string, value: Value) => void;
}

export interface FanOutResult<Value> {
  /** In the order of the list. Empty: the outcomes say why. */
  readonly answers: readonly { readonly upstream: string; readonly value: Value }[];
  readonly outcomes: readonly SourceOutcome[];
}

interface Asked<Value> {
  readonly upstream: Upstream;
  readonly controller: AbortController;
  readonly startedAtMs: number;
  outcome: SourceOutcome | undefined;
  answer: { upstream: string; value: Value } | undefined;
}

/** Rejects only with the signal's reason, and not when that is a `TimeoutError`: then it is a result. */
export async function fanOut<Value>(options: FanOutOptions<Value>): Promise<FanOutResult<Value>> {
  const { signal, clock, graceMs = 500 } = options;
  const { lastHopeMs } = options.plan;
  const notice = new Notice();
  const asked: Asked<Value>[] = [];
  let isOver = false;

  function settled(one: Asked<Value>): void {
    if (isOver && one.answer !== undefined) options.onLate?.(one.answer.upstream, one.answer.value);
    notice.raise();
  }
  function onAbort(): void {
    for (const one of asked) one.controller.abort(signal.reason);
    notice.raise();
  }
  signal.addEventListener('abort', onAbort, { once: true });

  try {
    for (const group of groupsOf(options.plan.upstreams)) {
      if (signal.aborted) break;
      const running = group.map((upstream) => ask(upstream, options, settled));
      asked.push(...running);
      await waitFor(running, { notice, clock, signal, lastHopeMs, graceMs });
      if (running.some((one) => one.answer !== undefined)) break;
      const barrier = running.find((one) => one.upstream.stopsOnError);
      if (barrier !== undefined && barrier.outcome?.code !== 'absent' && barrier.outcome?.code !== 'gone')
        break;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    isOver = true;
  }
  if (signal.aborted && !isOutOfTime(signal)) throw reasonOf(signal);

  const answers = asked.flatMap((one) => (one.answer === undefined ? [] : [one.answer]));
  const outcomes = asked.map((one) => one.outcome ?? stillAsked(one, clock));
  for (const one of asked) {
    if (one.outcome === undefined) leave(one, options, answers.length > 0);
  }
  return { answers, outcomes };
}

function ask<Value>(
  upstream: Upstream,
  options: FanOutOptions<Value>,
  settled: (one: Asked<Value>) => void,
): Asked<Value> {
  const { clock, priority, requestId, via, modulePath } = options;
  const one: Asked<Value> = {
    upstream,
    controller: new AbortController(),
    startedAtMs: clock.monotonic(),
    outcome: undefined,
    answer: undefined,
  };
  const request: UpstreamRequest = {
    target: options.target,
    answerClass: 'meta',
    signal: one.controller.signal,
    ...(priority === undefined ? {} : { priority }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(via === undefined ? {} : { via }),
    ...(modulePath === undefined ? {} : { modulePath }),
  };

  async function run(): Promise<void> {
    try {
      const answer = await upstream.fetch(request);
      const body = await readBody(answer, options.limitBytes);
      one.answer = { upstream: upstream.name, value: options.read(body, upstream.name) };
      one.outcome = outcomeOf(one, clock, 'ok', 'answered');
    } catch (error) {
      const known = error instanceof UpstreamError ? error : undefined;
      one.outcome = outcomeOf(one, clock, known?.code ?? 'refused', messageOf(error), known?.status);
    }
    settled(one);
  }
  // `settled` calls the owner's onLate: what that throws is no reason to end the process.
  run().catch(() => {});
  return one;
}

/** Returns when all have settled, the grace after the first answer is over, time is out, or the signal fires. */
async function waitFor<Value>(
  running: readonly Asked<Value>[],
  options: { notice: Notice; clock: Clock; signal: AbortSignal; lastHopeMs: number; graceMs: number },
): Promise<void> {
  const { notice, clock, signal } = options;
  let isTimeOut = false;
  function end(): void {
    isTimeOut = true;
    notice.raise();
  }
  const lastHope = clock.setTimeout(end, options.lastHopeMs);
  let grace: ReturnType<Clock['setTimeout']> | undefined;
  try {
    for (;;) {
      const changed = notice.changed;
      if (isTimeOut || signal.aborted || running.every((one) => one.outcome !== undefined)) return;
      if (running.some((one) => one.answer !== undefined)) grace ??= clock.setTimeout(end, options.graceMs);
      await changed;
    }
  } finally {
    lastHope.cancel();
    grace?.cancel();
  }
}

/** Cancels one that is still asked, or lets it go on for `onLate`, but not for ever. */
function leave<Value>(one: Asked<Value>, options: FanOutOptions<Value>, mayGoOn: boolean): void {
  const reason = new UpstreamError(one.upstream.name, 'timeout', 'no answer in time');
  if (!mayGoOn || options.onLate === undefined) one.controller.abort(reason);
  else options.clock.setTimeout(() => one.controller.abort(reason), options.plan.lastHopeMs);
}

function stillAsked<Value>(one: Asked<Value>, clock: Clock): SourceOutcome {
  return outcomeOf(one, clock, 'timeout', 'no answer in time');
}

function outcomeOf<Value>(
  one: Asked<Value>,
  clock: Clock,
  code: SourceOutcome['code'],
  message: string,
  status?: number,
): SourceOutcome {
  const tookMs = Math.round(clock.monotonic() - one.startedAtMs);
  return { source: one.upstream.name, code, message, tookMs, ...(status === undefined ? {} : { status }) };
}

function groupsOf(upstreams: readonly Upstream[]): Upstream[][] {
  const groups: Upstream[][] = [];
  let open: Upstream[] | undefined;
  for (const upstream of upstreams) {
    if (upstream.stopsOnError) {
      groups.push([upstream]);
      open = undefined;
    } else if (open === undefined) {
      open = [upstream];
      groups.push(open);
    } else {
      open.push(upstream);
    }
  }
  return groups;
}
