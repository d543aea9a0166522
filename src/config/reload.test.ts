import { describe, expect, it } from 'vitest';
import { ConfigError, faultAt } from './fault.ts';
import { type LoadedConfig, loadConfig } from './load.ts';
import { ConfigWatcher, type ReloadOutcome } from './reload.ts';

function withHold(hold: string): Promise<LoadedConfig> {
  return loadConfig({ env: { MODFERRY_INGEST_HOLD: hold } });
}

async function watcherOf(load: () => Promise<LoadedConfig>) {
  const outcomes: ReloadOutcome[] = [];
  const report = (outcome: ReloadOutcome) => outcomes.push(outcome);
  return { watcher: new ConfigWatcher({ initial: await withHold('1s'), load, report }), outcomes };
}

describe('ConfigWatcher', () => {
  it('applies the next snapshot and then makes it the current one', async () => {
    const { watcher, outcomes } = await watcherOf(() => withHold('2s'));
    const seen: unknown[] = [];
    watcher.subscribe((next, previous) => {
      seen.push([
        previous.loaded.config.ingest.holdMs,
        next.loaded.config.ingest.holdMs,
        watcher.current.revision,
      ]);
    });

    const outcome = await watcher.reload();

    expect(seen).toEqual([[1000, 2000, 1]]);
    expect(outcome).toEqual({ outcome: 'applied', revision: 2 });
    expect(outcomes).toEqual([outcome]);
    expect(watcher.current).toMatchObject({ revision: 2, loaded: { config: { ingest: { holdMs: 2000 } } } });
  });

  it('keeps the old snapshot when the next one has faults', async () => {
    const place = { layer: 'file', where: 'modferry.yaml', line: 1, column: 1 } as const;
    const fault = faultAt(place, 'ingest.hold', '"x" is not a duration', 'write e.g. 30s');
    const { watcher, outcomes } = await watcherOf(() => Promise.reject(new ConfigError([fault])));
    let applied = 0;
    watcher.subscribe(() => {
      applied += 1;
    });

    await watcher.reload();

    expect(applied).toBe(0);
    expect(watcher.current.revision).toBe(1);
    expect(outcomes).toEqual([{ outcome: 'refused', revision: 1, faults: [fault] }]);
  });

  it('keeps the old snapshot when applying the next one fails, and can be asked again', async () => {
    const { watcher } = await watcherOf(() => withHold('2s'));
    const unsubscribe = watcher.subscribe(() => Promise.reject(new Error('address in use')));

    const first = await watcher.reload();
    unsubscribe();
    const second = await watcher.reload();

    expect(first).toMatchObject({ outcome: 'failed', revision: 1, error: { message: 'address in use' } });
    expect(second).toEqual({ outcome: 'applied', revision: 2 });
  });

  it('runs reloads one after another and joins those that ask meanwhile', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let loads = 0;
    let inside = 0;
    const { watcher } = await watcherOf(async () => {
      inside += 1;
      expect(inside).toBe(1);
      loads += 1;
      await gates[loads - 1]?.promise;
      inside -= 1;
      return withHold(`${loads}s`);
    });

    const first = watcher.reload();
    const joined = [watcher.reload(), watcher.reload(), watcher.reload()];
    gates[0]?.resolve();
    await first;
    gates[1]?.resolve();
    const outcomes = await Promise.all(joined);

    expect(loads).toBe(2);
    expect(outcomes.map(({ revision }) => revision)).toEqual([3, 3, 3]);
  });

  it('starts a new reload after the joined one', async () => {
    const { watcher } = await watcherOf(() => withHold('2s'));

    await Promise.all([watcher.reload(), watcher.reload()]);
    const outcome = await watcher.reload();

    expect(outcome.revision).toBe(4);
  });
});
