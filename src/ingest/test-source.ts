/** For tests: an upstream whose answers and bodies are fed by hand, and a walk over several under a fake clock. */
import { FakeClock } from '../lib/fake-clock.ts';
import { plainPlan } from '../upstream/plan.ts';
import { type FedItem, fedAnswer } from '../upstream/test-answers.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from '../upstream/types.ts';
import { Walk } from '../upstream/walk.ts';

export interface HeadFacts {
  readonly contentLength?: number | undefined;
  readonly offset?: number;
  readonly totalBytes?: number | undefined;
  readonly etag?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Questions wait until `say` or `fail`; bodies until they are given something. */
export class FedUpstream implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError = false;
  readonly requests: UpstreamRequest[] = [];
  readonly blames: string[] = [];
  cancelled = 0;
  #open: PromiseWithResolvers<UpstreamAnswer> | undefined;
  #feed: (...items: FedItem[]) => void = () => {};
  readonly #said: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    this.requests.push(request);
    const open = Promise.withResolvers<UpstreamAnswer>();
    this.#open = open;
    request.signal.addEventListener('abort', () =>
      open.reject(new UpstreamError(this.name, 'aborted', 'aborted')),
    );
    this.#said.shift()?.();
    return open.promise;
  }

  async close(): Promise<void> {}

  /** The range of the last question. */
  get wish(): { fromByte: number | undefined; ifRange: string | undefined } {
    const last = this.requests.at(-1);
    return { fromByte: last?.fromByte, ifRange: last?.ifRange };
  }

  /** Answers the question that is open. */
  say(facts: HeadFacts = {}, ...items: FedItem[]): this {
    this.#open?.resolve(this.#answer(facts));
    this.give(...items);
    return this;
  }

  /** Refuses the question that is open. */
  fail(code: UpstreamErrorCode): void {
    this.#open?.reject(new UpstreamError(this.name, code, `says ${code}`));
  }

  /** The same for the next question to come. */
  willSay(facts: HeadFacts, ...items: FedItem[]): this {
    this.#said.push(() => this.say(facts, ...items));
    return this;
  }

  willFail(code: UpstreamErrorCode, status?: number): this {
    this.#said.push(() => {
      const details = status === undefined ? {} : { status };
      this.#open?.reject(new UpstreamError(this.name, code, `says ${status ?? code}`, details));
    });
    return this;
  }

  /** Goes on with the body of the last answer. */
  give(...items: FedItem[]): void {
    this.#feed(...items);
  }

  breakOff(code: UpstreamErrorCode = 'reset'): void {
    this.give(new UpstreamError(this.name, code, 'connection reset'));
  }

  #answer(facts: HeadFacts): UpstreamAnswer {
    const { contentLength, offset = 0, totalBytes = contentLength, etag, headers } = facts;
    const told = { contentLength, offset, totalBytes, contentType: 'application/zip', headers, etag };
    const { answer, give } = fedAnswer(this, told);
    this.#feed = give;
    return answer;
  }
}

export function fedWalk(
  upstreams: readonly Upstream[],
  clock: FakeClock = new FakeClock(),
  signal: AbortSignal = new AbortController().signal,
): { walk: Walk; clock: FakeClock } {
  const walk = new Walk({
    plan: plainPlan({ upstreams, answerClass: 'zip', firstByteMs: 1_000, lastHopeMs: 60_000 }),
    target: '/example.com/m/@v/v1.0.0.zip',
    answerClass: 'zip',
    signal,
    clock,
  });
  return { walk, clock };
}
