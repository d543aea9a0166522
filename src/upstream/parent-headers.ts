/**
 * What modferries that stand behind each other tell one another in headers (ruling 20), in both directions. They are
 * hints between friends: each has a bound, and none of them decides whether bytes are good.
 *
 * | header | said by | meaning |
 * | --- | --- | --- |
 * | `X-Modferry-Via` | child | instance ids on the way; without it none of the others counts |
 * | `X-Modferry-Remaining` | child | milliseconds that it still waits for the first byte |
 * | `X-Modferry-Hold: no` | child | it verifies by itself: bytes may come before they are verified |
 * | `X-Modferry` | parent | its version: this is a modferry |
 * | `X-Modferry-Cause` | parent | why a 502, 503 or 504 |
 * | `X-Modferry-Partial` | parent | of a 404 or 410: not all of its sources have agreed |
 * | `X-Modferry-Failover` | parent | milliseconds it may need to change its source before its first byte |
 */
import type { IncomingHttpHeaders } from 'node:http';
import { headerOf } from './answer-head.ts';

/** Lower case, as node:http gives and takes them. */
export const hopHeaders = {
  via: 'x-modferry-via',
  remaining: 'x-modferry-remaining',
  hold: 'x-modferry-hold',
  version: 'x-modferry',
  cause: 'x-modferry-cause',
  failover: 'x-modferry-failover',
  partial: 'x-modferry-partial',
} as const;

/**
 * Why a modferry answers 502, 503 or 504. `sources`: those it asks failed, it is well itself. `deadline`: the time
 * that the child gave is over. The others (`internal`: a fault of its program or machine) are its own trouble.
 */
export type AnswerCause = 'sources' | 'overload' | 'draining' | 'deadline' | 'disk' | 'internal';

/** An upstream that is a modferry itself. */
export interface ParentFacts {
  readonly version: string;
  /** How long it may need to change its source before its first byte; undefined until its `/readyz` told. */
  readonly failoverMs: number | undefined;
}

/** The longest time that one modferry believes another: ten minutes. */
export const maxHopMs = 600_000;

/** The parent's word on itself; undefined when the answer is not a modferry's. */
export function parentOf(headers: IncomingHttpHeaders): ParentFacts | undefined {
  const version = headerOf(headers, hopHeaders.version);
  if (version === undefined || !/^[\w.+-]{1,64}$/.test(version)) return undefined;
  return { version, failoverMs: hopMs(headerOf(headers, hopHeaders.failover)) };
}

/**
 * What is known of an upstream after one more answer. Only `/readyz` tells the fail-over time, so other answers keep
 * it. A good or absent answer without the header is another server's; errors may come from something in between.
 */
export function parentAfter(
  known: ParentFacts | undefined,
  status: number,
  headers: IncomingHttpHeaders,
): ParentFacts | undefined {
  const told = parentOf(headers);
  if (told === undefined) return status === 200 || status === 404 || status === 410 ? undefined : known;
  if (told.failoverMs === undefined && told.version === known?.version) return known;
  return told;
}

/** True for the 502, 503 or 504 of a parent that is well itself (ruling 20). */
export function isSourcesFault(status: number, headers: IncomingHttpHeaders): boolean {
  if (status !== 502 && status !== 503 && status !== 504) return false;
  if (parentOf(headers) === undefined) return false;
  const cause = headerOf(headers, hopHeaders.cause);
  return cause === 'sources' || cause === 'deadline';
}

/** True for a parent's 404 or 410 that it keeps for a few seconds only itself. */
export function isPartialAbsence(headers: IncomingHttpHeaders): boolean {
  return headerOf(headers, hopHeaders.partial) !== undefined;
}

/** What a child adds to a request to a parent: that it verifies by itself, and how long it waits for the first byte. */
export function childHeaders(remainingMs: number): Record<string, string> {
  const ms = Math.max(1, Math.min(maxHopMs, Math.floor(remainingMs)));
  return { [hopHeaders.hold]: 'no', [hopHeaders.remaining]: String(ms) };
}

/** Whole milliseconds from 1 to `maxHopMs`; anything else is as if it was not said. */
export function hopMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,6}$/.test(text)) return undefined;
  const ms = Number(text);
  return ms >= 1 && ms <= maxHopMs ? ms : undefined;
}
