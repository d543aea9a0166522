import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { modulePath, tempFolder, v } from './test-registry.ts';
import { Tombstones } from './tombstones.ts';

function stone(version: string, reason = 'leaked') {
  return { path: modulePath, version: v(version), reason, who: 'user:a', atMs: 1_700_000_000_000 };
}

describe('the tombstone file', () => {
  it('passes over damaged lines, with a count', async () => {
    const file = join(tempFolder(), 'tombstones.jsonl');
    const lines = [
      JSON.stringify(stone('v1.0.0')),
      'not json',
      '{"path":"../../etc","version":"v1.0.0"}',
      '{"path":"corp.test/lib","version":"latest"}',
      'null',
      '[]',
      '{"path":"corp.test/lib","version":"v1.1.0","atMs":1e300,"reason":7}',
      JSON.stringify(stone('v1.2.0')),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);

    const tombstones = await Tombstones.open(file, systemClock);

    expect(tombstones.ofModule(modulePath).map(({ version }) => version)).toEqual([
      'v1.0.0',
      'v1.1.0',
      'v1.2.0',
    ]);
    expect(tombstones.damagedLines).toBe(5);
    expect(tombstones.of(modulePath, v('v1.1.0'))).toMatchObject({
      reason: 'no reason is recorded',
      atMs: 0,
    });
  });

  it('takes a line on after one that was cut off', async () => {
    const file = join(tempFolder(), 'tombstones.jsonl');
    writeFileSync(file, `${JSON.stringify(stone('v1.0.0'))}\n{"path":"corp.te`);
    const tombstones = await Tombstones.open(file, systemClock);

    await tombstones.add(stone('v1.1.0'));

    const again = await Tombstones.open(file, systemClock);
    expect(again.ofModule(modulePath).map(({ version }) => version)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(again.damagedLines).toBe(1);
  });

  it('keeps every one of many writers, each once', async () => {
    const file = join(tempFolder(), 'meta', 'tombstones.jsonl');
    const writers = await Promise.all([1, 2, 3].map(() => Tombstones.open(file, systemClock)));

    const results = await Promise.all(
      [0, 1, 2, 3, 4, 5].flatMap((minor) =>
        writers.map((writer, index) => writer.add(stone(`v1.${minor}.0`, `by ${index}`))),
      ),
    );

    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(6);
    const [first] = writers;
    await first?.refresh();
    // Every writer was told the one that is in force.
    for (const { version, reason } of results) expect(first?.of(modulePath, version)?.reason).toBe(reason);
  });

  it('is read again from where it was, without losing what came before', async () => {
    const folder = tempFolder();
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'tombstones.jsonl');
    const tombstones = await Tombstones.open(file, systemClock);
    expect(tombstones.all()).toEqual([]);

    appendFileSync(file, `${JSON.stringify(stone('v1.0.0'))}\n`);
    await tombstones.refresh();
    appendFileSync(file, `${JSON.stringify(stone('v1.1.0'))}\n${JSON.stringify(stone('v1.1.0', 'later'))}\n`);
    await Promise.all([tombstones.refresh(), tombstones.refresh()]);

    expect(tombstones.all().map(({ version, reason }) => `${version} ${reason}`)).toEqual([
      'v1.0.0 leaked',
      'v1.1.0 leaked',
    ]);
  });
});
