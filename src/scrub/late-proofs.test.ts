import { describe, expect, it, onTestFinished } from 'vitest';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { known, playedJudge } from '../checksums/test-judges.ts';
import type { Expectation } from '../checksums/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { keyOf } from '../store/contract/kit.ts';
import type { Heal } from './heal.ts';
import { type LateProofEvents, LateProofs } from './late-proofs.ts';
import { entryOf, modulesOf, setUp } from './test-scrub.ts';
import { WaitingStore } from './test-waiting.ts';

const away: Expectation = { kind: 'unproven', why: 'unreachable', reason: 'away' };
const absent: Expectation = { ...away, cause: 'absent', reason: '404' };
const hourMs = 3_600_000;
const right = `h1:${Buffer.alloc(32, 1).toString('base64')}`;
const other = `h1:${Buffer.alloc(32, 7).toString('base64')}`;
const zip = keyOf('example.com/a', 'v1.0.0', 'zip');

function waiting(h1: string | undefined = right, more: { heal?: Heal } = {}) {
  const store = new WaitingStore();
  store.add(zip, h1);
  const clock = new FakeClock();
  const told: string[] = [];
  const events = new EventBus<LateProofEvents>();
  const ingest = new EventBus<IngestEvents>();
  events.on('proven', ({ key, by }) => told.push(`proven ${key.path}.${key.ext} ${by}`));
  events.on('mismatch', ({ key, healedBy }) =>
    told.push(`mismatch ${key.path}.${key.ext} ${healedBy ?? '-'}`),
  );
  events.on('failed', ({ reason }) => told.push(`failed ${reason}`));
  const answers = { now: away };
  const judge = playedJudge(() => answers.now);
  const late = new LateProofs({ clock, store, judge, events, ingest, ...more });
  onTestFinished(() => late.close());
  return { store, clock, told, ingest, answers, judge, late };
}

describe('what waits for a proof', () => {
  it('is proven at the start, in a store that was opened anew', async () => {
    const [module] = modulesOf(1) as [FakeModule];
    const { folder, store } = await setUp([module], { unproven: 'unreachable' });
    await store.close();
    const fresh = await folder.open();
    const events = new EventBus<LateProofEvents>();
    const both = Promise.withResolvers<void>();
    const told: string[] = [];
    events.on('proven', ({ key }) => {
      told.push(key.ext);
      if (told.length === 2) both.resolve();
    });
    const judge = playedJudge((name) => known(name.endsWith('.zip') ? module.zipH1 : module.modH1));
    const late = new LateProofs({ clock: systemClock, store: fresh, judge, events });
    onTestFinished(() => late.close());

    late.start();
    await both.promise;

    expect(told.toSorted()).toEqual(['mod', 'zip']);
    expect((await entryOf(fresh, module))?.artifacts.zip?.proof).toMatchObject({ by: 'sumdb', recordId: 7 });
    const left: unknown[] = [];
    for await (const key of fresh.awaitingProof()) left.push(key);
    expect(left).toEqual([]);
  });

  it('is tried again after 10 s, then after ever longer, and at least every 10 minutes', async () => {
    const { late, judge, clock } = waiting();
    late.start();
    await clock.advance(0);
    expect(judge.asked).toHaveLength(1);

    let atMs = 0;
    for (const pauseMs of [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000]) {
      const before = judge.asked.length;
      atMs += pauseMs + 200;
      await clock.advance(atMs - 1 - clock.monotonic());
      expect(judge.asked).toHaveLength(before);
      await clock.advance(1);
      expect(judge.asked).toHaveLength(before + 1);
    }
  });

  it('is tried at once when the database is back', async () => {
    const { late, judge, clock, answers, told } = waiting();
    late.start();
    await clock.advance(5_000);
    answers.now = known(right);

    late.databaseSeen();
    await clock.advance(0);

    expect(told).toEqual(['proven example.com/a.zip sum.test #7']);
    await clock.advance(3_600_000);
    expect(judge.asked).toHaveLength(2);
  });

  it('keeps its pauses and its pace while a busy server sees head after head', async () => {
    const { late, judge, clock, store } = waiting();
    for (let number = 0; number < 9; number += 1)
      store.add(keyOf(`example.com/b${number}`, 'v1.0.0', 'zip'), right);
    late.start();
    const kicked = async (durationMs: number): Promise<number> => {
      const before = judge.asked.length;
      for (let leftMs = durationMs; leftMs > 0; leftMs -= 100) {
        late.databaseSeen();
        await clock.advance(100);
      }
      return judge.asked.length - before;
    };

    // No more than five a second, and one walk a minute besides those that its own pauses bring (10, 20, 40 s …).
    expect(await kicked(1_000)).toBeLessThanOrEqual(6);
    expect(await kicked(600_000)).toBeLessThanOrEqual(10 * (10 + 6));
  });

  it('is not tried at a new head when the database was there all the time', async () => {
    const { late, judge, clock, answers } = waiting();
    answers.now = absent;
    late.start();
    await clock.advance(5_000);
    expect(judge.asked).toHaveLength(1);

    late.databaseSeen();
    await clock.advance(60_000);
    late.databaseSeen();
    await clock.advance(60_000);

    expect(judge.asked).toHaveLength(1);
  });

  it('is tried again after hours when the database has no record of it', async () => {
    const { late, judge, clock, answers, told } = waiting();
    answers.now = absent;
    late.start();
    await clock.advance(6 * hourMs - 1);
    expect(judge.asked).toHaveLength(1);

    await clock.advance(610_000);
    expect(judge.asked).toHaveLength(2);
    answers.now = known(right);
    await clock.advance(6 * hourMs + 610_000);
    expect(told).toEqual(['proven example.com/a.zip sum.test #7']);
  });

  it('is tried at once when trusted lines have changed, whatever the database said', async () => {
    const { late, clock, answers, told } = waiting();
    answers.now = { kind: 'blocked', reason: '404', cause: 'absent' };
    late.start();
    await clock.advance(5_000);
    answers.now = known(right);

    late.linesChanged();
    await clock.advance(0);

    expect(told).toEqual(['proven example.com/a.zip sum.test #7']);
  });

  it('is withdrawn and healed when it is not what it should be', async () => {
    const healed: (string | undefined)[] = [];
    const heal: Heal = async (_key, { h1 }) => {
      healed.push(h1);
      return { outcome: 'healed', source: 'mirror' };
    };
    const { late, answers, clock, told, store } = waiting(right, { heal });
    answers.now = known(other);
    late.start();
    await clock.advance(0);

    expect(told).toEqual(['mismatch example.com/a.zip mirror']);
    expect(healed).toEqual([other]);
    expect(store.withdrawn).toMatchObject([{ cause: 'mismatch', expectedH1: other, foundH1: right }]);
  });

  it('is left to the scrub when nobody knows its hash', async () => {
    const { late, answers, clock, told, store } = waiting();
    store.add(zip, undefined);
    answers.now = known(right);
    late.start();
    await clock.advance(3_600_000);

    expect(told).toEqual([]);
    expect(store.withdrawn).toEqual([]);
  });

  it('waits no more when checksums were switched off for it', async () => {
    const { late, answers, clock, store } = waiting();
    answers.now = { kind: 'unproven', why: 'off', reason: 'off' };
    late.start();
    await clock.advance(0);

    expect(store.records.get(zip)?.unproven).toBe('off');
  });

  it('waits on while it may not be published any more', async () => {
    const { late, answers, clock, store, judge } = waiting();
    answers.now = { kind: 'blocked', reason: 'required' };
    late.start();
    await clock.advance(11_000);

    expect(judge.asked).toHaveLength(2);
    expect(store.withdrawn).toEqual([]);
  });

  it('is found soon after it was published', async () => {
    const { late, answers, clock, ingest, store, told } = waiting();
    store.records.clear();
    answers.now = known(right);
    late.start();
    await clock.advance(1_000);
    store.add(zip, right);
    const trust = { unproven: 'unreachable' } as const;

    ingest.emit('published', { key: zip, sizeBytes: 1, source: 'a', byLookAhead: false, trust });
    await clock.advance(9_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['proven example.com/a.zip sum.test #7']);
  });

  it('is not forgotten when it was published while others were tried', async () => {
    const { late, answers, clock, ingest, store, told } = waiting();
    const held = Promise.withResolvers<void>();
    store.afterWalk = held.promise;
    answers.now = known(right);
    late.start();
    await clock.advance(0);
    const later = keyOf('example.com/b', 'v1.0.0', 'zip');
    store.add(later, right);
    const trust = { unproven: 'unreachable' } as const;
    ingest.emit('published', { key: later, sizeBytes: 1, source: 'a', byLookAhead: false, trust });
    held.resolve();

    await clock.advance(10_000);

    expect(told).toHaveLength(2);
  });
});
