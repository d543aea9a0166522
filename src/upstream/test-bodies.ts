/** For tests: an upstream whose status lines and bodies come when the test says so. */
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
    const waiting: string[] = [];
    let wake = Promise.withResolvers<void>();
    let isCancelled = false;
    const dropped = (): UpstreamError => new UpstreamError(this.name, 'aborted', 'the body was dropped');
    async function* read(): AsyncGenerator<Buffer, void, void> {
      for (;;) {
        if (isCancelled) throw dropped();
        const next = waiting.shift();
        if (next === undefined) {
          await wake.promise;
          wake = Promise.withResolvers();
        } else if (next === 'end') return;
        else yield Buffer.from(next);
      }
    }
    this.#give = (...items) => {
      waiting.push(...items);
      wake.resolve();
    };
    this.#open?.resolve({
      upstream: this.name,
      contentLength: undefined,
      contentType: '',
      etag: undefined,
      lastModified: undefined,
      firstByteMs: 1,
      body: read(),
      cancel: () => {
        if (!isCancelled) this.cancelled += 1;
        isCancelled = true;
        wake.resolve();
      },
      blame: (code, message) => this.blames.push(`${code}: ${message}`),
    });
    return this;
  }

  /** More of the last body; `end` ends it. */
  give(...items: string[]): void {
    this.#give(...items);
  }
}
