/** One question to one upstream, as the walk and the fan-out both put it, and what its failure tells. */
import type { ModulePath } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadline } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import { type AnswerClass, UpstreamError, type UpstreamErrorCode, type UpstreamRequest } from './types.ts';

/** What is asked of every source of one request. */
export interface Question {
  /** Escaped path under an upstream's base, beginning with `/`. */
  readonly target: string;
  readonly answerClass: AnswerClass;
  /** The module asked about, for who watches the upstreams. */
  readonly modulePath?: ModulePath;
  readonly priority?: 'normal' | 'low';
  readonly requestId?: string;
  readonly via?: readonly string[];
  /**
   * When the asker gives up, looked at anew for each source. Sources are told what is left of it, and none is asked in
   * its last 500 ms. The caller's signal ends the request, not this. Default: none.
   */
  readonly deadlineAtMs?: Deadline | undefined;
}

/** Where in the file an answer should begin. Default: the whole file. */
export interface RangeWish {
  /** Goes on from this byte; 0 is the whole file. */
  readonly fromByte?: number | undefined;
  /** Strong ETag of the bytes in hand. */
  readonly ifRange?: string | undefined;
}

/** No source is asked with less time left than this: it could not answer, and the failure would be laid on it. */
const leastTimeMs = 500;

/** Is there time to ask a source `afterMs` from now? */
export function hasTime(question: Question, clock: Clock, afterMs = 0): boolean {
  const deadlineAtMs = question.deadlineAtMs?.();
  return deadlineAtMs === undefined || deadlineAtMs - clock.monotonic() - afterMs >= leastTimeMs;
}

/**
 * For who may ask nobody because too little time is left: monotonic, when to look again, since askers with more time
 * may join until the deadline passes. Undefined: there is no need to.
 */
export function timeMayComeAtMs(question: Question, clock: Clock): number | undefined {
  if (hasTime(question, clock)) return undefined;
  const deadlineAtMs = question.deadlineAtMs?.();
  return deadlineAtMs !== undefined && deadlineAtMs > clock.monotonic() ? deadlineAtMs : undefined;
}

export function requestFor(
  question: Question,
  clock: Clock,
  signal: AbortSignal,
  range: RangeWish = {},
): UpstreamRequest {
  const { target, answerClass, modulePath, priority, requestId, via } = question;
  const deadlineAtMs = question.deadlineAtMs?.();
  const { fromByte = 0, ifRange } = range;
  return {
    target,
    answerClass,
    signal,
    ...(modulePath === undefined ? {} : { modulePath }),
    ...(priority === undefined ? {} : { priority }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(via === undefined ? {} : { via }),
    ...(fromByte > 0 ? { fromByte } : {}),
    ...(fromByte > 0 && ifRange !== undefined ? { ifRange } : {}),
    ...(deadlineAtMs === undefined ? {} : { remainingMs: Math.floor(deadlineAtMs - clock.monotonic()) }),
  };
}

export interface Failure {
  readonly code: UpstreamErrorCode;
  readonly message: string;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  /** A parent modferry has already asked its sources again. */
  readonly isSourcesFault?: boolean;
  readonly isPartial?: boolean;
}

/** `otherwise`: the code of what is no UpstreamError. */
export function failureFrom(error: unknown, otherwise: UpstreamErrorCode): Failure {
  const message = messageOf(error);
  if (!(error instanceof UpstreamError)) return { code: otherwise, message };
  const { code, status, retryAfterMs, isSourcesFault, isPartial } = error;
  return { code, message, status, retryAfterMs, isSourcesFault, isPartial };
}

/** Codes that are no fault of the upstream: nobody who watches it need hear of them. */
export function isBlameless(code: UpstreamErrorCode): boolean {
  return code === 'aborted' || code === 'beaten' || code === 'too_large';
}

/** Out of time is a verdict about the sources; any other reason means that nobody waits for one. */
export function isOutOfTime(signal: AbortSignal): boolean {
  const reason: unknown = signal.reason;
  return signal.aborted && reason instanceof Error && reason.name === 'TimeoutError';
}
