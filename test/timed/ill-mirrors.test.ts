/**
 * The first of two mirrors is ill in each way there is: what clients get is right to the byte, the second one is asked,
 * the illness costs its timeout about once and not for each module, and the first place is lost.
 */
import { describe, expect, it } from 'vitest';
import { eventually, expectCleanStore } from '../e2e/support.ts';
import {
  askedFor,
  askVersions,
  fetchModule,
  type Illness,
  modulesNamed,
  quickReturn,
  rig,
  upstreamStatus,
  wholeIllnesses,
  zipIllnesses,
} from './ill-mirrors.ts';

const illnesses: readonly Illness[] = [...wholeIllnesses, ...zipIllnesses];
const named = illnesses.map((illness): [string, Illness] => [illness.name, illness]);

describe('the first of two mirrors', () => {
  it.each(named)('%s: cold modules come right and in time, one after another', async (_name, illness) => {
    const modules = modulesNamed('m', 10);
    const later = modulesNamed('later', 3);
    const before = modulesNamed('before', 1);
    const { proxy, ill, good } = await rig([...before, ...modules, ...later]);
    for (const module of before) await fetchModule(proxy.url, module);
    expect(good.count(/before/), 'the first place is its own while it is well').toBe(0);

    await illness.begin(ill);
    const startedMs = performance.now();
    for (const module of modules) {
      await fetchModule(proxy.url, module);
      await askVersions(proxy.url, module);
      expect(askedFor(good, module), `${module.path} at the second`).toBeGreaterThan(0);
    }
    const tookMs = performance.now() - startedMs;
    expect(tookMs, 'an illness costs its timeout a few times at most').toBeLessThan(illness.limitMs);

    const ext = illness.isOfZips ? '.zip' : undefined;
    for (const module of later) await fetchModule(proxy.url, module);
    const askedLater = later.reduce((sum, module) => sum + askedFor(ill, module, ext), 0);
    expect(askedLater, 'the ill one is not asked any more').toBeLessThanOrEqual(illness.trialsLater ?? 0);

    // Warm: nobody is asked.
    const askedBefore = modules.map((module) => askedFor(good, module, '.zip'));
    for (const module of modules) {
      await fetchModule(proxy.url, module);
      await askVersions(proxy.url, module);
    }
    expect(modules.map((module) => askedFor(good, module, '.zip'))).toEqual(askedBefore);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
  });

  it.each(named)('%s: fifty clients at once get the right bytes', async (_name, illness) => {
    const [before, ...modules] = modulesNamed('m', 5);
    if (before === undefined) return;
    const { proxy, ill } = await rig([before, ...modules]);
    await fetchModule(proxy.url, before);

    await illness.begin(ill);
    const startedMs = performance.now();
    await Promise.all(
      Array.from({ length: 50 }, async (_, client) => {
        // Not all in the same order: some meet at one artifact, some do not.
        for (let step = 0; step < modules.length; step += 1) {
          const module = modules[(client + step) % modules.length];
          if (module === undefined) continue;
          await fetchModule(proxy.url, module);
          await askVersions(proxy.url, module);
        }
      }),
    );
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeLessThan(illness.limitMs + 5_000);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
  });

  it.each(wholeIllnesses.map((illness): [string, Illness] => [illness.name, illness]))(
    '%s: it gets its first place back when it is well again',
    async (_name, illness) => {
      const supply = modulesNamed('m', 400).values();
      const modules = [...supply];
      const { proxy, ill, good } = await rig(modules, { health: quickReturn });
      let next = 0;
      const fetchNext = async (): Promise<'ill' | 'good' | 'both'> => {
        const module = modules[next];
        next += 1;
        if (module === undefined) return expect.fail('out of modules');
        await fetchModule(proxy.url, module);
        if (askedFor(good, module) === 0) return 'ill';
        return askedFor(ill, module) === 0 ? 'good' : 'both';
      };
      expect(await fetchNext()).toBe('ill');

      await illness.begin(ill);
      await eventually(fetchNext, (by) => by === 'good');
      await eventually(
        () => upstreamStatus(proxy.dataDir, 'ill'),
        ({ state }) => state === 'suspect' || state === 'out',
      );
      expect(await fetchNext()).toBe('good');

      await illness.end(ill);
      await eventually(fetchNext, (by) => by === 'ill', 15_000);
      expect(await upstreamStatus(proxy.dataDir, 'ill')).toMatchObject({
        state: 'healthy',
        favouriteOf: ['public'],
      });
    },
  );
});
