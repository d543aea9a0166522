import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseGoSum } from '../gomod/go-sum.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { ChecksumEvents } from './checksums.ts';
import { importTrusted, listTrusted, removeTrusted, trustedFileIn } from './trusted-file.ts';
import { TrustedSums } from './trusted-sums.ts';
import { TrustedTable } from './trusted-table.ts';

const one = `h1:${'A'.repeat(43)}=`;
const two = `h1:${'B'.repeat(42)}A=`;
const path = 'golang.org/x/mod' as ModulePath;
const version = 'v0.20.0' as Version;

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'modferry-trusted-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function open(dataDir: string, clock = new FakeClock()): Promise<TrustedSums> {
  const sums = await TrustedSums.open(dataDir, clock);
  onTestFinished(() => sums.close());
  return sums;
}

function lines(...texts: readonly string[]) {
  return parseGoSum(texts.join('\n')).lines;
}

/** Lets the poll under way read the disk, which no fake clock drives. */
async function polled(dataDir: string, clock: FakeClock, isDone: () => boolean): Promise<void> {
  for (let round = 0; round < 5_000 && !isDone(); round += 1) {
    await clock.advance(1_000);
    await stat(dataDir);
  }
  expect(isDone()).toBe(true);
}

const both = lines(`${path} ${version} ${one}`, `${path} ${version}/go.mod ${two}`);

describe('trusted go.sum lines', () => {
  it('are found by what they are of, with the import that brought them, also after a restart', async () => {
    const dataDir = await folder();
    const clock = new FakeClock();
    const added = await importTrusted(dataDir, clock, both, { label: 'team app' });
    expect(added).toMatchObject({ added: 2, known: 0, replaced: 0, conflictCount: 0 });
    const sums = await open(dataDir);
    expect(sums.size).toBe(2);
    expect(sums.find(path, version, 'zip')).toEqual({ h1: one, label: 'team app' });
    expect(sums.find(path, version, 'mod')).toEqual({ h1: two, label: 'team app' });
    expect(sums.find(path, 'v0.20.1' as Version, 'zip')).toBeUndefined();
    expect(await listTrusted(dataDir)).toEqual({
      labels: [{ label: 'team app', lines: 2, firstAtMs: clock.now(), lastAtMs: clock.now() }],
      damagedLines: 0,
    });
  });

  it('are noticed by a running process within a second, and forgotten likewise', async () => {
    const dataDir = await folder();
    const clock = new FakeClock();
    const sums = await open(dataDir, clock);
    let changes = 0;
    sums.onChange(() => {
      changes += 1;
    });
    expect(sums.find(path, version, 'zip')).toBeUndefined();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    await polled(dataDir, clock, () => changes === 1);
    expect(sums.find(path, version, 'zip')?.h1).toBe(one);
    expect(await removeTrusted(dataDir, systemClock, { label: 'a' })).toBe(2);
    await polled(dataDir, clock, () => changes === 2);
    expect(sums.size).toBe(0);
  });

  it('stay what they are when an import contradicts them, unless told to replace', async () => {
    const dataDir = await folder();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    const other = lines(
      `${path} ${version} ${two}`,
      `${path} v0.21.0 ${one}`,
      `${path} ${version}/go.mod ${two}`,
    );
    const refused = await importTrusted(dataDir, systemClock, other, { label: 'b' });
    expect(refused).toEqual({
      added: 0,
      known: 1,
      replaced: 0,
      conflicts: [{ name: `${path} ${version}`, offered: two, trusted: one, label: 'a' }],
      conflictCount: 1,
    });
    expect((await open(dataDir)).size).toBe(2);
    const done = await importTrusted(dataDir, systemClock, other, { label: 'b', replace: true });
    expect(done).toMatchObject({ added: 1, known: 1, replaced: 1 });
    const sums = await open(dataDir);
    expect(sums.find(path, version, 'zip')).toEqual({ h1: two, label: 'b' });
    expect(sums.find(path, version, 'mod')).toEqual({ h1: two, label: 'a' });
    expect(sums.size).toBe(3);
  });

  it('leave by label and by pattern', async () => {
    const dataDir = await folder();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    await importTrusted(dataDir, systemClock, lines(`example.com/x v1.0.0 ${one}`), { label: 'b' });
    expect(await removeTrusted(dataDir, systemClock, { label: 'none' })).toBe(0);
    expect(await removeTrusted(dataDir, systemClock, { pattern: 'golang.org/*' })).toBe(2);
    expect((await listTrusted(dataDir)).labels.map(({ label }) => label)).toEqual(['b']);
  });

  it('lose nothing when many processes import at once', async () => {
    const dataDir = await folder();
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        importTrusted(dataDir, systemClock, lines(`${path} v0.${index}.0 ${one}`), { label: `p${index}` }),
      ),
    );
    expect((await open(dataDir)).size).toBe(12);
    expect(await readdir(join(dataDir, 'meta'))).toEqual(['trusted.sum']);
  });

  it('outlive a process that died with the lock', async () => {
    const dataDir = await folder();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    await writeFile(`${trustedFileIn(dataDir)}.lock`, 'dead 0');
    const clock = new FakeClock();
    let removed: number | undefined;
    const removing = removeTrusted(dataDir, clock, { label: 'a' }).then((count) => {
      removed = count;
    });
    for (let round = 0; round < 5_000 && removed === undefined; round += 1) {
      await clock.advance(50);
      await stat(dataDir);
    }
    await removing;
    expect(removed).toBe(2);
    // Not before the five seconds in which the other might have shown life.
    expect(clock.monotonic()).toBeGreaterThanOrEqual(5_000);
  });

  it('are not written over by a process whose lock was taken away', async () => {
    const dataDir = await folder();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    async function stolen() {
      await writeFile(`${trustedFileIn(dataDir)}.lock`, 'another 0');
    }
    let stealing: Promise<void> | undefined;
    const slow = (function* () {
      yield* lines(`example.com/x v1.0.0 ${one}`);
    })();
    const clock = { ...systemClock, now: () => ((stealing = stolen()), 1) };
    const importing = importTrusted(dataDir, clock, slow, { label: 'b' });
    await expect(importing).rejects.toMatchObject({ code: 'lock_lost' });
    await stealing;
    expect((await open(dataDir)).size).toBe(2);
  });

  it('are taken from a damaged file as far as it is whole; the rest is counted, told and kept', async () => {
    const dataDir = await folder();
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    const file = trustedFileIn(dataDir);
    const text = await readFile(file, 'latin1');
    const damaged = `junk\n\0\xff\n${'x'.repeat(200_000)}\n`;
    await writeFile(file, `${damaged}${text}${path} v9.0.0 ${one} 1 ap`, 'latin1');
    const events = new EventBus<ChecksumEvents>();
    const told: ChecksumEvents['linesDamaged'][] = [];
    events.on('linesDamaged', (event) => told.push(event));

    const sums = TrustedSums.start(dataDir, new FakeClock(), events);
    onTestFinished(() => sums.close());
    await sums.ready;

    expect(sums.size).toBe(2);
    expect(told).toEqual([{ file, lines: 4 }]);
    expect((await listTrusted(dataDir)).damagedLines).toBe(4);
    const more = lines(`example.com/x v1.0.0 ${one}`);
    await importTrusted(dataDir, systemClock, more, { label: 'ä' });
    await removeTrusted(dataDir, systemClock, { label: 'a' });
    const after = await readFile(file, 'latin1');
    expect(after.startsWith(`${damaged}#cut: ${path} v9.0.0 ${one} 1 ap\nexample.com/x v1.0.0 ${one} `)).toBe(
      true,
    );
    expect(await listTrusted(dataDir)).toMatchObject({ labels: [{ label: 'ä', lines: 1 }], damagedLines: 4 });
  });

  it('are not forgotten in silence while the file cannot be read', async () => {
    const dataDir = await folder();
    const file = trustedFileIn(dataDir);
    await mkdir(file, { recursive: true });
    const clock = new FakeClock();
    const events = new EventBus<ChecksumEvents>();
    const told: string[] = [];
    events.on('linesUnread', ({ reason }) => told.push(reason));
    const sums = TrustedSums.start(dataDir, clock, events);
    onTestFinished(() => sums.close());

    await expect(sums.ready).rejects.toMatchObject({ code: 'io' });
    await expect(TrustedSums.open(dataDir, clock)).rejects.toMatchObject({ code: 'io' });
    expect(told).toEqual([expect.stringContaining('EISDIR')]);
    await rm(file, { recursive: true });
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    await polled(dataDir, clock, () => sums.size === 2);
    await sums.ready;
    expect(told).toHaveLength(1);
  });

  it('are read in the background, and hold up nothing else', async () => {
    const dataDir = await folder();
    await mkdir(join(dataDir, 'meta'));
    const count = 50_000;
    const text = Array.from({ length: count }, (_, number) => `example.com/m${number} v1.0.0 ${one} 1 big\n`);
    await writeFile(trustedFileIn(dataDir), text.join(''));
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    turn();

    const sums = TrustedSums.start(dataDir, new FakeClock());
    onTestFinished(() => sums.close());
    expect(sums.size).toBe(0);
    await sums.ready;

    isOver = true;
    expect(sums.find('example.com/m49999' as ModulePath, 'v1.0.0' as Version, 'zip')?.h1).toBe(one);
    // Some 200 lines a turn, which takes a millisecond or two.
    expect(turns).toBeGreaterThan(count / 400);
  });

  it('leave nothing behind of an import that was killed', async () => {
    const dataDir = await folder();
    const file = trustedFileIn(dataDir);
    await importTrusted(dataDir, systemClock, both, { label: 'a' });
    const names = ['0123456789ab', 'ba9876543210', 'lock.0123456789ab', 'note'];
    for (const name of names) await writeFile(`${file}.${name}`, '');
    const hourAgo = Date.now() / 1_000 - 3_600;
    for (const name of names.filter((one) => one !== 'ba9876543210')) {
      await utimes(`${file}.${name}`, hourAgo, hourAgo);
    }

    await removeTrusted(dataDir, systemClock, { label: 'a' });

    // One that is young may be somebody's, and a name of another kind is not ours.
    const left = ['trusted.sum', 'trusted.sum.ba9876543210', 'trusted.sum.note'];
    expect((await readdir(join(dataDir, 'meta'))).toSorted()).toEqual(left);
  });

  it.each(['', ' a', 'a\nb', 'x'.repeat(101), '\u001b[2J'])('refuse the label %j', async (label) => {
    await expect(importTrusted(await folder(), systemClock, both, { label })).rejects.toMatchObject({
      code: 'bad_label',
    });
  });

  it('are not imported into a folder that is not there', async () => {
    const dataDir = join(await folder(), 'none');
    await expect(importTrusted(dataDir, systemClock, both, { label: 'a' })).rejects.toMatchObject({
      code: 'absent',
    });
  });
});

describe('TrustedTable', () => {
  it('is a map', () => {
    const entry = fc.record({
      name: fc.integer({ min: 0, max: 3_000 }).map((number) => `example.com/m${number} v1.0.0`),
      h1: fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => `h1:${Buffer.from(bytes).toString('base64')}`),
      label: fc.constantFrom('a', 'b', 'ä ö'),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 3_000, size: 'max' }), (entries) => {
        const table = new TrustedTable();
        const model = new Map<string, { h1: string; label: string }>();
        for (const { name, h1, label } of entries) {
          table.add(name, h1, label);
          if (!model.has(name)) model.set(name, { h1, label });
        }
        expect(table.size).toBe(model.size);
        for (const [name, value] of model) expect(table.find(name)).toEqual(value);
        expect(table.find('example.com/none v1.0.0')).toBeUndefined();
      }),
      { numRuns: 20 },
    );
  });

  it('takes little memory for many lines', () => {
    const table = new TrustedTable();
    for (let number = 0; number < 200_000; number += 1) table.add(`example.com/m${number} v1.0.0`, one, 'a');
    // Doubling leaves some room.
    expect(table.allocatedBytes / 200_000).toBeLessThan(110);
    expect(new TrustedTable(200_000).allocatedBytes).toBe(table.allocatedBytes);
    expect(table.find('example.com/m199999 v1.0.0')).toEqual({ h1: one, label: 'a' });
  });
});
