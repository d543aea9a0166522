/** One figure for how good an upstream is, for people and for comparing. */
import type { HealthState } from '../types.ts';

export interface ScoreFacts {
  /** Share of good answers lately, 0 to 1. */
  readonly success: number;
  /** Half of its small answers begin within this; undefined: not known. */
  readonly p50Ms: number | undefined;
  /** What still counts as quick; undefined: nothing to compare with. */
  readonly boundMs: number | undefined;
}

/** 0 to 100: success, times how quick it is beside the bound. However slow, it keeps a fifth. */
export function scoreOf({ success, p50Ms, boundMs }: ScoreFacts): number {
  const quickness = p50Ms === undefined || boundMs === undefined || p50Ms <= boundMs ? 1 : boundMs / p50Ms;
  return 100 * success * Math.max(0.2, quickness);
}

/** 0 to 5; none while out. */
export function starsOf(score: number, state: HealthState): number {
  return state === 'out' ? 0 : Math.min(5, Math.max(0, Math.ceil(score / 20)));
}
