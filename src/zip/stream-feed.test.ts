/** The order of what one stream tells its thread, with no thread: when it posts, when it reads, when it posts again. */
import { describe, expect, it } from 'vitest';
import type { FeedLane } from './stream-feed.ts';
import { blockBytes, StreamFeed } from './stream-feed.ts';
import type { StreamOrder } from './stream-protocol.ts';

function played(maxBlocks: number) {
  const orders: string[] = [];
  const blocks: ArrayBuffer[] = [];
  const state = { readableBytes: 0, held: 0, waiting: 0 };
  const lane: FeedLane = {
    post(order: StreamOrder) {
      if (order.kind === 'bytes') {
        blocks.push(order.block);
        orders.push(`bytes ${order.length}`);
      } else if (order.kind === 'read') orders.push(`read ${order.fromByte} to ${order.toByte}`);
      else orders.push(order.kind);
    },
    takeBlock(held) {
      if (held >= maxBlocks) return undefined;
      state.held += 1;
      return new ArrayBuffer(blockBytes);
    },
    freeBlock: () => {
      state.held -= 1;
    },
    waiting: (by) => {
      state.waiting += by;
    },
    staged: () => ({ file: '/staged', readableBytes: state.readableBytes }),
  };
  const feed = new StreamFeed(1, lane);
  return {
    feed,
    orders,
    state,
    taken: (): void => {
      const block = blocks.shift();
      if (block !== undefined) feed.onNotice({ kind: 'taken', id: 1, block });
    },
    hasRead: () => feed.onNotice({ kind: 'read', id: 1 }),
  };
}

const mebibytes = (count: number): Buffer => Buffer.alloc(count * blockBytes);

describe('StreamFeed', () => {
  it('gathers small pieces into blocks and posts what is left at the end', async () => {
    const { feed, orders, state } = played(10);
    for (let count = 0; count < 30; count += 1) feed.push(Buffer.alloc(100_000));
    const end = feed.finish();

    expect(orders).toEqual([
      `bytes ${blockBytes}`,
      `bytes ${blockBytes}`,
      `bytes ${3_000_000 - 2 * blockBytes}`,
      'end',
    ]);
    expect(state.waiting).toBe(1);
    feed.onNotice({ kind: 'done', id: 1, facts: undefined });
    expect(await end).toBeUndefined();
    expect(state).toMatchObject({ waiting: 0, held: 0 });
  });

  it('has the file read where the bytes come too fast, one order at a time, and posts again once it is level', () => {
    const { feed, orders, state, taken, hasRead } = played(1);
    feed.push(mebibytes(2));
    expect(orders).toEqual([`bytes ${blockBytes}`]);

    state.readableBytes = 2 * blockBytes;
    taken();
    feed.push(mebibytes(3));
    expect(orders.slice(1)).toEqual([`read ${blockBytes} to ${2 * blockBytes}`]);

    state.readableBytes = 5 * blockBytes;
    hasRead();
    expect(orders.slice(2)).toEqual([`read ${2 * blockBytes} to ${5 * blockBytes}`]);

    hasRead();
    feed.push(mebibytes(1));
    expect(orders.slice(3)).toEqual([`bytes ${blockBytes}`]);
  });

  it('posts again behind one more read once all that is missing is written', () => {
    const { feed, orders, state, taken, hasRead } = played(1);
    feed.push(mebibytes(1));
    feed.push(Buffer.alloc(10));
    taken();
    feed.push(Buffer.alloc(10));
    expect(orders).toEqual([`bytes ${blockBytes}`]);

    state.readableBytes = blockBytes + 20;
    feed.push(mebibytes(1));
    expect(orders.slice(1)).toEqual([`read ${blockBytes} to ${blockBytes + 20}`, `bytes ${blockBytes}`]);

    feed.push(Buffer.alloc(10));
    void feed.finish();
    state.readableBytes += blockBytes + 10;
    hasRead();
    taken();
    expect(orders.slice(3)).toEqual([`read ${2 * blockBytes + 20} to ${2 * blockBytes + 30}`]);
    hasRead();
    expect(orders.at(-1)).toBe('end');
  });

  it('has a small rest read at the end only, then says that it ends, once', async () => {
    const { feed, orders, state, taken, hasRead } = played(1);
    feed.push(mebibytes(1));
    feed.push(Buffer.alloc(10));
    state.readableBytes = blockBytes + 10;
    taken();
    expect(orders).toHaveLength(1);

    const end = feed.finish();
    hasRead();
    expect(orders.slice(1)).toEqual([`read ${blockBytes} to ${blockBytes + 10}`, 'end']);
    feed.onNotice({ kind: 'done', id: 1, facts: undefined });
    expect(await end).toBeUndefined();
  });

  it('gives up at the end when not all of it can be read', async () => {
    const { feed, orders, state } = played(1);
    feed.push(mebibytes(2));
    state.readableBytes = 2 * blockBytes - 1;

    expect(await feed.finish()).toBeUndefined();
    expect(orders.at(-1)).toBe('close');
  });

  it('tells nothing more once it is closed, and holds what the thread has until that says so', () => {
    const { feed, orders, state, taken } = played(10);
    feed.push(mebibytes(1));
    feed.push(Buffer.alloc(10));
    feed.close();
    feed.push(mebibytes(1));
    expect(orders).toEqual([`bytes ${blockBytes}`, 'close']);
    expect(state.held).toBe(1);

    taken();
    expect(state.held).toBe(0);
  });
});
