import { describe, expect, it } from 'vitest';
import { type Controls, noControls } from '../health/types.ts';
import { applyOrder } from './controls-order.ts';

const facts = { nowMs: 1_000, names: ['cn', 'io'] };

describe('applyOrder', () => {
  it.each<[string, Record<string, unknown>, Partial<Controls>]>([
    ['offline for good', { action: 'mode', mode: 'offline' }, { mode: 'offline' }],
    [
      'offline for a time',
      { action: 'mode', mode: 'offline', forMs: 500 },
      { mode: 'offline', modeUntilMs: 1_500 },
    ],
    ['out', { action: 'out', upstream: 'cn' }, { takenOut: ['cn'] }],
    ['pin', { action: 'pin', upstream: 'io' }, { pinned: 'io' }],
    ['freeze', { action: 'freeze' }, { isFrozen: true }],
  ])('%s', (_name, order, expected) => {
    expect(applyOrder(noControls, order, facts)).toEqual({ ...noControls, ...expected });
  });

  it.each<[string, Partial<Controls>, Record<string, unknown>]>([
    ['normal ends offline', { mode: 'offline', modeUntilMs: 9 }, { action: 'mode', mode: 'normal' }],
    ['in ends out', { takenOut: ['cn'] }, { action: 'in', upstream: 'cn' }],
    ['unpin', { pinned: 'cn' }, { action: 'unpin' }],
    ['unfreeze', { isFrozen: true }, { action: 'unfreeze' }],
  ])('%s', (_name, before, order) => {
    expect(applyOrder({ ...noControls, ...before }, order, facts)).toEqual(noControls);
  });

  it('keeps out and pin apart: one undoes the other', () => {
    const out = applyOrder({ ...noControls, pinned: 'cn' }, { action: 'out', upstream: 'cn' }, facts);
    expect(out).toMatchObject({ takenOut: ['cn'], pinned: undefined });
    expect(applyOrder(out, { action: 'pin', upstream: 'cn' }, facts)).toMatchObject({
      takenOut: [],
      pinned: 'cn',
    });
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{}, /unknown order/],

    [{ action: 'mode', mode: 'quick' }, /normal, offline or direct/],
    [{ action: 'mode', mode: 'offline', forMs: Number.NaN }, /30 days/],
    [{ action: 'mode', mode: 'offline', forMs: 31 * 86_400_000 }, /30 days/],
    [{ action: 'out' }, /name an upstream/],
    [{ action: 'out', upstream: 'nobody' }, /there are: cn, io/],
    [{ action: 'in', upstream: 'cn' }, /was not taken out/],
  ])('refuses %j', (order, expected) => {
    expect(() => applyOrder(noControls, order, facts)).toThrow(expected);
  });

  it('lets an upstream in again that is no longer configured', () => {
    const before = { ...noControls, takenOut: ['gone'] };
    expect(applyOrder(before, { action: 'in', upstream: 'gone' }, facts)).toEqual(noControls);
  });
});
