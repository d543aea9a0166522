import { describe, expect, it } from 'vitest';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { known, playedJudge } from '../checksums/test-judges.ts';
import type { Expectation } from '../checksums/types.ts';
import type { Trust } from '../store/store.ts';
import { entryOf, healingFrom, keyIn, makeScrub, modulesOf, next, setUp } from './test-scrub.ts';

const byLine: Trust = { proof: { by: 'go.sum', label: 'app', atMs: 1 } };
const blocked: Expectation = { kind: 'blocked', reason: 'not proven' };

/** One pass over a module that was published by trusted lines, with a judge of these words. */
async function passed(says: (module: FakeModule, name: string) => Expectation, trust = byLine) {
  const [module] = modulesOf(1) as [FakeModule];
  const { folder, store } = await setUp([module], trust);
  const judge = playedJudge((name) => says(module, name));
  const { heal } = await healingFrom(store, []);
  const made = makeScrub(folder, store, { judge, heal });
  const finished = next(made.events, 'finished');
  made.scrub.startNow();
  const report = await finished;
  const waiting: string[] = [];
  for await (const { ext } of store.awaitingProof()) waiting.push(ext);
  const zip = (await entryOf(store, module))?.artifacts.zip;
  return { report, judge, zip, waiting: waiting.toSorted(), store, module };
}

const right = (module: FakeModule, name: string, more: object = {}): Expectation => {
  const expectation = known(name.endsWith('.zip') ? module.zipH1 : module.modH1);
  return { ...expectation, ...more };
};

describe('a proof by a trusted go.sum line', () => {
  it('is asked for again in each pass, and stays while the line does', async () => {
    const proof = { by: 'go.sum', label: 'app', atMs: 2 } as const;
    const { judge, zip, report } = await passed((module, name) => right(module, name, { proof }));
    expect(judge.asked).toHaveLength(2);
    expect(zip?.proof).toEqual(byLine.proof);
    expect(report).toMatchObject({ proven: 0, unproven: 0 });
  });

  it('gives way to one by the database', async () => {
    const { zip, report } = await passed((module, name) => right(module, name));
    expect(zip?.proof).toMatchObject({ by: 'sumdb' });
    expect(report).toMatchObject({ proven: 2 });
  });

  it('falls with its line, and the artifact waits for another one', async () => {
    const { zip, report, waiting } = await passed(() => blocked);
    expect(zip).toMatchObject({ unproven: 'unreachable' });
    expect(zip?.proof).toBeUndefined();
    expect(report).toMatchObject({ unproven: 2, quarantined: 0 });
    expect(waiting).toEqual(['mod', 'zip']);
  });

  it('falls with its line where checksums are off, and waits for nothing', async () => {
    const off: Expectation = { kind: 'unproven', why: 'off', reason: 'private' };
    const { zip, report, waiting } = await passed(() => off);
    expect(zip).toMatchObject({ unproven: 'off' });
    expect(report).toMatchObject({ unproven: 0 });
    expect(waiting).toEqual([]);
  });

  it('stays while nobody can read the lines', async () => {
    const { zip } = await passed(() => ({ ...blocked, cause: 'unread' }));
    expect(zip?.proof).toEqual(byLine.proof);
  });

  it('does not hold against a line that says otherwise by now: the file is ours, and the evidence says so', async () => {
    const other = `h1:${Buffer.alloc(32, 7).toString('base64')}`;
    const { report, store, module } = await passed(() => known(other));
    expect(report).toMatchObject({ mismatched: 2, quarantined: 2 });
    const [entry] = await store.quarantine.of(keyIn(module, 'zip'));
    expect(entry).toMatchObject({
      cause: 'mismatch',
      source: 'store',
      expectedH1: other,
      reason: expect.stringMatching(/it came from first$/),
    });
  });
});

describe('another proof', () => {
  it('is not asked for again', async () => {
    const { judge, zip } = await passed(() => blocked, known('h1:x') as { proof: Trust['proof'] });
    expect(judge.asked).toEqual([]);
    expect(zip?.proof).toMatchObject({ by: 'sumdb' });
  });
});
