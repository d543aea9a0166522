/** An upstream that becomes suspect while it is waited for. */
import { describe, expect, it } from 'vitest';
import type { Plan } from './plan.ts';
import { planOver, Scripted, walkOver } from './test-walk.ts';

function lossy(): Partial<Plan> & { readonly listeners: Set<(name: string) => void> } {
  const listeners = new Set<(name: string) => void>();
  return {
    listeners,
    onLost: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

describe('Walk: an upstream lost meanwhile', () => {
  it('by failing in this very request starts one other, not two', async () => {
    const plan = lossy();
    const [a, b, c] = [new Scripted('a', []), new Scripted('b', []), new Scripted('c', [])];
    const { walk, clock } = walkOver(planOver([a, b, c], plan));
    void walk.next();
    for (const tell of plan.listeners) tell('a');
    a.say('reset');
    await clock.advance(1);
    expect([b.requests.length, c.requests.length]).toEqual([1, 0]);
    walk.close();
    expect(clock.timers).toBe(0);
  });

  it('gets company at once, and may still win', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', [])];
    const plan = lossy();
    const { walk, clock } = walkOver(planOver([a, b], plan));
    const answer = walk.next();
    for (const tell of plan.listeners) tell('b');
    await clock.advance(1);
    expect(b.requests).toHaveLength(0);
    for (const tell of plan.listeners) tell('a');
    await clock.advance(1);
    expect(b.requests).toHaveLength(1);
    a.say('ok');
    expect((await answer)?.upstream).toBe('a');
    walk.close();
    expect(plan.listeners.size).toBe(0);
    expect(clock.timers).toBe(0);
  });

  it('changes nothing while another one is asked too', async () => {
    const [a, b, c] = [new Scripted('a', []), new Scripted('b', []), new Scripted('c', [])];
    const plan = lossy();
    const { walk, clock } = walkOver(planOver([a, b, c], plan));
    void walk.next();
    for (const tell of plan.listeners) tell('a');
    await clock.advance(1);
    for (const tell of plan.listeners) tell('a');
    await clock.advance(1);
    expect([b.requests.length, c.requests.length]).toEqual([1, 0]);
    walk.close();
  });
});
