/** What the outcomes of one request without a usable answer amount to (ruling 1). */
import type { SourceOutcome } from './types.ts';

export interface Verdict {
  readonly kind: 'absent' | 'gone' | 'failed' | 'timeout' | 'unavailable';
  /** An absence that not everybody has confirmed: keep it for a short time only (at most 10 s). */
  readonly partial: boolean;
}

/** 404 and 410 are knowledge. */
export function isAbsence(code: SourceOutcome['code'] | undefined): boolean {
  return code === 'absent' || code === 'gone';
}

/**
 * `knownToExist`: stored, or listed by any source before. `isPrivate`: every source of the route must have said
 * absent, those that were not asked included. A doubtful absence is a failure: it alone never makes a 404.
 */
export function verdict(
  outcomes: readonly SourceOutcome[],
  facts: { readonly knownToExist: boolean; readonly isPrivate: boolean },
): Verdict {
  const absences = outcomes.filter(isFirmAbsence);
  const unheard = outcomes.filter(isUnheard);
  // Its error ends the walk in Go, and so does not knowing what it would say: a 404 would send the client past it.
  const isStopped = outcomes.some((outcome) => outcome.isStrict === true && !isFirmAbsence(outcome));
  const failures = outcomes.filter((outcome) => !isFirmAbsence(outcome) && !isUnheard(outcome));
  if (absences.length > 0 && !isStopped) {
    const isEnough = facts.isPrivate
      ? failures.length === 0 && unheard.length === 0
      : failures.length === 0 || !facts.knownToExist;
    if (!isEnough) return { kind: 'failed', partial: false };
    const isGone = absences.every((outcome) => outcome.code === 'gone');
    const isPartial =
      failures.length + unheard.length > 0 || absences.some((outcome) => outcome.isPartial === true);
    return { kind: isGone ? 'gone' : 'absent', partial: isPartial };
  }
  // Full places say nothing about the source: only what was really asked decides between 502 and 504.
  const real = failures.filter(({ code }) => code !== 'busy' && code !== 'skipped');
  if (real.length === 0) return { kind: 'unavailable', partial: false };
  const isTimeout = real.every((outcome) => outcome.code === 'timeout');
  return { kind: isTimeout ? 'timeout' : 'failed', partial: false };
}

function isFirmAbsence(outcome: SourceOutcome): boolean {
  return isAbsence(outcome.code) && outcome.isDoubtful !== true;
}

/** Not asked, or not heard out. */
function isUnheard(outcome: SourceOutcome): boolean {
  if (outcome.code === 'skipped') return outcome.mayKnow !== true;
  return outcome.code === 'beaten';
}
