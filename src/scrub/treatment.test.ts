import { describe, expect, it } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { keyOf } from '../store/contract/kit.ts';
import { ArtifactCheck } from './artifact-check.ts';
import { Pace } from './pace.ts';
import { Repair } from './repair.ts';
import { modulesOf, newHasher, newVerifier, setUp } from './test-scrub.ts';
import { type Treated, Treatment } from './treatment.ts';
import type { ScrubEvents } from './types.ts';

async function treating(isRepairing: boolean) {
  const { store, layout } = await setUp(modulesOf(1));
  const told: Treated[] = [];
  const pace = new Pace(systemClock, 0);
  const treatment = new Treatment(
    {
      store,
      check: new ArtifactCheck({ store, paths: layout, hasher: newHasher(), zips: newVerifier() }),
      repair: new Repair({ store, clock: systemClock }),
      events: new EventBus<ScrubEvents>(),
    },
    {
      deep: true,
      against: 'records',
      isRepairing,
      signal: new AbortController().signal,
      pace: () => pace,
      lookups: pace,
      onTreated: (treated) => told.push(treated),
    },
  );
  return { store, told, treatment };
}

describe('what is told of each artifact', () => {
  it('has no fault and no remedy when it is good', async () => {
    const { store, told, treatment } = await treating(true);
    for await (const entry of store.versions()) await treatment.version(entry);
    expect(told.map(({ key: { ext }, checked: { faults }, remedy }) => [ext, faults, remedy])).toEqual([
      ['info', [], undefined],
      ['mod', [], undefined],
      ['zip', [], undefined],
    ]);
  });

  it.each([
    [true, { outcome: 'left', reason: 'it could not be read; look at the disk first' }],
    [false, undefined],
  ])('has the fault of a record that cannot be read (repairing: %s)', async (isRepairing, remedy) => {
    const { told, treatment } = await treating(isRepairing);
    const { path, version } = keyOf('example.com/m0', 'v1.0.0', 'zip');
    await treatment.version({ path, version, artifacts: {}, unreadable: { zip: 'EIO: i/o error' } });
    const checked = { verdict: 'unreadable', faults: [{ kind: 'unreadable', detail: 'EIO: i/o error' }] };
    expect(told).toMatchObject([{ key: { ext: 'zip' }, checked }]);
    expect(told[0]?.remedy).toEqual(remedy);
    expect(treatment.counts.unreadable).toBe(1);
  });
});
