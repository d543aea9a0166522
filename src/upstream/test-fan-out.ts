/** For tests of the fan-out: upstreams that play a script under a fake clock, and a fan-out over them. */
import { FakeClock } from '../lib/fake-clock.ts';
import { type FanOutOptions, fanOut } from './fan-out.ts';
import { type Plan, plainPlan } from './plan.ts';
import { type Upstream, UpstreamError, type UpstreamErrorCode, type UpstreamRequest } from './types.ts';

type Says = string | { readonly error: UpstreamErrorCode };

export interface FanOutScript {
  readonly name: string;
  /** A body, or why there is none. */
  readonly says: Says;
  /** The same for the second question; default: as for the first. */
  readonly thenSays?: Says;
  readonly afterMs?: number;
  readonly isStrict?: boolean;
  readonly isReserve?: boolean;
}

export function playFanOut(
  scripts: readonly FanOutScript[],
  more: Omit<Partial<FanOutOptions<string>>, 'plan'> & { plan?: Partial<Plan> } = {},
) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const aborted: string[] = [];
  const reasons: unknown[] = [];
  const blames: string[] = [];
  const requests: UpstreamRequest[] = [];
  const all = scripts.map(
    (script): Upstream => ({
      name: script.name,
      isPrivate: false,
      stopsOnError: script.isStrict ?? false,
      fetch(request) {
        const isFirst = !asked.includes(script.name);
        asked.push(script.name);
        requests.push(request);
        return new Promise((resolve, reject) => {
          request.signal.addEventListener('abort', () => {
            aborted.push(script.name);
            reasons.push(request.signal.reason);
            timer.cancel();
            reject(new UpstreamError(script.name, 'aborted', 'aborted'));
          });
          const timer = clock.setTimeout(() => {
            const says = isFirst ? script.says : (script.thenSays ?? script.says);
            if (typeof says !== 'string') {
              reject(new UpstreamError(script.name, says.error, `says ${says.error}`, { status: 500 }));
              return;
            }
            resolve({
              upstream: script.name,
              contentLength: undefined,
              contentType: 'text/plain',
              etag: undefined,
              lastModified: undefined,
              firstByteMs: 1,
              body: (async function* () {
                yield Buffer.from(says);
              })(),
              cancel() {},
              blame: (code, message) => blames.push(`${script.name} ${code}: ${message}`),
            });
          }, script.afterMs ?? 0);
        });
      },
      close: async () => {},
    }),
  );
  const tier = (isReserve: boolean): Upstream[] =>
    all.filter((_, index) => (scripts[index]?.isReserve ?? false) === isReserve);
  const plain = plainPlan({
    upstreams: tier(false),
    answerClass: 'meta',
    firstByteMs: 5_000,
    lastHopeMs: 60_000,
  });
  const result = fanOut<string>({
    target: '/example.com/m/@v/list',
    signal: new AbortController().signal,
    clock,
    limitBytes: 100,
    read: (body) => body.toString(),
    ...more,
    plan: { ...plain, reserve: tier(true), ...more.plan },
  });
  result.catch(() => {});
  return { result, clock, asked, aborted, reasons, blames, requests };
}
