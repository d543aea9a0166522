import { describe, expect, it } from 'vitest';
import { Semaphore } from './semaphore.ts';

const never = new AbortController().signal;

describe('Semaphore', () => {
  it('grants waiting normal askers before waiting low ones', async () => {
    const semaphore = new Semaphore(1);
    const first = await semaphore.acquire(never);
    const order: string[] = [];
    const low = semaphore.acquire(never, 'low').then((release) => {
      order.push('low');
      release?.();
    });
    const normal = semaphore.acquire(never).then((release) => {
      order.push('normal');
      release?.();
    });

    first?.();
    await Promise.all([low, normal]);

    expect(order).toEqual(['normal', 'low']);
    expect(semaphore.active).toBe(0);
  });

  it('answers undefined at once when the queue is full', async () => {
    const semaphore = new Semaphore(1, 1);
    await semaphore.acquire(never);
    void semaphore.acquire(never);

    await expect(semaphore.acquire(never)).resolves.toBeUndefined();
  });

  it('forgets a waiter that gave up', async () => {
    const semaphore = new Semaphore(1);
    const first = await semaphore.acquire(never);
    const leaver = new AbortController();
    const waiting = semaphore.acquire(leaver.signal);

    leaver.abort(new Error('gone'));

    await expect(waiting).rejects.toThrow('gone');
    first?.();
    expect(semaphore.active).toBe(0);
    expect(semaphore.tryAcquire()).toBeTypeOf('function');
  });

  it('does not free a place twice when released twice', async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire(never);

    release?.();
    release?.();

    expect(semaphore.active).toBe(0);
  });
});
