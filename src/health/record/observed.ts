/** What kinds of observations there are: which say nothing of an upstream's health, which ask for a rest, which may be about one module. */
import type { AnswerClass, UpstreamErrorCode } from '../../upstream/types.ts';
import type { Observation } from '../types.ts';

/** Ours, or the asker's, or of a source behind it. */
const neutralCodes: ReadonlySet<UpstreamErrorCode | 'ok'> = new Set([
  'aborted',
  'skipped',
  'busy',
  'loop',
  'too_large',
]);
/** Failures that may be those of one module alone. */
const moduleCodes: ReadonlySet<UpstreamErrorCode> = new Set([
  'refused',
  'truncated',
  'status',
  'timeout',
  'reset',
  'protocol',
]);
const restMs = { default: 30_000, least: 1_000, longest: 300_000 } as const;

/** True for what says nothing of the upstream's health (rulings 5 and 20). */
export function isNeutral(seen: Observation): boolean {
  if (seen.code === 'beaten' && seen.part === 'body') return true;
  return neutralCodes.has(seen.code) || seen.isSourcesFault === true;
}

/** How long the upstream asks to be left alone: 429, and 503 with Retry-After. Undefined: it does not. */
export function restOf({ code, status, retryAfterMs }: Observation): number | undefined {
  if (code !== 'status') return undefined;
  if (status !== 429 && (status !== 503 || retryAfterMs === undefined)) return undefined;
  // A pause of zero would make an upstream that always says 503 look well.
  return Math.min(restMs.longest, Math.max(restMs.least, retryAfterMs ?? restMs.default));
}

export function isModuleFailure(code: UpstreamErrorCode): boolean {
  return moduleCodes.has(code);
}

/** A probe is a small answer. */
export function classOf({ kind }: Observation): AnswerClass {
  return kind === 'zip' ? 'zip' : 'meta';
}

/** As `UpstreamFigures.cause` tells it; bounded. */
export function causeOf({ code, message }: Observation): string {
  return message === undefined ? code : `${code}: ${message.slice(0, 200)}`;
}
