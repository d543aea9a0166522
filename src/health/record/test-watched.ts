/** A watched upstream over a record on a fake clock, and what it told. */
import { type Upstream, UpstreamError, type UpstreamRequest } from '../../upstream/types.ts';
import { path, type TestRecord, testRecord } from './test-record.ts';
import { WatchedUpstream, type WatchedUpstreamOptions } from './watched-upstream.ts';

/** The module of each request. */
export const m = path('example.com/m');

export interface Watched extends TestRecord {
  readonly watched: WatchedUpstream;
  /** `attempt` and `body` events as text. */
  readonly traffic: string[];
}

export function watch(inner: Upstream, more: Partial<WatchedUpstreamOptions> = {}): Watched {
  const record = testRecord();
  const { clock, events } = record;
  const traffic: string[] = [];
  events.on('attempt', ({ answerClass, code }) => traffic.push(`attempt ${answerClass} ${code}`));
  events.on('body', ({ bytes, isComplete }) => traffic.push(`body ${bytes} ${isComplete}`));
  const options = { inner, health: record.record, clock, events, isOffline: () => false, ...more };
  return { ...record, traffic, watched: new WatchedUpstream(options) };
}

export function request(more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  const { signal } = new AbortController();
  return { target: '/example.com/m/@v/v1.0.0.zip', answerClass: 'zip', signal, modulePath: m, ...more };
}

/** Of the UpstreamError that `work` rejects with; anything else it rejects with as it is, undefined when it resolves. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof UpstreamError ? error.code : error;
}
