import { describe, expect, it } from 'vitest';
import { playedJudge } from '../checksums/test-judges.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { PlayedState, playedEntries, playedScrub } from './test-played.ts';
import { noCounts } from './types.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const { signal } = new AbortController();

describe('the time of a pass', () => {
  it('is some time after the start, and then at its interval', async () => {
    const clock = new FakeClock();
    const { scrub, told } = playedScrub({ clock, options: { firstAfterMs: 600_000, everyMs: dayMs } });
    scrub.start();

    await clock.advance(599_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['started', 'finished 3']);
    await clock.advance(dayMs - 1);
    expect(told).toHaveLength(2);
    await clock.advance(1);
    expect(told).toHaveLength(4);
  });

  it('goes by what another process, or an earlier one, finished', async () => {
    const clock = new FakeClock();
    const state = new PlayedState();
    state.progress = { last: { ...noCounts, tookMs: 1, finishedAtMs: clock.now() - dayMs / 2 } };
    const { scrub, told } = playedScrub({ clock, state, options: { everyMs: dayMs } });
    scrub.start();

    await clock.advance(dayMs / 2 - 1);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['started', 'finished 3']);
  });

  it('is not put off for ever by a clock that was ahead', async () => {
    const clock = new FakeClock();
    const state = new PlayedState();
    state.progress = { last: { ...noCounts, tookMs: 1, finishedAtMs: clock.now() + 400 * dayMs } };
    const { scrub, told } = playedScrub({ clock, state });
    scrub.start();

    await clock.advance(1_000);

    expect(told).toEqual(['started', 'finished 3']);
  });

  it('begins within its hours only', async () => {
    const clock = new FakeClock(new Date(2026, 0, 1, 12).getTime());
    const hours = [{ fromMin: 22 * 60, toMin: 6 * 60 }];
    const { scrub, told } = playedScrub({ clock, options: { hours } });
    scrub.start();

    await clock.advance(10 * hourMs - 120_000);
    expect(told).toEqual([]);
    await clock.advance(240_000);
    expect(told).toEqual(['started', 'finished 3']);
  });

  it('pauses when its hours end, keeps its right meanwhile, and goes on the next night', async () => {
    const clock = new FakeClock(new Date(2026, 0, 1, 5, 59).getTime());
    const hours = [{ fromMin: 22 * 60, toMin: 6 * 60 }];
    const entries = playedEntries(10, 100_000);
    const { scrub, told, state } = playedScrub({ clock, entries, options: { hours, rateBytes: 2_500 } });
    scrub.start();

    await clock.advance(hourMs);
    expect(told).toEqual(['started']);
    expect(scrub.status.phase).toBe('paused');
    const { artifacts } = scrub.status.counts ?? noCounts;
    expect(artifacts).toBeGreaterThan(0);
    await clock.advance(10 * hourMs);
    expect(scrub.status.counts?.artifacts).toBe(artifacts);
    expect(clock.now() - (state.progress.holder?.heartbeatAtMs ?? 0)).toBeLessThanOrEqual(5_000);
    await clock.advance(6 * hourMs);
    expect(told).toEqual(['started', 'finished 10']);
  });

  it('is now when an operator says so, whatever hours and interval', async () => {
    const clock = new FakeClock(new Date(2026, 0, 1, 12).getTime());
    const hours = [{ fromMin: 22 * 60, toMin: 6 * 60 }];
    const { scrub, told } = playedScrub({ clock, options: { hours, firstAfterMs: 600_000 } });
    scrub.start();
    await clock.advance(1_000);

    scrub.startNow();
    await clock.advance(1_000);
    expect(told).toEqual(['started', 'finished 3']);
    await clock.advance(hourMs);
    expect(told).toHaveLength(2);
    scrub.startNow();
    await clock.advance(1_000);
    expect(told).toHaveLength(4);
  });

  it('is as long as its pace makes it, which a reload may change', async () => {
    const clock = new FakeClock();
    const entries = playedEntries(10, 1_000_000);
    const { scrub, told, current } = playedScrub({ clock, entries, options: { rateBytes: 100_000 } });
    scrub.start();

    await clock.advance(50_000);
    const half = scrub.status.counts?.artifacts ?? 0;
    expect(half).toBeGreaterThanOrEqual(4);
    expect(half).toBeLessThanOrEqual(5);
    current.options = { ...current.options, rateBytes: 1_000_000 };
    await clock.advance(4_000);
    expect(told).toEqual(['started']);
    await clock.advance(6_000);
    expect(told).toEqual(['started', 'finished 10']);
  });

  it('tells its progress on the way', async () => {
    const clock = new FakeClock();
    const entries = playedEntries(10, 1_000_000);
    const { scrub, events } = playedScrub({ clock, entries, options: { rateBytes: 100_000 } });
    const seen: number[] = [];
    events.on('progress', ({ artifacts }) => seen.push(artifacts));
    scrub.start();

    await clock.advance(60_001);

    expect(seen).toHaveLength(12);
    expect(seen.at(-1)).toBeGreaterThan(4);
  });

  it('goes on when it is stopped and started in one breath', async () => {
    const clock = new FakeClock();
    const entries = playedEntries(10, 1_000_000);
    const { scrub, told } = playedScrub({ clock, entries, options: { rateBytes: 100_000 } });
    scrub.start();
    await clock.advance(30_000);

    void scrub.stop();
    scrub.start();
    await clock.advance(200_000);

    expect(told).toEqual(['started', 'resumed', 'finished 10']);
  });

  it('is over when close resolves, though it was stopped before', async () => {
    const clock = new FakeClock();
    const held = Promise.withResolvers<void>();
    const { scrub } = playedScrub({ clock, onHash: () => held.promise });
    scrub.start();
    await clock.advance(1_000);
    void scrub.stop();
    let isClosed = false;
    const closed = scrub.close().then(() => {
      isClosed = true;
    });
    await clock.advance(10_000);
    expect(isClosed).toBe(false);

    held.resolve();
    await closed;
    expect(scrub.status.phase).toBe('stopped');
  });

  it('is told once to be impossible where nothing can be written, and begins when it can', async () => {
    const clock = new FakeClock();
    const state = new PlayedState();
    const { scrub, told } = playedScrub({ clock, state });
    state.refuses = Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
    scrub.start();

    await clock.advance(3 * hourMs);
    expect(told).toEqual([
      expect.stringMatching(/^failed nothing is scrubbed: .*EROFS.*make the folder writable/),
    ]);
    scrub.startNow();
    await clock.advance(1_000);
    expect(told).toHaveLength(2);
    state.refuses = undefined;
    await clock.advance(hourMs);
    expect(told.slice(2)).toEqual(['started', 'finished 3']);
  });

  it('comes again after the store could not be walked, and goes on where it was', async () => {
    const clock = new FakeClock();
    let walked = 0;
    const onWalk = (): void => {
      walked += 1;
      if (walked === 3) throw new Error('EIO: i/o error');
    };
    const { scrub, told } = playedScrub({ clock, onWalk });
    scrub.start();

    await clock.advance(1_000);
    expect(told).toEqual(['started', 'failed EIO: i/o error']);
    await clock.advance(600_000);
    expect(told.slice(2)).toEqual(['resumed', 'finished 3']);
  });

  it('asks for no more expectations in a second than allowed', async () => {
    const clock = new FakeClock();
    const judge = playedJudge(() => ({ kind: 'unproven', why: 'unreachable', reason: 'away' }));
    const { scrub } = playedScrub({ clock, judge, entries: playedEntries(100, 1) });
    const running = scrub.runOnce({ signal, lookupsPerSecond: 2 });

    await clock.advance(10_000);
    expect(judge.asked.length).toBeGreaterThanOrEqual(20);
    expect(judge.asked.length).toBeLessThanOrEqual(22);
    await clock.advance(40_000);
    expect((await running).unproven).toBe(100);
  });
});

describe('several processes on a folder', () => {
  const slow = { rateBytes: 1_000 };
  const entries = playedEntries(10, 100_000);

  it('do not scrub at the same time; who stops leaves the rest to the next', async () => {
    const clock = new FakeClock();
    const state = new PlayedState();
    const first = playedScrub({ clock, state, entries, instance: 'first', options: slow });
    const second = playedScrub({ clock, state, entries, instance: 'second' });
    first.scrub.start();
    await clock.advance(1);
    second.scrub.start();

    await clock.advance(350_000);
    expect(second.told).toEqual([]);
    expect(second.scrub.status.phase).toBe('elsewhere');
    const stopped = first.scrub.stop();
    await clock.advance(1);
    await stopped;
    expect(state.progress.holder).toBeUndefined();
    // One each 100 s, the first at once.
    expect(state.progress.pass?.counts.artifacts).toBe(4);

    await clock.advance(15_000);
    expect(second.told).toEqual(['resumed', 'finished 10']);
    expect(state.progress.pass).toBeUndefined();
    expect(state.progress.last).toMatchObject({ artifacts: 10 });
  });

  it('take over from one that is dead after a minute, though its clock was ahead', async () => {
    for (const heartbeatAtMs of [0, 50_000_000]) {
      const clock = new FakeClock();
      const state = new PlayedState();
      const cursor = { path: 'example.com/m6', version: 'v1.0.0' };
      const pass = { startedAtMs: clock.now(), cursor, counts: { ...noCounts, artifacts: 7 } };
      state.progress = { pass, holder: { instance: 'dead', heartbeatAtMs: clock.now() + heartbeatAtMs } };
      const { scrub, told } = playedScrub({ clock, state, entries });
      scrub.start();

      await clock.advance(60_000);
      expect(told).toEqual([]);
      await clock.advance(16_000);
      expect(told).toEqual(['resumed', 'finished 10']);
      await scrub.close();
    }
  });

  it('give up when another took over while they slept', async () => {
    const clock = new FakeClock();
    const { scrub, told, state } = playedScrub({ clock, entries, options: slow });
    scrub.start();
    await clock.advance(1_000);

    state.progress = {
      ...state.progress,
      holder: { instance: 'other', heartbeatAtMs: clock.now() + 10_000 },
    };
    await clock.advance(6_000);

    expect(told).toEqual(['started']);
    expect(scrub.status.phase).toBe('elsewhere');
    expect(state.progress.holder?.instance).toBe('other');
  });
});
