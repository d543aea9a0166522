/** A record on a fake clock with the default settings, and short words for what a test lets it see. */
import type { ModulePath } from '../../gomod/types.ts';
import { EventBus } from '../../lib/event-bus.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { healthDefaults } from '../test-options.ts';
import type { HealthEvents, HealthOptions, Observation } from '../types.ts';
import { UpstreamRecord, type UpstreamRecordOptions } from './upstream-record.ts';

export const owners = {
  url: 'https://one.example.com',
  isPrivate: false,
  level: 1,
  weight: 1,
  queued: 0,
  isTakenOut: false,
  isPinned: false,
  favouriteOf: [],
  isModferry: false,
} as const;

export function path(text: string): ModulePath {
  return text as ModulePath;
}

export interface TestRecord {
  readonly clock: FakeClock;
  readonly events: EventBus<HealthEvents>;
  readonly record: UpstreamRecord;
  /** What was told on the bus, in order, e.g. `state healthy suspect`. */
  readonly told: string[];
  readonly see: (code: Observation['code'], more?: Partial<Observation>) => void;
  readonly probe: (code: Observation['code'], more?: Partial<Observation>) => void;
  /** Lets time pass with a tick each second, as the owner does. */
  readonly pass: (ms: number) => Promise<void>;
}

/** `random` is 0.5, so that stays are as configured, unless given. */
export function testRecord(
  options: Partial<HealthOptions> = {},
  more: Partial<UpstreamRecordOptions> = {},
): TestRecord {
  const clock = new FakeClock();
  const events = new EventBus<HealthEvents>();
  const told: string[] = [];
  events.on('state', ({ from, to }) => told.push(`state ${from} ${to}`));
  events.on('breaker', ({ from, to }) => told.push(`breaker ${from} ${to}`));
  events.on('rest', ({ forMs }) => told.push(`rest ${forMs}`));
  events.on('avoided', ({ path: avoided, forMs }) => told.push(`avoided ${avoided} ${forMs}`));
  const record = new UpstreamRecord({
    name: 'one',
    clock,
    events,
    random: () => 0.5,
    options: () => ({ ...healthDefaults, ...options }),
    latencyBoundMs: () => undefined,
    ...more,
  });
  function see(code: Observation['code'], rest: Partial<Observation> = {}): void {
    record.observe({ kind: 'meta', code, tookMs: 10, ...rest });
  }
  async function pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1000) {
      await clock.advance(Math.min(1000, leftMs));
      record.tick();
    }
  }
  return {
    clock,
    events,
    record,
    told,
    see,
    probe: (code, rest) => see(code, { kind: 'probe', ...rest }),
    pass,
  };
}
