/**
 * An upstream whose record is kept: wraps another and tells the record what becomes of each request, from the status
 * line to the end of the body. It changes nothing of what passes through; an upstream that is out is asked only when
 * its record has a place for a trial.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { EventBus } from '../../lib/event-bus.ts';
import type { ParentFacts } from '../../upstream/parent-headers.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from '../../upstream/types.ts';
import type { HealthEvents, Observation } from '../types.ts';
import { isNeutral } from './observed.ts';
import type { UpstreamRecord } from './upstream-record.ts';
import { WatchedBody } from './watched-body.ts';

export interface WatchedUpstreamOptions {
  readonly inner: Upstream;
  readonly health: UpstreamRecord;
  readonly clock: Clock;
  readonly events: EventBus<HealthEvents>;
  /** True in offline mode: nothing is dialled. */
  isOffline(): boolean;
  /** True: asked even when out and without a free trial place, e.g. while pinned. Private ones always are. Default false. */
  isAskedAnyway?(): boolean;
}

export class WatchedUpstream implements Upstream {
  readonly name: string;
  readonly isPrivate: boolean;
  readonly stopsOnError: boolean;
  readonly firstByteMs: Upstream['firstByteMs'];
  readonly health: UpstreamRecord;
  readonly #options: WatchedUpstreamOptions;

  constructor(options: WatchedUpstreamOptions) {
    const { inner, health } = options;
    this.name = inner.name;
    this.isPrivate = inner.isPrivate;
    this.stopsOnError = inner.stopsOnError;
    this.firstByteMs = inner.firstByteMs;
    this.health = health;
    this.#options = options;
  }

  get parent(): ParentFacts | undefined {
    return this.#options.inner.parent;
  }

  /** As the inner one's. Rejects besides with UpstreamError `skipped`: offline, or no place for a trial. */
  async fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { inner, health, clock } = this.#options;
    if (this.#options.isOffline())
      throw new UpstreamError(this.name, 'skipped', 'offline mode: nothing is asked');
    const releaseTrial = this.#enter();
    const leave = health.begin();
    const startedAtMs = clock.monotonic();
    try {
      const answer = await inner.fetch(request);
      // Without the time in our own queue.
      this.#answered(request, answer.firstByteMs);
      return this.#watch(request, answer, startedAtMs, () => {
        leave();
        releaseTrial?.();
      });
    } catch (error) {
      this.#refused(request, error, clock.monotonic() - startedAtMs);
      leave();
      releaseTrial?.();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#options.inner.close();
  }

  /** The release of a trial; undefined where none is needed. */
  #enter(): (() => void) | undefined {
    const { health } = this.#options;
    if (health.state !== 'out' && health.breaker === 'closed') return undefined;
    const release = health.tryTakeTrial();
    if (release !== undefined || this.isPrivate || this.#options.isAskedAnyway?.() === true) return release;
    throw new UpstreamError(this.name, 'skipped', 'it is out, and is being tried already');
  }

  #answered({ answerClass, modulePath }: UpstreamRequest, tookMs: number): void {
    const { health, events } = this.#options;
    health.observe({ kind: answerClass, part: 'head', code: 'ok', tookMs, modulePath });
    events.emit('attempt', { upstream: this.name, answerClass, code: 'ok', tookMs });
  }

  #refused(request: UpstreamRequest, error: unknown, tookMs: number): void {
    const { health, events } = this.#options;
    const seen = seenIn(error, request, tookMs);
    // It need not grant a part of a file: it is asked for the whole then.
    const isPartRefused = request.fromByte !== undefined && (seen.status === 416 || seen.status === 206);
    if (!isPartRefused) health.observe(seen);
    const { code } = seen;
    events.emit('attempt', { upstream: this.name, answerClass: request.answerClass, code, tookMs });
  }

  #watch(
    request: UpstreamRequest,
    answer: UpstreamAnswer,
    startedAtMs: number,
    onEnd: () => void,
  ): UpstreamAnswer {
    const { health, clock, events } = this.#options;
    const { answerClass, modulePath } = request;
    const bodyAtMs = clock.monotonic();
    let isJudged = false;

    function failed(seen: Observation): void {
      if (isJudged || isNeutral(seen)) return;
      isJudged = true;
      health.observe(seen);
    }
    const body = new WatchedBody(answer, request.signal, (end) => {
      const nowMs = clock.monotonic();
      const isComplete = end.how === 'complete';
      health.bodyEnded(end.sizeBytes, nowMs - bodyAtMs, isComplete);
      const tookMs = nowMs - startedAtMs;
      if (end.how === 'failed') failed({ ...seenIn(end.error, request, tookMs), part: 'body' });
      else if (isComplete && !isJudged) {
        health.observe({ kind: answerClass, part: 'body', code: 'ok', tookMs, modulePath });
      }
      onEnd();
      const { sizeBytes: bytes } = end;
      events.emit('body', { upstream: this.name, answerClass, bytes, tookMs: nowMs - bodyAtMs, isComplete });
    });
    return {
      ...answer,
      body,
      cancel: () => body.cancel(),
      blame: (code, message) => {
        answer.blame?.(code, message);
        const tookMs = clock.monotonic() - startedAtMs;
        failed({ kind: answerClass, part: 'body', code, message, tookMs, modulePath });
      },
    };
  }
}

/** What an error of the inner upstream tells. */
function seenIn(error: unknown, request: UpstreamRequest, tookMs: number): Observation {
  const { answerClass: kind, modulePath, signal } = request;
  if (!(error instanceof UpstreamError)) {
    const code = signal.aborted ? abortCode(signal) : 'protocol';
    return { kind, code, tookMs, message: messageOf(error), modulePath };
  }
  const { message, status, retryAfterMs, isSourcesFault } = error;
  // Whatever else it says came from the server, or from our own queue, before the abort was heard.
  const isByAbort = signal.aborted && abortCodes.has(error.code);
  const code = isByAbort ? abortCode(signal) : error.code;
  return { kind, code, tookMs, message, status, retryAfterMs, isSourcesFault, modulePath };
}

const abortCodes: ReadonlySet<UpstreamErrorCode> = new Set(['aborted', 'beaten', 'timeout']);

/** The walk says by its reason why it gave up; the asker's own deadline or leaving is nobody's fault. */
function abortCode(signal: AbortSignal): 'aborted' | 'beaten' | 'timeout' {
  const reason: unknown = signal.reason;
  if (!(reason instanceof UpstreamError)) return 'aborted';
  return reason.code === 'beaten' || reason.code === 'timeout' ? reason.code : 'aborted';
}
