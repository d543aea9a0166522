import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Admission, FailureLimits, foldedAccount, type Trial } from './failure-limits.ts';
import { RateLimiter } from './rate-limiter.ts';
import { TokenBuckets } from './token-buckets.ts';

const never = new AbortController().signal;

describe('TokenBuckets', () => {
  it('gives a burst, then one after another', async () => {
    const clock = new FakeClock();
    const buckets = new TokenBuckets(clock, { perSecond: 2, burst: 3 });
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 500]);
    expect(buckets.take('b')).toBe(0);
    await clock.advance(499);
    expect(buckets.take('a')).toBe(1);
    await clock.advance(1);
    expect(buckets.take('a')).toBe(0);
    await clock.advance(60_000);
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 500]);
  });

  it('forgets the least recently used', () => {
    const buckets = new TokenBuckets(new FakeClock(), { perSecond: 1, burst: 1 }, 100);
    for (let index = 0; index < 100_000; index += 1) buckets.take(`key ${index}`);
    expect(buckets.size).toBe(100);
  });
});

describe('RateLimiter', () => {
  it('does not count the repeat of a request within a second', async () => {
    const clock = new FakeClock();
    const limiter = new RateLimiter(clock, { perSecond: 0.1, burst: 2 });
    expect([limiter.take('a', 'GET /x'), limiter.take('a', 'GET /x')]).toEqual([0, 0]);
    expect(limiter.take('a', 'GET /y')).toBe(0);
    expect(limiter.take('a', 'GET /z')).toBe(10_000);
    expect(limiter.take('a', 'GET /z')).toBe(10_000);
    expect(limiter.take('b', 'GET /z')).toBe(0);
    await clock.advance(1_000);
    expect(limiter.take('a', 'GET /x')).toBe(9_000);
    expect(limiter.take('a', undefined)).toBe(9_000);
  });
});

describe('a request that is repeated without end', () => {
  it('is let through twice for each that is paid for', () => {
    const limiter = new RateLimiter(new FakeClock(), { perSecond: 1, burst: 3 });
    const waits = Array.from({ length: 100 }, () => limiter.take('a', 'GET /x'));
    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(6);
    expect(waits.slice(6).every((waitMs) => waitMs === 1_000)).toBe(true);
  });
});

describe('an account', () => {
  it.each([
    'Alice',
    ' alice ',
    'ALICE\t',
    '\u{ff41}lice',
    'al\u{ad}ice',
    'a\u{200b}lice',
    '\u{e1}lice',
    'a\u{301}lice',
  ])('is one, however it is spelled: %j', (spelling) => {
    expect(foldedAccount(spelling)).toBe('alice');
  });

  it('is another one where the names differ', () => {
    const names = ['alice', 'alice2', 'al ice', 'bob', '\u{738b}', '\u{674e}'];
    expect(new Set(names.map(foldedAccount)).size).toBe(names.length);
  });
});

describe('FailureLimits', () => {
  async function fail(limits: FailureLimits, trial: Trial): Promise<boolean> {
    const answer = await limits.admit(trial, never);
    if (answer.isAdmitted) answer.settle(true);
    return answer.isAdmitted;
  }

  it('takes ten wrong ones a minute from an address', async () => {
    const clock = new FakeClock();
    const limits = new FailureLimits(clock);
    for (let count = 0; count < 10; count += 1) {
      expect(await fail(limits, { address: 'a', account: `user ${count}` })).toBe(true);
    }
    expect(await limits.admit({ address: 'a', account: 'x' }, never)).toEqual({
      isAdmitted: false,
      retryAfterMs: 6_000,
      by: 'address',
    });
    expect(limits.lockedMs('a')).toBe(6_000);
    expect(limits.lockedMs('b')).toBe(0);
    await clock.advance(6_000);
    expect(await fail(limits, { address: 'a', account: 'x' })).toBe(true);
    expect(await fail(limits, { address: 'a', account: 'x' })).toBe(false);
  });

  it('takes ten wrong ones a minute for an account, from wherever', async () => {
    const limits = new FailureLimits(new FakeClock());
    for (let count = 0; count < 10; count += 1) {
      expect(await fail(limits, { address: `a${count}`, account: 'alice' })).toBe(true);
    }
    expect(await limits.admit({ address: 'new', account: 'alice' }, never)).toMatchObject({ by: 'account' });
    expect(await fail(limits, { address: 'new', account: 'bob' })).toBe(true);
    // Who was proven from here before is asked without an account.
    expect(await fail(limits, { address: 'new', account: undefined })).toBe(true);
  });

  it('does not count good ones', async () => {
    const limits = new FailureLimits(new FakeClock());
    for (let count = 0; count < 100; count += 1) {
      const answer = await limits.admit({ address: 'a', account: 'alice' }, never);
      expect(answer.isAdmitted).toBe(true);
      if (answer.isAdmitted) answer.settle(false);
    }
  });

  it('keeps the owner of an account out for 15 minutes at most, however long the attack lasts', async () => {
    const clock = new FakeClock();
    const limits = new FailureLimits(clock);
    let firstAllowedMs: number | undefined;
    for (let second = 0; second < 30 * 60; second += 1) {
      // Many addresses, so that none of them is at its own limit.
      for (let from = 0; from < 3; from += 1) {
        await fail(limits, { address: `bot ${(second * 3 + from) % 600}`, account: 'alice' });
      }
      if (second > 10 && firstAllowedMs === undefined) {
        const answer = await limits.admit({ address: 'home', account: 'alice' }, never);
        if (answer.isAdmitted) {
          answer.settle(false);
          firstAllowedMs = clock.monotonic();
        }
      }
      await clock.advance(1_000);
    }
    expect(firstAllowedMs).toBeGreaterThan(60_000);
    expect(firstAllowedMs).toBeLessThanOrEqual(15 * 60_000 + 20_000);
  });

  it('lets a thousand at once no further than ten, and waits for those that may be good', async () => {
    const limits = new FailureLimits(new FakeClock());
    const admitted: Admission[] = [];
    const asked = Array.from({ length: 12 }, async () => {
      const answer = await limits.admit({ address: 'a', account: undefined }, never);
      if (answer.isAdmitted) admitted.push(answer);
      return answer.isAdmitted;
    });
    await Promise.all(asked.slice(0, 10));
    expect(admitted).toHaveLength(10);
    expect(limits.lockedMs('a')).toBe(0);
    admitted[0]?.settle(false);
    await Promise.race(asked.slice(10));
    expect(admitted).toHaveLength(11);
    for (const admission of admitted) admission.settle(true);
    expect(await Promise.all(asked)).toEqual([...Array.from({ length: 11 }, () => true), false]);
    expect(limits.lockedMs('a')).toBeGreaterThan(0);
  });

  it('lets who waits leave', async () => {
    const limits = new FailureLimits(new FakeClock(), 1);
    await limits.admit({ address: 'a', account: undefined }, never);
    const gone = new AbortController();
    const waiting = limits.admit({ address: 'a', account: undefined }, gone.signal);
    gone.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
  });

  it('forgets the least recently used', async () => {
    const limits = new FailureLimits(new FakeClock(), 1, 100);
    for (let count = 0; count < 5_000; count += 1) {
      await fail(limits, { address: `a${count}`, account: `b${count % 300}` });
    }
    expect(limits.size).toBeLessThanOrEqual(300);
  });
});
