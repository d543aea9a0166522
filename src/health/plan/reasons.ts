/** Short texts on why an upstream is asked late or not at all: lines of error texts, causes of switches, `explain`. */
import type { CandidateHealth, Standing } from './standing.ts';

/** Why it is not asked; of one that nothing hinders: how it is. `nowMs`: monotonic. */
export function hindranceText({ candidate, hindrance }: Standing, nowMs: number): string {
  const { health } = candidate;
  switch (hindrance) {
    case 'taken_out':
      return 'taken out by an operator';
    case 'resting':
      return `asked for a pause, ${secondsText((health.restUntilMs ?? nowMs) - nowMs)} left`;
    case 'trying':
      return 'its breaker is half-open and busy with another trial';
    case 'behind':
      return 'stands behind an upstream that is not asked and lets nothing past it (fall_through: any changes that)';
    default:
      return stateText(health, nowMs);
  }
}

/** How it is, and what it did last, e.g. `out, failed 40 s ago: timeout`. `nowMs`: monotonic. */
export function stateText(health: CandidateHealth, nowMs: number): string {
  const { state, breaker, lastError, lastFailureAtMs, breakerUntilMs } = health;
  const ago = lastFailureAtMs === undefined ? '' : `, failed ${secondsText(nowMs - lastFailureAtMs)} ago`;
  const last = lastError === undefined ? ago : `${ago}: ${lastError.code}`;
  if (state === 'out') return `out${last}`;
  if (breaker === 'open') {
    const left = breakerUntilMs === undefined ? '' : ` for ${secondsText(breakerUntilMs - nowMs)} more`;
    return `its breaker is open${left}`;
  }
  if (breaker === 'half_open') return 'its breaker is half-open';
  return state === 'suspect' ? `suspect${last}` : state;
}

/** Whole seconds, at least 1: `40 s`. */
function secondsText(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1000))} s`;
}
