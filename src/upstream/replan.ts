/** A plan with fewer upstreams in it. */
import type { Plan } from './plan.ts';
import type { Upstream } from './types.ts';

/** `plan` over these upstreams and this reserve; patience, hedges and repeats as before. */
export function replan(plan: Plan, upstreams: readonly Upstream[], reserve: readonly Upstream[]): Plan {
  return {
    upstreams,
    reserve,
    skipped: plan.skipped,
    lastHopeMs: plan.lastHopeMs,
    patienceMs: (upstream) => plan.patienceMs(upstream),
    hedgeMs: (upstream) => plan.hedgeMs(upstream),
    takeHedge: () => plan.takeHedge(),
    takeRepeat: (upstream, nth, error) => plan.takeRepeat(upstream, nth, error),
    isWaitedFor: (upstream) => plan.isWaitedFor(upstream),
    isDoubtful: (upstream) => plan.isDoubtful?.(upstream) === true,
    levelOf: (upstream) => plan.levelOf?.(upstream),
    onLost: (listener) => plan.onLost?.(listener) ?? (() => {}),
  };
}
