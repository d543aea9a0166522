import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../gomod/module-path.ts';
import { FedUpstream } from '../ingest/test-source.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { plainPlan } from '../upstream/plan.ts';
import { askSumdb } from './sumdb-sources.ts';
import { contextOf } from './test-proxy.ts';

const text = 'lookup/example.com/a@v1.0.0';
const operation = {
  kind: 'lookup',
  path: parseModulePath('example.com/a'),
  version: 'v1.0.0',
} as const;
const record = Buffer.from('5\nexample.com/a v1.0.0 h1:x\n\ngo.sum database tree\n9\nz\n');

function ask(...names: string[]) {
  const clock = new FakeClock();
  const upstreams = names.map((name) => new FedUpstream(name));
  const plan = (asked = upstreams) =>
    plainPlan({ upstreams: asked, answerClass: 'meta', firstByteMs: 1_000, lastHopeMs: 60_000 });
  const direct = new FedUpstream('direct');
  const behind = new FedUpstream('behind');
  const answer = askSumdb(
    { clock, plan: () => plan(), directPlan: (address) => plan([address as FedUpstream]) },
    { name: 'sum.test', direct: [direct, behind], rest: `sum.test/${text}`, text, operation },
    contextOf(),
  );
  answer.catch(() => {});
  const [a, b] = upstreams as [FedUpstream, FedUpstream];
  return { answer, clock, a, b, direct, behind };
}

describe('askSumdb', () => {
  it('asks the next upstream beside one that drips behind its status line', async () => {
    const { answer, clock, a, b } = ask('a', 'b');
    await clock.advance(0);
    a.say({ contentLength: record.length }, record.subarray(0, 1));
    await clock.advance(900);
    a.give(record.subarray(1, 2));
    await clock.advance(200);
    expect(b.requests).toHaveLength(1);
    b.say({ contentLength: record.length }, record, 'end');

    expect(await answer).toEqual({ body: record, source: 'upstream:b' });
    expect(a.blames).toEqual(['timeout: its body was not complete after 1100 ms, that of b was']);
    await clock.advance(0);
    expect(clock.timers).toBe(0);
  });

  it('gives up the only upstream that drips, and asks the database itself', async () => {
    const { answer, clock, a, direct } = ask('a');
    await clock.advance(0);
    a.say({ contentLength: record.length });
    for (let second = 0; second < 61; second += 1) {
      a.give(record.subarray(second, second + 1));
      await clock.advance(1_000);
    }
    expect(direct.requests).toHaveLength(1);
    direct.say({}, record, 'end');

    expect(await answer).toMatchObject({ source: 'upstream:direct' });
    expect(a.cancelled).toBe(1);
  });

  it('asks its own addresses in their order, each below its own root', async () => {
    const { answer, clock, a, direct, behind } = ask('a');
    a.willFail('absent');
    direct.willFail('connect');
    behind.willSay({}, record, 'end');
    await clock.advance(0);

    expect(await answer).toEqual({ body: record, source: 'upstream:behind' });
    const targets = [a, direct, behind].map(({ requests }) => requests.map(({ target }) => target));
    expect(targets).toEqual([
      ['/sumdb/sum.test/lookup/example.com/a%40v1.0.0'],
      ['/lookup/example.com/a%40v1.0.0'],
      ['/lookup/example.com/a%40v1.0.0'],
    ]);
  });

  it('calls absent only what every way calls so', async () => {
    const all = ask('a');
    for (const source of [all.a, all.direct, all.behind]) source.willFail('absent');
    await expect(all.answer).rejects.toMatchObject({ code: 'absent' });

    const some = ask('a');
    some.a.willFail('absent');
    some.direct.willFail('connect');
    some.behind.willFail('absent');
    await expect(some.answer).rejects.toMatchObject({ code: 'failed', isAbsence: false });
  });

  it('refuses a body of the wrong shape', async () => {
    const { answer, clock, a, b } = ask('a', 'b');
    b.willSay({}, record, 'end');
    a.willSay({}, Buffer.from('<html>'), 'end');
    await clock.advance(0);

    expect(await answer).toMatchObject({ source: 'upstream:b' });
    expect(a.blames).toHaveLength(1);
  });
});
