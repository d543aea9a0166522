/** For tests: an upstream whose status lines and bodies come when the test says so. */
import { fedAnswer } from './test-answers.ts';
import { type Upstream, type UpstreamAnswer, UpstreamError, type UpstreamRequest } from './types.ts';

export class BodyUpstream implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError = false;
  readonly blames: string[] = [];
  asked = 0;
  cancelled = 0;
  #open: PromiseWithResolvers<UpstreamAnswer> | undefined;
  #give: (...items: string[]) => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  fetch({ signal }: UpstreamRequest): Promise<UpstreamAnswer> {
    this.asked += 1;
    const open = Promise.withResolvers<UpstreamAnswer>();
    this.#open = open;
    signal.addEventListener('abort', () => open.reject(new UpstreamError(this.name, 'aborted', 'aborted')));
    return open.promise;
  }

  async close(): Promise<void> {}

  /** The status line of the last question. */
  answer(): this {
    const { answer, give } = fedAnswer(this, {});
    this.#give = give;
    this.#open?.resolve(answer);
    return this;
  }

  /** More of the last body; `end` ends it. */
  give(...items: string[]): void {
    this.#give(...items);
  }
}
