import { describe, expect, it } from 'vitest';
import { fakeCandidate, PlannerBench } from './test-planner.ts';

function bench() {
  return new PlannerBench([
    fakeCandidate('cn'),
    fakeCandidate('io'),
    fakeCandidate('direct', { level: 10, isLastResort: true }),
  ]);
}

describe('a last resort', () => {
  it('stands behind everybody, and nobody’s slowness brings it in early', () => {
    const { plan, upstream, order } = bound(bench());
    expect(order()).toBe('cn io direct');
    expect(plan().hedgeMs(upstream('cn'))).toBeTypeOf('number');
    expect(plan().hedgeMs(upstream('io'))).toBeUndefined();
    expect(plan().patienceMs(upstream('io'))).toBe(30_000);
    expect(plan().patienceMs(upstream('cn'))).toBeLessThan(30_000);
  });

  it('has its own patience', () => {
    const { plan, upstream } = bound(bench());
    expect(plan({ lastHopeMs: 600_000 }).lastHopeMs).toBe(600_000);
    expect(plan().patienceMs(upstream('direct'))).toBeLessThan(30_000);
  });
});

describe('routes by name', () => {
  it('have a favourite each, and forget it with their route', () => {
    const { planner, plan } = bound(bench());
    plan({ routeName: 'team', upstreams: [fakeCandidate('hub')] });
    plan();
    expect([planner.favourite('team'), planner.favourite('public')]).toEqual(['hub', 'cn']);
    planner.keepRoutes(new Set(['public']));
    expect([planner.favourite('team'), planner.favourite('public')]).toEqual([undefined, 'cn']);
  });
});

function bound(of: PlannerBench) {
  return {
    planner: of.planner,
    plan: (more: Parameters<PlannerBench['plan']>[0] = {}) => of.plan(more),
    order: () => of.order(),
    upstream: (name: string) => of.upstream(name),
  };
}
