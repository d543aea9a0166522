/** The plan of a question for help, in the middle of a zip that comes too slowly. */
import type { Plan } from '../upstream/plan.ts';
import { replan } from '../upstream/replan.ts';
import type { Upstream } from '../upstream/types.ts';

/**
 * `plan` without the upstreams of these names and without its reserve, which does not help out. A left-out one that
 * keeps Go's `,` rule has what was asked (ruling 2): nobody behind it is asked either.
 */
export function planWithout(plan: Plan, names: ReadonlySet<string>): Plan {
  const upstreams: Upstream[] = [];
  for (const upstream of plan.upstreams) {
    if (!names.has(upstream.name)) upstreams.push(upstream);
    else if (upstream.stopsOnError) break;
  }
  return replan(plan, upstreams, []);
}
