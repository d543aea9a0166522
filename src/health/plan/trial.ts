/** How an upstream that is out and never probed comes back: by being asked for small files now and then. */

import type { Controls } from '../types.ts';
import type { Arrangement } from './arrange.ts';
import type { PlanRequest } from './planner.ts';

/**
 * The same arrangement, with one such upstream first where a trial place is free (one at a time, 2 s apart). It is for
 * small answers of clients only: a hedge is near, so that a failed trial costs next to nothing. Not while an operator
 * has ordered the order, and not where Go's `,` rule binds it.
 */
export function withTrial(arranged: Arrangement, request: PlanRequest, controls: Controls): Arrangement {
  const { answerClass, isBackground, upstreams } = request;
  const isOrdered = controls.isFrozen || controls.pinned !== undefined;
  if (answerClass !== 'meta' || isBackground === true || isOrdered || arranged.asked.length === 0) {
    return arranged;
  }
  const onTrial = arranged.reserve.find(({ candidate }) => candidate.isProbed === false);
  if (onTrial === undefined || upstreams.some(({ upstream }) => upstream.stopsOnError)) return arranged;
  return {
    ...arranged,
    asked: [onTrial, ...arranged.asked],
    reserve: arranged.reserve.filter((standing) => standing !== onTrial),
  };
}
