import { expect, it, onTestFinished } from 'vitest';
import { startSumdbLog } from '../../test/kit/sumdb-log.ts';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import { askerOf, lookUp, MemoryStore } from '../sumdb/test-database.ts';
import { createHttpUpstream } from '../upstream/http-upstream.ts';
import { plainPlan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { Prover } from './prover.ts';
import type { UpstreamSet } from './upstream-set.ts';

function upstreamAt(url: string): Upstream {
  const upstream = createHttpUpstream({ name: 'own', url, version: '1', instanceId: 'me' });
  onTestFinished(() => upstream.close());
  return upstream;
}

/** As far as the prover looks at a set. */
function setOf(name: string, verifierKey: string, direct: readonly Upstream[]): UpstreamSet {
  return { databases: [{ name, verifierKey, direct }], proving: name } as unknown as UpstreamSet;
}

async function proverOver(store: MemoryStore) {
  const log = await startSumdbLog({ pad: 300 });
  onTestFinished(log.close);
  const set = setOf(log.name, log.verifierKey, [upstreamAt(log.url)]);
  const plan = (upstreams: readonly Upstream[]) =>
    plainPlan({ upstreams, answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 30_000 });
  const make = () => {
    const prover = new Prover(
      {
        clock: systemClock,
        store: store as unknown as Store,
        trusted: { ready: Promise.resolve(), find: () => undefined },
        sumdb: new EventBus(),
        checksums: new EventBus(),
        plan: () => plan([]),
        directPlan: (direct) => plan([direct]),
        isOffline: () => false,
      },
      set,
    );
    onTestFinished(() => prover.close());
    return prover;
  };
  const database = (prover: Prover) => {
    const found = prover.entries[0]?.database;
    if (found === undefined) throw new Error('no database');
    return found;
  };
  return { log, make, database };
}

it('a reload keeps what a database knows and the disk did not take, and asks the new addresses', async () => {
  const store = new MemoryStore();
  const { log, make, database } = await proverOver(store);
  const prover = make();
  const before = database(prover);
  await before.head(askerOf(), 0);
  store.fails.swap = new Error('ENOSPC');
  log.lie({ kind: 'fork', fromSize: 100 });
  const { path, version } = paddingModule(200);
  await expect(lookUp(before, { path, version })).rejects.toMatchObject({ code: 'forked' });

  const elsewhere = await startSumdbLog({ pad: 300 });
  onTestFinished(elsewhere.close);
  prover.adopt(setOf(log.name, log.verifierKey, [upstreamAt(elsewhere.url)]));
  const after = database(prover);
  expect(store.states.has('fork')).toBe(false);
  expect(prover.figures).toMatchObject([{ isForked: true, treeSize: 300 }]);
  await expect(lookUp(after, { path, version })).rejects.toMatchObject({ code: 'forked' });
  log.reset();
  await after.tile({ level: 0, n: 0, width: 256 }, askerOf());
  expect([log.requests.length, elsewhere.count(/tile/)]).toEqual([0, 1]);
});

it('a reload with another key begins with another client', async () => {
  const { log, make, database } = await proverOver(new MemoryStore());
  const prover = make();
  const before = database(prover);
  const other = await startSumdbLog({ key: 'other' });
  onTestFinished(other.close);
  prover.adopt(setOf(log.name, other.verifierKey, []));
  expect(database(prover)).not.toBe(before);
});

it('figures tell what is kept before anybody has asked', async () => {
  const store = new MemoryStore();
  const { make, database } = await proverOver(store);
  await database(make()).head(askerOf(), 0);
  const next = make();
  await expect.poll(() => next.figures[0]?.treeSize).toBe(300);
});
