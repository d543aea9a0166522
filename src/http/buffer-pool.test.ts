import { describe, expect, it } from 'vitest';
import { BufferPool } from './buffer-pool.ts';

describe('BufferPool', () => {
  it('lends smaller blocks the more is lent out, so that thousands of slow clients stay affordable', () => {
    const pool = new BufferPool();
    const lent = Array.from({ length: 4_000 }, () => pool.take());

    expect(lent[0]?.length).toBe(512 * 1024);
    expect(lent.at(-1)?.length).toBe(32 * 1024);
    expect(pool.lentBytes).toBeLessThan(160 * 1024 * 1024);
  });

  it('uses a block again only when nothing can still read it', () => {
    const pool = new BufferPool();
    const first = pool.take();
    pool.give(first, false);
    const second = pool.take();
    pool.give(second, true);
    const third = pool.take();

    expect(second).not.toBe(first);
    expect(third).toBe(second);
    pool.give(third, true);
    expect(pool.lentBytes).toBe(0);
  });
});
