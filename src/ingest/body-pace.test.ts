import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import { BodyPace, type PaceLimits, type PaceStep } from './body-pace.ts';
import { FedUpstream } from './test-source.ts';

const limits: PaceLimits = { idleMs: 15_000, minRateBytes: 4096 };

async function start(more: Partial<PaceLimits & { answerIdleMs: number }> = {}) {
  const clock = new FakeClock();
  const source = new FedUpstream('a');
  const { signal } = new AbortController();
  const asked = source.fetch({ target: '/x', answerClass: 'zip', signal });
  source.say({ contentLength: 10_000_000 });
  const { answerIdleMs, ...rest } = more;
  const answer: UpstreamAnswer = {
    ...(await asked),
    ...(answerIdleMs === undefined ? {} : { idleMs: answerIdleMs }),
  };
  return { clock, source, pace: new BodyPace(answer, clock, { ...limits, ...rest }) };
}

/** What `next` has come to so far. */
function follow(step: Promise<PaceStep>): { now: () => unknown } {
  let seen: unknown = 'waiting';
  step.then(
    (value) => (seen = value.kind === 'slow' ? value.cause : value.kind),
    (error: unknown) => (seen = String(error)),
  );
  return { now: () => seen };
}

describe('BodyPace', () => {
  it('passes bytes and the end, and leaves no timer behind', async () => {
    const { clock, source, pace } = await start();
    source.give(Buffer.from('abc'), 'end');

    expect(await pace.next()).toEqual({ kind: 'bytes', chunk: Buffer.from('abc') });
    expect(await pace.next()).toEqual({ kind: 'end' });
    expect(clock.timers).toBe(0);
  });

  it('tells once of a body that drips, after the first moments and a whole window', async () => {
    const { clock, source, pace } = await start();
    let step = follow(pace.next());
    for (let second = 1; second <= 6; second += 1) {
      await clock.advance(1000);
      expect(step.now()).toBe('waiting');
      source.give(Buffer.alloc(1000));
      await clock.advance(0);
      expect(step.now()).toBe('bytes');
      step = follow(pace.next());
    }
    await clock.advance(1000);

    expect(step.now()).toMatch(/^slower than 4096 bytes\/s at byte 6000 \(\d+ bytes\/s\)$/);
    step = follow(pace.next());
    await clock.advance(10_000);
    expect(step.now()).toBe('waiting');
  });

  it('tells of a stall by its byte, long before it ends the body', async () => {
    const { clock, source, pace } = await start();
    source.give(Buffer.alloc(1_000_000));
    await pace.next();
    const step = follow(pace.next());
    await clock.advance(8_000);

    expect(step.now()).toBe('stalled at byte 1000000');
  });

  it('leaves a body alone that is quick enough', async () => {
    const { clock, source, pace } = await start();
    for (let second = 0; second < 30; second += 1) {
      source.give(Buffer.alloc(4200));
      const step = follow(pace.next());
      await clock.advance(0);
      expect(step.now()).toBe('bytes');
      const wait = follow(pace.next());
      await clock.advance(1000);
      expect(wait.now()).toBe('waiting');
      source.give(Buffer.alloc(100));
      await clock.advance(0);
      expect(wait.now()).toBe('bytes');
    }
  });

  it('does not count the time in which nobody was ready to read', async () => {
    const { clock, source, pace } = await start();
    source.give(Buffer.alloc(10));
    await pace.next();
    await clock.advance(60_000);
    const step = follow(pace.next());
    await clock.advance(5_000);
    source.give(Buffer.alloc(10));
    await clock.advance(0);

    expect(step.now()).toBe('bytes');
  });

  it('says nothing of the rate when that is off, and fails after the idle time all the same', async () => {
    const { clock, pace } = await start({ minRateBytes: 0 });
    const step = follow(pace.next());
    await clock.advance(14_000);
    expect(step.now()).toBe('waiting');
    await clock.advance(4_000);

    expect(step.now()).toContain('stalled at byte 0: nothing for 15 s');
    expect(clock.timers).toBe(0);
  });

  it('fails after the idle time of the answer where it has its own', async () => {
    const { clock, pace } = await start({ answerIdleMs: 400 });
    const step = follow(pace.next());
    await clock.advance(300);
    expect(step.now()).toBe('waiting');
    await clock.advance(200);

    expect(step.now()).toContain('nothing for 0.4 s');
  });

  it('can be interrupted without losing a byte, and judges anew when forgiven', async () => {
    const { clock, source, pace } = await start();
    const waiting = follow(pace.next());
    await clock.advance(8_000);
    expect(waiting.now()).toBe('stalled at byte 0');
    const interrupted = follow(pace.next());
    pace.interrupt();
    await clock.advance(0);
    expect(interrupted.now()).toBe('interrupted');
    pace.forgive();
    const again = follow(pace.next());
    await clock.advance(6_000);
    expect(again.now()).toBe('stalled at byte 0');
    source.give(Buffer.from('x'));
    expect(await pace.next()).toEqual({ kind: 'bytes', chunk: Buffer.from('x') });
  });

  it('tells nothing for a while where it is forgiven for that long, then judges the last window', async () => {
    const { clock, pace } = await start({ idleMs: 60_000 });
    const waiting = follow(pace.next());
    await clock.advance(8_000);
    expect(waiting.now()).toBe('stalled at byte 0');
    const again = follow(pace.next());
    pace.forgive(6_500);
    await clock.advance(6_000);
    expect(again.now()).toBe('waiting');
    await clock.advance(1_000);
    expect(again.now()).toBe('stalled at byte 0');
  });
});
