import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type AccessFacts, AccessLog, type AccessMode, fieldsOf, hitTail } from './access-log.ts';

const miss: AccessFacts = {
  id: 'a-1',
  method: 'GET',
  fields: fieldsOf({ module: 'a.com/b', version: 'v1.0.0', artifact: 'mod' }),
  source: 'upstream:one',
  status: 200,
  bytes: 12,
  firstByteMs: 1.25,
  totalMs: 2,
};

function setUp(mode: AccessMode) {
  const clock = new FakeClock();
  const written: string[] = [];
  const log = new AccessLog(mode, clock, async (text) => {
    written.push(text);
  });
  return {
    clock,
    log,
    lines: () =>
      written
        .join('')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

describe('AccessLog', () => {
  it('writes one JSON line a request, in batches', async () => {
    const { clock, log, lines } = setUp('all');
    log.add(miss);
    log.addHit('a-2', hitTail(miss.fields, 12));
    expect(lines()).toEqual([]);

    await clock.advance(200);

    expect(lines()).toMatchObject([
      {
        id: 'a-1',
        module: 'a.com/b',
        version: 'v1.0.0',
        artifact: 'mod',
        source: 'upstream:one',
        status: 200,
        bytes: 12,
      },
      {
        id: 'a-2',
        module: 'a.com/b',
        artifact: 'mod',
        source: 'store',
        status: 200,
        bytes: 12,
        method: 'GET',
      },
    ]);
  });

  it('stamps each line with its own time', async () => {
    const { clock, log, lines } = setUp('all');
    log.add(miss);
    await clock.advance(50);
    log.add(miss);
    await clock.advance(200);

    const times = lines().map((line: { time: string }) => Date.parse(line.time));

    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(50);
  });

  it('leaves out hits when told to, but not their errors', async () => {
    const { log, lines } = setUp('misses');
    log.add({ ...miss, source: 'store' });
    log.add({ ...miss, source: 'store', status: 500 });
    log.add(miss);
    await log.flush();

    expect(lines()).toHaveLength(2);
    expect(log.logsHits).toBe(false);
  });

  it('quotes whatever a client sends', async () => {
    const { log, lines } = setUp('all');
    log.add({ ...miss, fields: fieldsOf({ artifact: 'none', path: '/"\u001b[31m\n{' }) });
    await log.flush();

    expect(lines()).toMatchObject([{ path: '/"\u001b[31m\n{' }]);
  });

  it('drops and counts lines when nobody takes them, instead of filling memory', async () => {
    const clock = new FakeClock();
    const log = new AccessLog('all', clock, () => new Promise(() => {}));
    const long = { ...miss, fields: fieldsOf({ artifact: 'none', path: 'x'.repeat(500) }) };
    for (let index = 0; index < 20_000; index += 1) log.add(long);

    expect(log.dropped).toBeGreaterThan(0);
  });
});
