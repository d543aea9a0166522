import { describe, expect, it } from 'vitest';
import { loadConfig } from '../config/load.ts';
import { type HealthEvents, noControls } from '../health/types.ts';
import { FedUpstream } from '../ingest/test-source.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { Upstream } from '../upstream/types.ts';
import { DatabaseAddresses } from './database-addresses.ts';
import { healthOptions } from './mirrors.ts';

async function make() {
  const { config } = await loadConfig({
    file: undefined,
    env: {},
    flags: {},
    patternFault: () => undefined,
    readFile: () => Promise.reject(new Error('no file')),
  });
  const clock = new FakeClock();
  const events = new EventBus<HealthEvents>();
  const states: string[] = [];
  events.on('state', ({ upstream, to }) => states.push(`${upstream} ${to}`));
  let mode: 'normal' | 'offline' = 'normal';
  const addresses = new DatabaseAddresses({
    clock,
    random: () => 0.5,
    events,
    options: () => healthOptions(config),
    controls: () => ({ ...noControls, mode }),
  });
  return { addresses, clock, states, goOffline: () => void (mode = 'offline') };
}

async function failOnce(upstream: Upstream | undefined, fed: FedUpstream, target = '/latest'): Promise<void> {
  const asked = upstream?.fetch({
    target,
    answerClass: 'meta',
    signal: new AbortController().signal,
  });
  fed.fail('connect');
  await expect(asked).rejects.toMatchObject({ code: 'connect' });
}

describe('the own addresses of a checksum database', () => {
  it('hold nobody up once they fail again and again', async () => {
    const { addresses, clock, states } = await make();
    const fed = new FedUpstream('sum.test');
    for (let turn = 0; turn < 3; turn += 1) {
      await failOnce(addresses.plan(fed).upstreams[0], fed, `/tile/8/0/00${turn}`);
    }
    const plan = addresses.plan(fed);
    expect(plan.upstreams).toEqual([]);
    expect(plan.reserve).toHaveLength(1);
    expect(states).toEqual(['sum.test suspect', 'sum.test out']);

    // By and by it is tried again, so that one that is well comes back.
    await clock.advance(60_000);
    expect(addresses.plan(fed).upstreams.length + addresses.plan(fed).reserve.length).toBe(1);
  });

  it('are watched each by itself', async () => {
    const { addresses } = await make();
    const [one, two] = [new FedUpstream('one'), new FedUpstream('two')];
    for (let turn = 0; turn < 3; turn += 1) await failOnce(addresses.plan(one).upstreams[0], one);
    expect(addresses.plan(two).upstreams).toHaveLength(1);
  });

  it('are not asked in offline mode', async () => {
    const { addresses, goOffline } = await make();
    const fed = new FedUpstream('sum.test');
    goOffline();
    const { upstreams, reserve } = addresses.plan(fed);
    expect([upstreams, reserve]).toEqual([[], []]);
  });
});
