/**
 * The one table from error to HTTP answer (design: status by cause). The text is what the `go` command prints: at
 * most 8 lines and about 650 bytes of plain text, so each line counts.
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { type FailureKind, SourcesFailure } from '../ingest/types.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import type { AnswerCause } from '../upstream/parent-headers.ts';
import type { SourceOutcome } from '../upstream/types.ts';

export interface ErrorAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Not one of the expected kinds: worth a log line of its own. */
  readonly unexpected: boolean;
  /** Of a 502, 503 or 504: whose trouble it is, told to modferries that ask (ruling 20). */
  readonly cause?: AnswerCause;
}

const statusOf: Record<FailureKind, number> = {
  absent: 404,
  gone: 410,
  failed: 502,
  internal: 502,
  timeout: 504,
  unavailable: 503,
  loop: 508,
  disk_full: 503,
  overload: 503,
  cancelled: 503,
  not_fetched: 404,
  forbidden: 403,
  mismatch: 403,
  unproven: 503,
};

const causeOf: Partial<Record<FailureKind, AnswerCause>> = {
  failed: 'sources',
  internal: 'internal',
  timeout: 'sources',
  unavailable: 'sources',
  disk_full: 'disk',
  overload: 'overload',
  unproven: 'sources',
  cancelled: 'draining',
};

/** Asking again within seconds would bring the same. */
const slowlyMended: ReadonlySet<FailureKind> = new Set(['disk_full', 'unproven']);

const maxLines = 8;
const maxTextBytes = 650;
const maxLineLength = 300;
/** Of one source's line, where there is no room for all of them as they are. */
const maxOutcomeLength = 120;

/** Never throws. */
export function answerFor(error: unknown, negativeMaxAgeS: number): ErrorAnswer {
  if (error instanceof InvalidRequestError) {
    return { status: 400, text: line(error.message), headers: noStore, unexpected: false };
  }
  if (error instanceof SourcesFailure) return sourcesAnswer(error, negativeMaxAgeS);
  if (error instanceof ModferryError && error.code === 'rotten') {
    return { status: 502, text: line(error.message), headers: noStore, unexpected: true, cause: 'disk' };
  }
  if (error instanceof ModferryError && (error.code === 'disk_full' || error.code === 'read_only')) {
    return {
      status: 503,
      text: line(error.message),
      headers: { ...noStore, 'retry-after': '10' },
      unexpected: true,
      cause: 'disk',
    };
  }
  return {
    status: 500,
    text: 'modferry failed while answering; its log has the details under this request id\n',
    headers: noStore,
    unexpected: true,
  };
}

const noStore = { 'cache-control': 'no-store' };

function sourcesAnswer(failure: SourcesFailure, negativeMaxAgeS: number): ErrorAnswer {
  const status = statusOf[failure.code];
  const headers: Record<string, string> = { ...noStore };
  const cacheable = failure.isAbsence && !failure.partial && failure.outcomes.length > 0;
  if (cacheable) headers['cache-control'] = `public, max-age=${negativeMaxAgeS}`;
  if (status === 503) headers['retry-after'] = slowlyMended.has(failure.code) ? '10' : '2';
  const cause = failure.code === 'timeout' && failure.isTooLate ? 'deadline' : causeOf[failure.code];
  const text = textOf(failure);
  return {
    status,
    text,
    headers,
    unexpected: failure.code === 'internal',
    ...(cause === undefined ? {} : { cause }),
  };
}

function textOf(failure: SourcesFailure): string {
  const linesOf = (max: number): string[] => [
    line(failure.message),
    ...failure.outcomes.map((outcome) => outcomeLine(outcome, max)),
  ];
  const whole = linesOf(maxLineLength);
  if (whole.length <= maxLines && Buffer.byteLength(whole.join('')) <= maxTextBytes) return whole.join('');
  const lines = linesOf(maxOutcomeLength);
  const shown = lines.length > maxLines ? [...lines.slice(0, maxLines - 1), 'and more sources\n'] : lines;
  let text = '';
  for (const each of shown) {
    if (Buffer.byteLength(text) + Buffer.byteLength(each) > maxTextBytes) break;
    text += each;
  }
  return text;
}

/** One line for one source: its name, what happened, how long it took. */
function outcomeLine(outcome: SourceOutcome, max: number): string {
  const took =
    outcome.tookMs < 1000 ? `${Math.round(outcome.tookMs)} ms` : `${(outcome.tookMs / 1000).toFixed(1)} s`;
  // Only what happened is shortened: the name and the time are what an operator compares.
  const room = Math.max(20, max - outcome.source.length - took.length - ': '.length - ' ()'.length);
  return line(`${outcome.source}: ${messageOf(new Error(outcome.message), room)} (${took})`);
}

function line(text: string, max = maxLineLength): string {
  // The client shows only printable text, and stops at the first empty line.
  return `${messageOf(new Error(text), max).replaceAll(/[^\P{C}\t]/gu, '?')}\n`;
}
