/** For tests of the walk: upstreams that say what they are told, and a walk over them under a fake clock. */
import { FakeClock } from '../lib/fake-clock.ts';
import { type Plan, plainPlan } from './plan.ts';
import { plainAnswer } from './test-answers.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from './types.ts';
import { Walk, type WalkOptions } from './walk.ts';

export type Reply = 'ok' | UpstreamErrorCode;

/** An upstream that answers each question at once with the next reply, or (undefined) when it is told. */
export class Scripted implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError: boolean;
  readonly requests: UpstreamRequest[] = [];
  readonly blames: string[] = [];
  cancelled = 0;
  readonly #replies: readonly (Reply | undefined)[];
  #open: PromiseWithResolvers<UpstreamAnswer> | undefined;

  constructor(name: string, replies: readonly (Reply | undefined)[], stopsOnError = false) {
    this.name = name;
    this.#replies = replies;
    this.stopsOnError = stopsOnError;
  }

  /** Why the last question was given up; undefined while it was not. */
  get givenUp(): string | undefined {
    const reason: unknown = this.requests.at(-1)?.signal.reason;
    return reason instanceof UpstreamError ? reason.code : undefined;
  }

  fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const at = this.requests.push(request) - 1;
    const open = Promise.withResolvers<UpstreamAnswer>();
    this.#open = open;
    request.signal.addEventListener('abort', () =>
      open.reject(new UpstreamError(this.name, 'aborted', 'aborted')),
    );
    const reply = this.#replies[at];
    if (reply !== undefined) this.say(reply);
    return open.promise;
  }

  /** `status` is a 503. */
  say(reply: Reply): void {
    if (reply !== 'ok') {
      const details = reply === 'status' ? { status: 503, retryAfterMs: 7000 } : {};
      this.#open?.reject(new UpstreamError(this.name, reply, `says ${reply}`, details));
      return;
    }
    this.#open?.resolve(
      plainAnswer(this.name, {
        cancel: () => {
          this.cancelled += 1;
        },
        blame: (code, message) => this.blames.push(`${code}: ${message}`),
      }),
    );
  }

  async close(): Promise<void> {}
}

export function planOver(upstreams: readonly Upstream[], more: Partial<Plan> = {}): Plan {
  const plain = plainPlan({ upstreams, answerClass: 'zip', firstByteMs: 1000, lastHopeMs: 60_000 });
  return { ...plain, ...more };
}

export function walkOver(
  plan: Plan | readonly Upstream[],
  more: Partial<WalkOptions> = {},
): { walk: Walk; clock: FakeClock } {
  const clock = new FakeClock();
  const walk = new Walk({
    plan: 'upstreams' in plan ? plan : planOver(plan),
    target: '/example.com/m/@v/v1.0.0.zip',
    answerClass: 'zip',
    signal: new AbortController().signal,
    clock,
    ...more,
  });
  return { walk, clock };
}

export function codes(walk: Walk): string[] {
  return walk.outcomes.map((outcome) => `${outcome.source} ${outcome.code}`);
}

/** The next answer, where one must come. */
export async function answerOf(asked: Promise<UpstreamAnswer | undefined>): Promise<UpstreamAnswer> {
  const answer = await asked;
  if (answer === undefined) throw new Error('no answer');
  return answer;
}
