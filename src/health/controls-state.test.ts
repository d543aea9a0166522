import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  activeControls,
  parseControls,
  pin,
  putIn,
  takeOut,
  unpin,
  withFreeze,
  withMode,
} from './controls-state.ts';
import { noControls } from './types.ts';

const nowMs = Date.UTC(2026, 0, 1);

describe('parseControls', () => {
  it('gives back what was written', () => {
    const controls = withFreeze(pin(takeOut(withMode(noControls, 'offline', nowMs + 1), 'a'), 'b'), true);

    expect(parseControls(JSON.parse(JSON.stringify(controls)), nowMs)).toEqual(controls);
  });

  it('takes what it does not understand as not ordered', () => {
    for (const value of [
      undefined,
      null,
      1,
      'offline',
      [],
      {},
      { mode: 'sideways', takenOut: 'a', isFrozen: 1 },
    ]) {
      expect(parseControls(value, nowMs)).toEqual(noControls);
    }
    const odd = {
      mode: 'offline',
      modeUntilMs: 'soon',
      takenOut: ['a', 7, '', 'a', 'x'.repeat(501)],
      pinned: 'a',
    };
    expect(parseControls(odd, nowMs)).toEqual({ ...noControls, mode: 'offline', takenOut: ['a'] });
  });

  it('is bounded and well-formed for any JSON', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.record({
            mode: fc.oneof(fc.constant('offline'), fc.jsonValue()),
            modeUntilMs: fc.oneof(fc.double(), fc.jsonValue()),
            takenOut: fc.oneof(fc.array(fc.string(), { maxLength: 300 }), fc.jsonValue()),
            pinned: fc.jsonValue(),
            isFrozen: fc.jsonValue(),
          }),
        ),
        (value) => {
          const controls = parseControls(value, nowMs);
          expect(['normal', 'offline']).toContain(controls.mode);
          expect(controls.takenOut.length).toBeLessThanOrEqual(100);
          expect(controls.modeUntilMs === undefined || controls.modeUntilMs > nowMs).toBe(true);
          expect(controls.pinned === undefined || !controls.takenOut.includes(controls.pinned)).toBe(true);
          expect(parseControls(controls, nowMs)).toEqual(controls);
        },
      ),
    );
  });
});

describe('modes', () => {
  it('end at their time, by the wall clock, and leave the other orders', () => {
    const controls = takeOut(withMode(noControls, 'offline', nowMs + 1_000), 'a');

    expect(activeControls(controls, nowMs + 999)).toBe(controls);
    expect(activeControls(controls, nowMs + 1_000)).toEqual({ ...noControls, takenOut: ['a'] });
    expect(parseControls(controls, nowMs + 1_000).mode).toBe('normal');
    expect(activeControls(withMode(noControls, 'offline', undefined), nowMs + 1e12).mode).toBe('offline');
    expect(withMode(controls, 'normal', nowMs + 5)).toMatchObject({ mode: 'normal', modeUntilMs: undefined });
  });
});

describe('taking out and pinning', () => {
  it('exclude each other, the last order counts', () => {
    expect(takeOut(pin(noControls, 'a'), 'a')).toEqual({ ...noControls, takenOut: ['a'] });
    expect(pin(takeOut(noControls, 'a'), 'a')).toEqual({ ...noControls, pinned: 'a' });
    expect(unpin(pin(pin(noControls, 'a'), 'b'))).toEqual(noControls);
    expect(putIn(takeOut(takeOut(noControls, 'a'), 'b'), 'a').takenOut).toEqual(['b']);
    expect(takeOut(pin(noControls, 'b'), 'a').pinned).toBe('b');
  });

  it('forgets the oldest of more than a hundred', () => {
    let controls = noControls;
    for (let nth = 0; nth < 150; nth += 1) controls = takeOut(controls, `u${nth}`);

    expect(controls.takenOut.length).toBe(100);
    expect(controls.takenOut.at(-1)).toBe('u149');
  });
});
