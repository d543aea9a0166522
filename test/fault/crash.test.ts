/**
 * Kill -9 at bad moments: in the middle of a fill and right behind an answer. After a restart everything that was
 * published is there, nothing is there in part, and what was lost is fetched again.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ask,
  eventually,
  expectCleanStore,
  folder,
  modferry,
  storedVersions,
  storedZips,
  upstream,
} from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { gate, hold } from '../kit/faults.ts';

const exts = ['info', 'mod', 'zip'] as const;

describe('kill -9', () => {
  it('in mid-fill leaves nothing partial, and the next start fetches it anew', async () => {
    const data = await folder('data');
    const big = fakeModule({ path: 'example.com/big', paddingBytes: 1024 * 1024 });
    const kept = fakeModule({ path: 'example.com/kept' });
    const source = await upstream({ modules: [big, kept] });
    for (const atByte of [0, 1, 300_000, big.zip.length - 1]) {
      const middle = gate();
      const rule = source.faults.add({ match: '/big/@v/v1.0.0.zip', fault: hold(atByte, middle) });
      const doomed = await modferry({
        upstreams: [source],
        dataDir: data.path,
        env: { MODFERRY_INGEST_HOLD: '50ms' },
      });
      await ask(doomed.url, '/example.com/kept/@v/v1.0.0.mod');
      // An answer comes before its file is stored; what is to be kept must be.
      await eventually(
        () => storedVersions(data.path),
        (stored) => stored.includes('example.com/kept@v1.0.0'),
      );
      const client = ask(doomed.url, '/example.com/big/@v/v1.0.0.zip');
      await middle.reached;
      await doomed.kill();
      expect((await client).complete, `at byte ${atByte}`).toBe(false);
      rule.remove();
      await expectCleanStore(data.path);
      expect(await storedZips(data.path), `at byte ${atByte}`).toEqual([]);
    }

    const again = await modferry({ upstreams: [source], dataDir: data.path });
    const answer = await ask(again.url, '/example.com/big/@v/v1.0.0.zip');
    expect(answer.body.equals(big.zip)).toBe(true);
    expect(source.count('/kept/@v/v1.0.0.mod'), 'what was published stays').toBe(1);
    // Only what belongs to the living process is left of four dead ones.
    expect(await readdir(join(data.path, 'run'))).toHaveLength(1);
    await again.stop();
    await expectCleanStore(data.path);
    expect(await storedZips(data.path)).toEqual(['example.com/big@v1.0.0']);
  });

  it('right behind the answers, round after round: what was stored once stays, and the store is never wrong', async () => {
    const data = await folder('data');
    const rounds = 5;
    const perRound = 12;
    const modules = Array.from({ length: rounds * perRound }, (_, number) =>
      fakeModule({ path: `example.com/m${number}`, paddingBytes: number % 3 === 0 ? 100_000 : 0 }),
    );
    const source = await upstream({ modules });
    let storedBefore: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const doomed = await modferry({
        upstreams: [source],
        dataDir: data.path,
        config: { look_ahead: { enabled: true } },
      });
      const mine = modules.slice(round * perRound, (round + 1) * perRound);
      // Killed when the first of many answers is there: the others are at every stage between asking and storing.
      const answers = mine.flatMap((module) =>
        exts.map((ext) => ask(doomed.url, `/${module.path}/@v/${module.version}.${ext}`)),
      );
      await Promise.race(answers.slice(round));
      await doomed.kill();
      for (const [index, answer] of (await Promise.all(answers)).entries()) {
        const module = mine[Math.floor(index / exts.length)];
        const wanted = module?.[exts[index % exts.length] ?? 'info'] ?? Buffer.alloc(0);
        if (answer.complete) expect(answer.body.equals(wanted)).toBe(true);
      }
      await expectCleanStore(data.path);
      const stored = await storedVersions(data.path);
      expect(stored).toEqual(expect.arrayContaining(storedBefore));
      storedBefore = stored;
    }

    const last = await modferry({ upstreams: [source], dataDir: data.path });
    for (const module of modules) {
      for (const ext of exts) {
        const answer = await ask(last.url, `/${module.path}/@v/${module.version}.${ext}`);
        expect(answer.body.equals(module[ext]), `${module.path} .${ext}`).toBe(true);
      }
    }
    await last.stop();
    await expectCleanStore(data.path);
    expect(await storedZips(data.path)).toHaveLength(modules.length);
  });
});
