import { describe, expect, it } from 'vitest';
import { fakeCandidate, PlannerBench } from './test-planner.ts';

/** Two mirrors, and `direct` behind them. */
function bench(): PlannerBench {
  const direct = fakeCandidate('direct', { level: 3, isLastResort: true });
  return new PlannerBench([fakeCandidate('a'), fakeCandidate('b', { level: 2 }), direct]);
}

describe('the order with a last resort', () => {
  it.each(['slow', 'suspect', 'recovering'] as const)('has it after mirrors that are %s', (state) => {
    const planning = bench();
    expect(planning.order()).toBe('a b direct');
    planning.health('a').state = state;
    planning.health('b').state = state;
    expect(planning.order()).toBe('a b direct');
    expect(planning.switches.map(({ to }) => to)).toEqual(['a']);
  });

  it('has it alone while all others are out, and behind them at once when one is back', () => {
    const planning = bench();
    planning.order();
    for (const name of ['a', 'b'])
      Object.assign(planning.health(name), { state: 'out', hasTrialPlace: true });
    expect(planning.order()).toBe('direct | a b');
    planning.health('b').state = 'suspect';
    expect(planning.order()).toBe('b direct | a');
    expect(planning.switches.map(({ to }) => to)).not.toContain('direct');
  });

  it('has it first where the others were taken out', () => {
    const planning = bench();
    planning.controls = { ...planning.controls, takenOut: ['a', 'b'] };
    expect(planning.order()).toBe('direct');
  });

  it('has it last while frozen', () => {
    const planning = bench();
    planning.health('a').state = 'suspect';
    planning.controls = { ...planning.controls, isFrozen: true };
    expect(planning.order()).toBe('b a direct');
  });
});
