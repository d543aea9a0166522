import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { healthDefaults } from '../test-options.ts';
import type { HealthOptions } from '../types.ts';
import { Condition, type ConditionChange, type Latency } from './condition.ts';

const unknown: Latency = { p50Ms: undefined, boundMs: undefined };

function conditionOf(options: Partial<HealthOptions> = {}, random = 0.5) {
  const clock = new FakeClock();
  const changes: ConditionChange[] = [];
  const gate = { mayReturn: true };
  const condition = new Condition({
    clock,
    random: () => random,
    options: () => ({ ...healthDefaults, ...options }),
    mayReturn: () => gate.mayReturn,
    onChange: (change) => changes.push(change),
  });
  function fail(subject = 'a', askedAtMs = clock.monotonic()): void {
    condition.failed(subject, 'timeout: no first byte', askedAtMs);
  }
  function good(count = 1): void {
    for (let nth = 0; nth < count; nth += 1) condition.good();
  }
  async function pass(ms: number, latency = unknown): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1000) {
      await clock.advance(Math.min(leftMs, 1000));
      condition.tick(latency);
    }
  }
  return { clock, condition, changes, gate, fail, good, pass };
}

describe('one failure', () => {
  it('makes it suspect at once, with the cause and since when', async () => {
    const { clock, condition, changes, fail, pass } = conditionOf();
    expect(condition).toMatchObject({ state: 'healthy', cause: '', share: 1 });
    await pass(5_000);
    fail();
    expect(condition).toMatchObject({ state: 'suspect', cause: 'timeout: no first byte', share: 1 });
    expect(condition.sinceMs).toBe(clock.now());
    expect(changes).toEqual([{ from: 'healthy', to: 'suspect', cause: 'timeout: no first byte' }]);
  });

  it('is mended the first time by one good answer, then a slow start', async () => {
    const { condition, changes, fail, good, pass } = conditionOf();
    fail();
    good();
    expect(condition).toMatchObject({ state: 'recovering', share: 0.1 });
    await pass(15_000);
    expect(condition.share).toBeCloseTo(0.55);
    await pass(14_000);
    expect(condition.state).toBe('recovering');
    await pass(1_000);
    expect(condition).toMatchObject({ state: 'healthy', share: 1 });
    expect(changes.map((change) => change.to)).toEqual(['suspect', 'recovering', 'healthy']);
  });

  it('without a slow start is healthy with the good answer', () => {
    const { condition, fail, good } = conditionOf({ slowStartMs: 0 });
    fail();
    good();
    expect(condition.state).toBe('healthy');
  });

  it('again within half an hour costs good answers in a row and a stay that doubles up to its longest', async () => {
    const { clock, condition, fail, good, pass } = conditionOf();
    fail();
    good();
    for (const stayMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
      fail();
      good(5);
      await pass(stayMs - 1);
      expect(condition.state).toBe('suspect');
      await clock.advance(1);
      expect(condition.state).toBe('suspect');
      condition.tick(unknown);
      expect(condition.state).toBe('recovering');
    }
  });

  it('again needs the good answers even when the stay is over', async () => {
    const { condition, fail, good, pass } = conditionOf();
    fail();
    good();
    fail();
    await pass(600_000);
    good(2);
    fail();
    good(2);
    expect(condition.state).toBe('suspect');
    good();
    expect(condition.state).toBe('recovering');
  });

  it('is a first one again after half an hour', async () => {
    const { condition, fail, good, pass } = conditionOf();
    fail();
    good();
    await pass(1_800_000);
    fail();
    good();
    expect(condition.state).toBe('recovering');
  });

  it('does not count when it answers what was asked before the recovery', async () => {
    const { clock, condition, fail, good } = conditionOf();
    const before = clock.monotonic();
    await clock.advance(5_000);
    fail('a', before);
    good();
    fail('b', before);
    expect(condition.state).toBe('recovering');
    fail('b');
    expect(condition.state).toBe('suspect');
  });
});

describe('out', () => {
  it('comes with three failures in a row on two modules', () => {
    const { condition, fail } = conditionOf();
    fail('a');
    fail('a');
    fail('a');
    fail('a');
    expect(condition.state).toBe('suspect');
    fail('b');
    expect(condition).toMatchObject({
      state: 'out',
      cause: '5 failures in a row, the last: timeout: no first byte',
    });
  });

  it('does not come when a good answer is between, or by silence alone', () => {
    const { condition, fail, good } = conditionOf();
    fail('a');
    fail('b');
    good();
    fail('c', 1);
    fail('d');
    expect(condition.state).toBe('suspect');
    for (let nth = 0; nth < 10; nth += 1) condition.suspected('beaten', 1);
    expect(condition.state).toBe('suspect');
  });

  it('lasts its stay and until enough good answers in a row', async () => {
    const { condition, good, fail, pass } = conditionOf();
    condition.takeOut('its breaker opened');
    good(2);
    fail();
    good(3);
    await pass(59_000);
    expect(condition.state).toBe('out');
    await pass(1_000);
    expect(condition).toMatchObject({ state: 'recovering', cause: '3 good answers in a row' });
  });

  it('does not end by time alone', async () => {
    const { condition, good, pass } = conditionOf();
    condition.takeOut('x');
    await pass(1_000_000);
    expect(condition.state).toBe('out');
    good(3);
    expect(condition.state).toBe('recovering');
  });

  it.each([
    [0, 48_000],
    [0.5, 60_000],
    [0.999999, 72_000],
  ])('varies its stay by a fifth (random %d)', async (random, stayMs) => {
    const { condition, good, pass } = conditionOf({}, random);
    condition.takeOut('x');
    good(3);
    await pass(stayMs - 1_000);
    expect(condition.state).toBe('out');
    await pass(1_000);
    expect(condition.state).toBe('recovering');
  });

  it('lasts twice as long each time, up to its longest', async () => {
    const { condition, good, pass } = conditionOf();
    for (const stayMs of [60_000, 120_000, 240_000, 300_000]) {
      condition.takeOut('x');
      good(3);
      await pass(stayMs - 1_000);
      expect(condition.state).toBe('out');
      await pass(1_000);
      expect(condition.state).toBe('recovering');
    }
  });

  it('does not end before its owner allows it', async () => {
    const { condition, gate, good, pass } = conditionOf();
    condition.takeOut('x');
    gate.mayReturn = false;
    good(3);
    await pass(100_000);
    expect(condition.state).toBe('out');
    gate.mayReturn = true;
    condition.tick(unknown);
    expect(condition.state).toBe('recovering');
  });

  it('is a loss too: the next failure is not a first one', async () => {
    const { condition, fail, good, pass } = conditionOf();
    condition.takeOut('x');
    good(3);
    await pass(60_000);
    expect(condition.state).toBe('recovering');
    fail();
    good();
    expect(condition.state).toBe('suspect');
  });

  it('is not entered twice', () => {
    const { condition, changes } = conditionOf();
    condition.takeOut('x');
    condition.takeOut('y');
    expect(changes).toHaveLength(1);
    expect(condition.cause).toBe('x');
  });
});

describe('slow', () => {
  const slow = { p50Ms: 300, boundMs: 250 };
  const between = { p50Ms: 240, boundMs: 250 };
  const quick = { p50Ms: 200, boundMs: 250 };

  it('comes after 10 s over the bound and goes after 10 s well below it', async () => {
    const { condition, pass } = conditionOf();
    await pass(10_000, slow);
    expect(condition.state).toBe('healthy');
    await pass(1_000, slow);
    expect(condition).toMatchObject({ state: 'slow', cause: 'half of its answers begin later than 250 ms' });
    await pass(60_000, between);
    expect(condition.state).toBe('slow');
    await pass(10_000, quick);
    expect(condition.state).toBe('slow');
    await pass(1_000, quick);
    expect(condition).toMatchObject({ state: 'healthy', cause: 'quick again' });
  });

  it('begins to wait anew when it was quick in between', async () => {
    const { condition, pass } = conditionOf();
    for (let nth = 0; nth < 5; nth += 1) {
      await pass(9_000, slow);
      await pass(1_000, between);
    }
    expect(condition.state).toBe('healthy');
  });

  it('does not stay when too little is known of it, or nobody is there to compare with', async () => {
    for (const known of [unknown, { p50Ms: undefined, boundMs: 250 }, { p50Ms: 900, boundMs: undefined }]) {
      const { condition, pass } = conditionOf();
      await pass(11_000, slow);
      expect(condition.state).toBe('slow');
      await pass(11_000, known);
      expect(condition.state).toBe('healthy');
      await pass(30_000, known);
      expect(condition.state).toBe('healthy');
    }
  });

  it('loses to suspect', async () => {
    const { condition, pass, fail } = conditionOf();
    await pass(11_000, slow);
    fail();
    expect(condition.state).toBe('suspect');
  });
});

it('is healthy with no past after being cleared by hand', () => {
  const { condition, changes, fail, good } = conditionOf();
  fail('a');
  good();
  condition.takeOut('x');
  condition.clear('cleared by an operator');
  expect(changes.at(-1)).toEqual({ from: 'out', to: 'healthy', cause: 'cleared by an operator' });
  fail('a');
  good();
  expect(condition.state).toBe('recovering');
});
