/** One small body from whoever of a plan has a good one: a walk that is begun, read and closed. */
import { type FirstBody, type FirstBodyOptions, firstBody } from './first-body.ts';
import type { SourceOutcome } from './types.ts';
import { Walk, type WalkOptions } from './walk.ts';

export interface WalkForBodyOptions<Value>
  extends WalkOptions,
    Pick<FirstBodyOptions<Value>, 'limitBytes' | 'judge' | 'isFinal'> {}

export interface WalkedBody<Value> {
  /** Undefined: no source is left, or time is out; the outcomes say why. */
  readonly good: FirstBody<Value> | undefined;
  readonly outcomes: readonly SourceOutcome[];
}

/** A body may take as long as the plan's last hope. Rejects with the signal's reason, or what `isFinal` let through. */
export async function walkForBody<Value>(options: WalkForBodyOptions<Value>): Promise<WalkedBody<Value>> {
  const { plan, signal, clock, limitBytes, judge, isFinal } = options;
  const walk = new Walk(options);
  try {
    const good = await firstBody({
      walk,
      signal,
      clock,
      limitBytes,
      withinMs: plan.lastHopeMs,
      judge,
      ...(isFinal === undefined ? {} : { isFinal }),
    });
    return { good, outcomes: walk.outcomes };
  } finally {
    walk.close();
  }
}
