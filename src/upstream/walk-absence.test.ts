/** After an absence, how long the silent ones are waited for. */
import { describe, expect, it } from 'vitest';
import { codes, planOver, Scripted, walkOver } from './test-walk.ts';

/** The first one is silent, the second says absent as soon as it is asked. */
function silentBesideAbsent(isKnown: (() => Promise<boolean>) | undefined, isStrict = false) {
  const silent = new Scripted('silent', [], isStrict);
  const absent = new Scripted('absent', ['absent']);
  const upstreams = isStrict ? [absent, silent] : [silent, absent];
  const { walk, clock } = walkOver(planOver(upstreams), isKnown === undefined ? {} : { isKnown });
  let ended = false;
  void walk.next().then(() => {
    ended = true;
  });
  return { walk, clock, silent, hasEnded: () => ended };
}

describe('Walk: after an absence', () => {
  it('gives those who are silent about a module nobody knows their patience only, and does not blame them', async () => {
    const { walk, clock, silent, hasEnded } = silentBesideAbsent(() => Promise.resolve(false));
    await clock.advance(1_000);
    expect(hasEnded()).toBe(true);
    expect(codes(walk)).toEqual(['silent timeout', 'absent absent']);
    expect(silent.givenUp).toBe('aborted');
    expect(clock.timers).toBe(0);
  });

  it.each([
    ['is known', () => Promise.resolve(true)],
    ['may be known, for all that can be told', undefined],
    ['cannot be looked up', () => Promise.reject(new Error('the disk is gone'))],
  ])('waits until the last hope for a module that %s', async (_name, isKnown) => {
    const { walk, clock, silent, hasEnded } = silentBesideAbsent(isKnown);
    await clock.advance(60_000);
    expect(hasEnded()).toBe(false);
    await clock.advance(1_000);
    expect(hasEnded()).toBe(true);
    expect(codes(walk)).toEqual(['silent timeout', 'absent absent']);
    expect(silent.givenUp).toBe('timeout');
  });

  it("lets one that keeps Go's rule have its say", async () => {
    const { clock, hasEnded } = silentBesideAbsent(() => Promise.resolve(false), true);
    await clock.advance(59_000);
    expect(hasEnded()).toBe(false);
  });
});
