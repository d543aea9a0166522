/** Whether the same upstream may be asked again after a failure, and how soon (ruling 18). */
import type { FailedAttempt } from '../../upstream/plan.ts';
import type { UpstreamErrorCode } from '../../upstream/types.ts';
import type { HealthOptions } from '../types.ts';

/** Asking again would give the same answer, or nobody waits for one. */
const finalCodes: ReadonlySet<UpstreamErrorCode> = new Set<UpstreamErrorCode>([
  'absent',
  'gone',
  'refused',
  'too_large',
  'loop',
  'proxy_auth',
  'skipped',
  'beaten',
  'aborted',
  'redirect',
  'tls',
]);

/** 4xx that say "later" and not "never": request timeout, too early, too many requests. */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429]);

/** A client would rather hear of the failure than wait longer than this. */
const longestRetryAfterMs = 2_000;

/**
 * Milliseconds to wait before repeat number `nth` (from 1): what Retry-After said, else full jitter, between zero and
 * `baseMs` doubled each time, at most `capMs`. Undefined: no repeat. Calls `random` only for the jitter.
 */
export function repeatDelayMs(
  nth: number,
  { code, status, retryAfterMs }: FailedAttempt,
  { repeats, baseMs, capMs }: Pick<HealthOptions['retry'], 'repeats' | 'baseMs' | 'capMs'>,
  random: () => number,
): number | undefined {
  if (nth > repeats || finalCodes.has(code)) return undefined;
  if (status !== undefined && status >= 400 && status < 500 && !passingStatuses.has(status)) return undefined;
  if (retryAfterMs !== undefined) {
    return retryAfterMs <= longestRetryAfterMs ? Math.max(0, retryAfterMs) : undefined;
  }
  return random() * Math.min(capMs, baseMs * 2 ** (nth - 1));
}
