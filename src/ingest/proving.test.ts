import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { known, playedJudge } from '../checksums/test-judges.ts';
import type { Expectation } from '../checksums/types.ts';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { ZipError } from '../zip/zip-types.ts';
import { Proving } from './proving.ts';
import { MemorySink } from './sink.ts';
import { file, other, sizeBytes, startFill } from './test-fill.ts';
import { PlayedQuarantine, testProving } from './test-proving.ts';
import type { IngestEvents } from './types.ts';

const key: ArtifactKey = {
  path: 'example.com/a' as ModulePath,
  version: 'v1.0.0' as Version,
  ext: 'zip',
};
const whole = { contentLength: sizeBytes };
const never = new AbortController().signal;
const right = `h1:${createHash('sha256').update(file).digest('base64')}`;

/** A fill whose content is judged; the hash of a body stands for that of its tree. */
function start(
  names: string,
  says: Expectation | Promise<Expectation>,
  check: (bytes: Buffer) => void = () => {},
) {
  const quarantine = new PlayedQuarantine();
  const events = new EventBus<IngestEvents>();
  const healed: IngestEvents['healed'][] = [];
  const mismatches: IngestEvents['mismatch'][] = [];
  events.on('healed', (event) => healed.push(event));
  events.on('mismatch', (event) => mismatches.push(event));
  const judge = playedJudge(() => says);
  const published: unknown[] = [];
  const fill = startFill(names, {
    openSink: async () => new MemorySink(3_000_000, () => {}),
    verify: async (input) => {
      const bytes = 'buffer' in input ? input.buffer : Buffer.alloc(0);
      check(bytes);
      return { h1: `h1:${createHash('sha256').update(bytes).digest('base64')}` };
    },
    openProving: (signal) => testProving({ key, clock: fill.clock, judge, quarantine, events }, signal),
    publish: async (_sink, zip) => {
      published.push(zip.trust);
    },
  });
  return { ...fill, quarantine, healed, mismatches, judge, published };
}

describe('a zip whose content must be something', () => {
  it('is published with its proof', async () => {
    const test = start('a', known(right));
    test.fill.join();
    await test.clock.advance(0);
    test.a.say(whole, file, 'end');
    await test.clock.advance(0);
    expect(await test.fill.outcome).toMatchObject({ trust: { proof: { by: 'sumdb', recordId: 7 } } });
    await test.fill.settled;
    expect(test.published).toMatchObject([{ proof: { by: 'sumdb' } }]);
  });

  it('is taken from the next source, in the same request, when the first has something else', async () => {
    const test = start('ab', known(right));
    const follower = test.fill.join();
    const opened = follower.open(true, never);
    await test.clock.advance(0);
    test.a.say({ ...whole, headers: { server: 'bad/1' } }, other, 'end');
    await test.clock.advance(0);
    test.b.say(whole, file, 'end');
    await test.clock.advance(0);

    expect(await opened).toMatchObject({ verified: { source: 'b' } });
    expect(test.quarantine.evidence).toMatchObject([
      {
        source: 'a',
        cause: 'mismatch',
        expectedH1: right,
        expectedBy: 'sum.test #7',
        sizeBytes,
        sha256: createHash('sha256').update(other).digest('hex'),
        headers: { server: 'bad/1' },
      },
    ]);
    expect(test.healed).toMatchObject([{ from: ['a'], source: 'b' }]);
    expect(test.mismatches).toMatchObject([{ source: 'a', quarantineId: '0000000000000001' }]);
    expect(test.a.blames).toHaveLength(1);
  });

  it('is put away and taken from the next source when it came whole and is no zip', async () => {
    const test = start('ab', known(right), (bytes) => {
      if (bytes.equals(other)) throw new ZipError('bad_crc', 'bad CRC');
    });
    const opened = test.fill.join().open(true, never);
    await test.clock.advance(0);
    test.a.say(whole, other, 'end');
    await test.clock.advance(0);
    test.b.say(whole, file, 'end');
    await test.clock.advance(0);

    expect(await opened).toMatchObject({ verified: { source: 'b' } });
    expect(test.quarantine.evidence).toMatchObject([
      { source: 'a', cause: 'corrupt', reason: 'bad CRC', expectedH1: right },
    ]);
    expect(test.healed).toMatchObject([{ from: ['a'], source: 'b' }]);
  });

  it('is refused as other everywhere when no source has it, and the text says that they agree', async () => {
    const test = start('ab', known(right));
    test.fill.join();
    const failed = test.fill.outcome.catch((error: unknown) => error);
    await test.clock.advance(0);
    test.a.say(whole, other, 'end');
    await test.clock.advance(0);
    test.b.say(whole, other, 'end');
    await test.clock.advance(0);

    expect(await failed).toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining('the tag was moved'),
    });
    expect(test.quarantine.evidence.map(({ cause }) => cause)).toEqual(['mismatch', 'retagged']);
    expect(test.healed).toEqual([]);
    expect(test.published).toEqual([]);
  });

  it('fails as a failure while another source, which may have it, does not answer', async () => {
    const test = start('ab', known(right));
    test.fill.join();
    const failed = test.fill.outcome.catch((error: unknown) => error);
    await test.clock.advance(0);
    test.a.say(whole, other, 'end');
    await test.clock.advance(0);
    test.b.fail('reset');
    await test.clock.advance(0);
    expect(await failed).toMatchObject({ code: 'failed' });
  });

  it('is not handed out before it is known what it must be', async () => {
    const says = Promise.withResolvers<Expectation>();
    const test = start('a', says.promise);
    const opened = test.fill.join().open(true, never);
    let isOpen = false;
    void opened.then(() => {
      isOpen = true;
    });
    await test.clock.advance(0);
    test.a.say(whole, file, 'end');
    await test.clock.advance(5_000);
    expect(isOpen).toBe(false);
    says.resolve(known(right));
    await test.clock.advance(0);
    expect(await opened).toMatchObject({ verified: { source: 'a' } });
  });

  it('does not stream before that either: the answer may still be a status', async () => {
    const says = Promise.withResolvers<Expectation>();
    const test = start('a', says.promise);
    const opened = test.fill.join().open(false, never);
    let isOpen = false;
    void opened.then(() => {
      isOpen = true;
    });
    await test.clock.advance(0);
    test.a.say(whole, file.subarray(0, sizeBytes - 1));
    await test.clock.advance(5_000);
    expect(isOpen).toBe(false);
    says.resolve(known(right));
    await test.clock.advance(0);
    expect(await opened).toMatchObject({ verified: undefined });
  });

  it('tells that only the answer is waited for, so that its place is free for another fetch', async () => {
    const says = Promise.withResolvers<Expectation>();
    let waiting = 0;
    const proving = new Proving(
      {
        key: { ...key, ext: 'zip' },
        judge: playedJudge(() => says.promise),
        clock: new FakeClock(),
        quarantine: new PlayedQuarantine(),
        events: new EventBus(),
        onWaiting: () => {
          waiting += 1;
        },
      },
      { signal: never },
    );
    expect(waiting).toBe(0);
    const judged = proving.judge({ h1: right, sha256: '', sizeBytes: 1, sources: ['a'] }, undefined);
    expect(waiting).toBe(1);
    says.resolve(known(right));
    await judged;
    await proving.judge({ h1: right, sha256: '', sizeBytes: 1, sources: ['a'] }, undefined);
    expect(waiting).toBe(1);
  });

  it('is not fetched any further once it is known that it may not be published', async () => {
    const says = Promise.withResolvers<Expectation>();
    const test = start('ab', says.promise);
    test.fill.join();
    const failed = test.fill.outcome.catch((error: unknown) => error);
    await test.clock.advance(0);
    test.a.say(whole, file.subarray(0, 1000));
    await test.clock.advance(0);
    says.resolve({ kind: 'blocked', reason: 'sum.test cannot be reached' });
    await test.clock.advance(0);
    test.a.give(file.subarray(1000, 2000));
    await test.clock.advance(0);

    expect(await failed).toMatchObject({
      code: 'unproven',
      message: expect.stringContaining('sum.test cannot be reached'),
    });
    expect(test.a.cancelled).toBe(1);
    expect(test.b.requests).toEqual([]);
    expect(test.quarantine.evidence).toEqual([]);
  });

  it('is absent when the sources say so, whatever the database says', async () => {
    const test = start('a', { kind: 'blocked', reason: 'no record' });
    test.fill.join();
    const failed = test.fill.outcome.catch((error: unknown) => error);
    await test.clock.advance(0);
    test.a.fail('absent');
    await test.clock.advance(0);
    expect(await failed).not.toMatchObject({ code: 'unproven' });
  });

  it('may be published without proof where that is allowed', async () => {
    const test = start('a', { kind: 'unproven', why: 'unreachable', reason: 'later' });
    test.fill.join();
    await test.clock.advance(0);
    test.a.say(whole, file, 'end');
    await test.clock.advance(0);
    expect(await test.fill.outcome).toMatchObject({ trust: { unproven: 'unreachable' } });
  });
});
