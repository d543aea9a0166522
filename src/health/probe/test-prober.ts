/** What the tests of probes share: a scripted target and a prober over it. */
import { onTestFinished } from 'vitest';
import { EventBus } from '../../lib/event-bus.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { ParentFacts } from '../../upstream/parent-headers.ts';
import type { UpstreamAnswer, UpstreamRequest } from '../../upstream/types.ts';
import type { BreakerState, HealthEvents, HealthOptions, HealthState, Observation } from '../types.ts';
import { defaultProbe, type ProbeTarget } from './probe.ts';
import { Prober, type ProberDeps } from './prober.ts';

export const rightFile = 'module github.com/pkg/errors\n';
export const options: HealthOptions['probe'] = {
  everyMs: 10_000,
  idleEveryMs: 60_000,
  outEveryMs: 5_000,
  timeoutMs: 3_000,
  path: defaultProbe.path,
  sha256: '',
};

type Script = (request: UpstreamRequest, nth: number) => Promise<UpstreamAnswer>;

export function answer(text: string, contentType = 'text/plain'): UpstreamAnswer {
  return {
    upstream: 'up',
    contentLength: undefined,
    contentType,
    etag: undefined,
    lastModified: undefined,
    firstByteMs: 7,
    body: (async function* () {
      yield Buffer.from(text);
    })(),
    cancel() {},
  };
}

/** Settles when its signal fires, as every upstream does. */
export function silence({ signal }: UpstreamRequest): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** Answers by a script, and keeps what it was asked and told. */
export class FakeTarget implements ProbeTarget {
  readonly name: string;
  probe: ProbeTarget['probe'];
  parent: ParentFacts | undefined;
  readonly requests: UpstreamRequest[] = [];
  readonly askedAtMs: number[] = [];
  readonly noted: ParentFacts[] = [];
  readonly seen: Observation[] = [];
  ticks = 0;
  inFlight = 0;
  peak = 0;
  state: HealthState = 'healthy';
  breaker: BreakerState = 'closed';
  restUntilMs: number | undefined;
  script: Script = async () => answer(rightFile);
  readonly #clock: FakeClock;

  constructor(name: string, clock: FakeClock) {
    this.name = name;
    this.#clock = clock;
  }

  get upstream(): ProbeTarget['upstream'] {
    return {
      parent: this.parent,
      fetch: async (request) => {
        this.requests.push(request);
        this.askedAtMs.push(this.#clock.monotonic());
        this.inFlight += 1;
        this.peak = Math.max(this.peak, this.inFlight);
        try {
          return await this.script(request, this.requests.length);
        } finally {
          this.inFlight -= 1;
        }
      },
    };
  }

  get health(): ProbeTarget['health'] {
    const { state, breaker, restUntilMs } = this;
    return {
      state,
      breaker,
      restUntilMs,
      observe: (observation) => void this.seen.push(observation),
      tick: () => void (this.ticks += 1),
    };
  }

  get codes(): string[] {
    return this.seen.map(({ code }) => code);
  }

  isModferry(): boolean {
    return this.parent !== undefined;
  }

  noteParent(facts: ParentFacts): void {
    this.noted.push(facts);
  }
}

/** A prober of one target under a fake clock, with 0.5 for every draw. Stopped when the test ends. */
export function setUp(more: Partial<ProberDeps> = {}) {
  const clock = new FakeClock();
  const events = new EventBus<HealthEvents>();
  const probes: HealthEvents['probe'][] = [];
  events.on('probe', (event) => probes.push(event));
  const targets: FakeTarget[] = [new FakeTarget('up', clock)];
  const [target] = targets as [FakeTarget];
  const state = { isPaused: false, options };
  const prober = new Prober({
    clock,
    random: () => 0.5,
    events,
    options: () => state.options,
    targets: () => targets,
    isPaused: () => state.isPaused,
    ...more,
  });
  onTestFinished(() => prober.stop());
  return { clock, prober, target, targets, probes, state };
}
