/**
 * What a request says that another modferry sends: its way here, how long the asker still waits, and that it
 * verifies by itself (ruling 20). Plain clients say none of it and are told none of it.
 */
import type { IncomingMessage } from 'node:http';
import { hopHeaders, hopMs } from '../upstream/parent-headers.ts';

export interface Hop {
  /** Instance ids this request has passed through, oldest first; never empty. */
  readonly via: readonly string[];
  /** Milliseconds that the asker still waits; undefined when it did not say. */
  readonly remainingMs: number | undefined;
  /** It verifies what it gets: nothing needs to be held back until it is verified here. */
  readonly noHold: boolean;
}

/** More modferries in a row than anyone builds on purpose (resilience: loop guard). */
const maxHops = 5;

/** Undefined for a plain client. What is no instance id is dropped, since it is sent on. */
export function hopOf(request: IncomingMessage): Hop | undefined {
  const via = headerOf(request, hopHeaders.via)
    ?.split(',')
    .map((hop) => hop.trim())
    .filter((hop) => /^[\w.:-]{1,80}$/.test(hop))
    .slice(0, maxHops + 1);
  if (via === undefined || via.length === 0) return undefined;
  return {
    via,
    remainingMs: hopMs(headerOf(request, hopHeaders.remaining)),
    noHold: headerOf(request, hopHeaders.hold)?.trim().toLowerCase() === 'no',
  };
}

/** Text of the refusal when the request came back to us or passed too many of our kind. */
export function refusalOf(hop: Hop, instanceId: string): string | undefined {
  if (hop.via.includes(instanceId)) {
    return 'this request came back to the very modferry that sent it: its upstreams lead to itself; check --upstream and GOPROXY of the server\n';
  }
  if (hop.via.length >= maxHops) return `the request passed ${hop.via.length} modferries in a row\n`;
  return undefined;
}

/**
 * The time to answer in, a little less than the asker has: an answer that comes as it hangs up would look like our
 * silence, and be taken for ill health.
 */
export function answerWithinMs(remainingMs: number): number {
  return Math.max(1, Math.floor(remainingMs - Math.min(200, remainingMs / 10)));
}

/** A header that stands once. */
export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
