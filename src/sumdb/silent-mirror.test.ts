import { describe, expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { openDatabase, startLog, upstreamAt, upstreamOf } from './test-database.ts';

/** A log at its own address, and a mirror of one with the same key that never answers. */
async function silentMirror() {
  const clock = new FakeClock();
  const [log, silent] = [await startLog({ pad: 30 }), await startLog({ pad: 30 })];
  silent.lie({ kind: 'hang' });
  const mirror = await upstreamOf(silent, 'mirror');
  const direct = [upstreamAt(log.url, 'own')];
  return { clock, log, silent, ...openDatabase(log, { upstreams: [mirror], direct, clock }) };
}

describe('a mirror that keeps silent about the database', () => {
  it('has its patience; then the database itself is asked beside it', async () => {
    const { clock, log, silent, lookup } = await silentMirror();
    const asked = lookup(paddingModule(3));
    await expect.poll(() => silent.requests.length).toBe(1);
    await clock.advance(4_999);
    expect(log.requests).toEqual([]);
    await clock.advance(1);
    await expect.poll(() => log.requests.length).toBe(1);
    expect(await asked).toMatchObject({ id: 3 });
  });

  it('is asked after the database for a while, so that it is not waited for each time', async () => {
    const { clock, silent, lookup } = await silentMirror();
    const asked = lookup(paddingModule(3));
    await expect.poll(() => silent.requests.length).toBe(1);
    await clock.advance(5_000);
    await asked;
    const before = silent.requests.length;
    expect(await lookup(paddingModule(4))).toMatchObject({ id: 4 });
    expect(silent.requests.length).toBe(before);
    await clock.advance(30_000);
    silent.lie(undefined);
    expect(await lookup(paddingModule(5))).toMatchObject({ id: 5 });
    expect(silent.requests.length).toBeGreaterThan(before);
  });

  it('may still be the one that answers', async () => {
    const { clock, log, silent, lookup } = await silentMirror();
    await log.server.refuse();
    silent.lie({ kind: 'slow', ms: 200 });
    const asked = lookup(paddingModule(3));
    await expect.poll(() => silent.requests.length).toBe(1);
    await clock.advance(5_000);
    expect(await asked).toMatchObject({ id: 3 });
  });
});

describe('an own address that keeps silent', () => {
  it('is asked after the others for thirty seconds', async () => {
    const clock = new FakeClock();
    const [log, silent] = [await startLog({ pad: 30 }), await startLog({ pad: 30 })];
    silent.lie({ kind: 'hang' });
    const direct = [upstreamAt(silent.url, 'silent'), upstreamAt(log.url, 'own')];
    const { lookup } = openDatabase(log, { direct, clock });
    const asked = lookup(paddingModule(3));
    await expect.poll(() => silent.requests.length).toBe(1);
    await clock.advance(5_000);
    expect(await asked).toMatchObject({ id: 3 });
    const before = silent.requests.length;
    for (const id of [4, 5, 6]) expect(await lookup(paddingModule(id))).toMatchObject({ id });
    expect(silent.requests.length).toBe(before);
    await clock.advance(30_000);
    silent.lie(undefined);
    expect(await lookup(paddingModule(7))).toMatchObject({ id: 7 });
    expect(silent.requests.length).toBeGreaterThan(before);
  });
});
