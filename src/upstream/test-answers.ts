/** For tests: answers of upstreams that are no servers. */
import { type UpstreamAnswer, UpstreamError } from './types.ts';

/** An empty body without any facts, but for what the test says. */
export function plainAnswer(upstream: string, facts: Partial<UpstreamAnswer> = {}): UpstreamAnswer {
  return {
    upstream,
    contentLength: 0,
    contentType: '',
    etag: undefined,
    lastModified: undefined,
    firstByteMs: 1,
    body: (async function* () {})(),
    cancel: () => {},
    ...facts,
  };
}

/** What a body is given: a piece, the word `end` for its end, or what breaks it off. */
export type FedItem = Buffer | string | Error;

/** Notes what becomes of its answers. */
export interface FedBy {
  readonly name: string;
  readonly blames: string[];
  cancelled: number;
}

/** An answer whose body comes when the test gives it. */
export function fedAnswer(
  upstream: FedBy,
  facts: Partial<UpstreamAnswer>,
): { answer: UpstreamAnswer; give: (...items: FedItem[]) => void } {
  const waiting: FedItem[] = [];
  let wake = Promise.withResolvers<void>();
  let isCancelled = false;
  async function* read(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      if (isCancelled) throw new UpstreamError(upstream.name, 'aborted', 'the body was dropped');
      const next = waiting.shift();
      if (next === undefined) {
        await wake.promise;
        wake = Promise.withResolvers();
      } else if (next === 'end') return;
      else if (next instanceof Error) throw next;
      else yield Buffer.from(next);
    }
  }
  const answer = plainAnswer(upstream.name, {
    contentLength: undefined,
    body: read(),
    cancel: () => {
      if (!isCancelled) upstream.cancelled += 1;
      isCancelled = true;
      wake.resolve();
    },
    blame: (code, message) => upstream.blames.push(`${code}: ${message}`),
    ...facts,
  });
  return {
    answer,
    give(...items) {
      waiting.push(...items);
      wake.resolve();
    },
  };
}
