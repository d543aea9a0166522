import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { plainPlan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { planWithout } from './plan-without.ts';
import { FedUpstream, fedWalk } from './test-source.ts';
import { ZipSources } from './zip-sources.ts';

function setUp(names: string) {
  const upstreams = names.split('').map((name) => new FedUpstream(name));
  const clock = new FakeClock();
  const opened: string[][] = [];
  const sources = new ZipSources(
    fedWalk(upstreams, clock).walk,
    (without) => {
      opened.push([...without]);
      return fedWalk(
        upstreams.filter(({ name }) => !without.has(name)),
        clock,
      ).walk;
    },
    () => {},
  );
  const [a, b, c] = upstreams as [FedUpstream, FedUpstream, FedUpstream];
  return { sources, clock, opened, a, b, c };
}

describe('ZipSources', () => {
  it('keeps second chances when a question beside is ended by the next one', async () => {
    const { sources, clock, a, b, c } = setUp('abc');
    const first = sources.next();
    await clock.advance(0);
    a.breakOff();
    a.say();
    const answer = await first;
    if (answer === undefined) throw new Error('a has answered');
    const beside = sources.nextBeside({});
    await clock.advance(0);
    expect(b.requests).toHaveLength(1);
    sources.refuse(answer, 'reset', 'broke off');
    sources.giveSecondChance('a');
    const next = sources.next();
    expect(await beside).toBeUndefined();
    await clock.advance(0);
    // It is the second chance of a that must be left for the end, behind b and c.
    expect(a.requests).toHaveLength(1);
    c.willFail('connect');
    b.say();
    const other = await next;
    expect(other?.upstream).toBe('b');
    if (other !== undefined) sources.refuse(other, 'reset', 'broke off');
    a.willSay({});
    expect((await sources.next())?.upstream).toBe('a');
    expect(c.requests).toHaveLength(1);
    sources.close();
  });

  it('asks for help by a new plan only after nobody was left, and tells what each said last', async () => {
    const { sources, clock, opened, a, b } = setUp('ab');
    a.willSay({});
    const slow = await sources.next();
    b.willFail('connect');
    expect(await sources.nextBeside({})).toBeUndefined();
    expect(opened).toEqual([]);
    expect(sources.outcomes).toMatchObject([{ code: 'ok' }, { source: 'b', code: 'connect' }]);
    b.willFail('status', 500);
    expect(await sources.nextBeside({})).toBeUndefined();
    b.willSay({});
    const help = await sources.nextBeside({});
    expect(opened).toEqual([['a'], ['a']]);
    if (slow === undefined || help === undefined) throw new Error('both have answered');
    sources.replace(slow, help, 'too slow');
    expect(sources.outcomes).toMatchObject([
      { source: 'a', code: 'timeout', message: 'too slow' },
      { source: 'b', code: 'ok' },
    ]);
    expect(a.cancelled).toBe(1);
    sources.close();
    expect(b.cancelled).toBe(1);
    expect(clock.timers).toBe(0);
  });

  it('ends a question for help when the body in hand has failed for good', async () => {
    const { sources, clock, a, b } = setUp('ab');
    a.willSay({});
    const broken = await sources.next();
    b.willFail('connect');
    await sources.nextBeside({});
    const help = sources.nextBeside({});
    await clock.advance(0);
    expect(b.requests).toHaveLength(2);
    if (broken !== undefined) sources.refuse(broken, 'refused', 'bad CRC');

    expect(await sources.next()).toBeUndefined();
    expect(await help).toBeUndefined();
    expect(b.requests[1]?.signal.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });
});

describe('planWithout', () => {
  const plan = (upstreams: readonly Upstream[]) =>
    plainPlan({ upstreams, answerClass: 'zip', firstByteMs: 1_000, lastHopeMs: 60_000 });
  const strict = (name: string): Upstream => Object.assign(new FedUpstream(name), { stopsOnError: true });

  it('leaves out those named, and whoever stands behind one of them that keeps Go’s comma', () => {
    const [a, b, c] = [new FedUpstream('a'), new FedUpstream('b'), new FedUpstream('c')];

    expect(planWithout(plan([a, b, c]), new Set(['b'])).upstreams).toEqual([a, c]);
    expect(planWithout(plan([a, strict('b'), c]), new Set(['b'])).upstreams).toEqual([a]);
    expect(planWithout(plan([strict('a'), b, c]), new Set(['b'])).upstreams).toHaveLength(2);
  });
});
