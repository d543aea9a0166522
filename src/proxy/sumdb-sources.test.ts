import { describe, expect, it } from 'vitest';
import { FedUpstream } from '../ingest/test-source.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { plainPlan } from '../upstream/plan.ts';
import { parseSumdbOperation } from './sumdb-operation.ts';
import { askSumdb } from './sumdb-sources.ts';
import { contextOf } from './test-proxy.ts';

const text = 'lookup/example.com/a@v1.0.0';
const record = Buffer.from('5\nexample.com/a v1.0.0 h1:x\n\ngo.sum database tree\n9\nz\n');

function ask(...names: string[]) {
  const clock = new FakeClock();
  const upstreams = names.map((name) => new FedUpstream(name));
  const plan = (asked = upstreams) =>
    plainPlan({ upstreams: asked, answerClass: 'meta', firstByteMs: 1_000, lastHopeMs: 60_000 });
  const direct = new FedUpstream('direct');
  const answer = askSumdb(
    { clock, plan: () => plan(), directPlan: () => plan([direct]) },
    { direct, rest: `sum.test/${text}`, text, operation: parseSumdbOperation(text) },
    contextOf(),
  );
  answer.catch(() => {});
  const [a, b] = upstreams as [FedUpstream, FedUpstream];
  return { answer, clock, a, b, direct };
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

  it('refuses a body of the wrong shape', async () => {
    const { answer, clock, a, b } = ask('a', 'b');
    b.willSay({}, record, 'end');
    a.say({}, Buffer.from('<html>'), 'end');
    await clock.advance(0);

    expect(await answer).toMatchObject({ source: 'upstream:b' });
    expect(a.blames).toHaveLength(1);
  });
});
