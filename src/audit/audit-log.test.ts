import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { smallTmpfs } from '../../test/kit/temp.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { numberedFile } from '../lib/json-lines-file.ts';
import { Secret } from '../lib/secret.ts';
import { AuditReader, auditFileIn, deniedFileIn } from './audit-file.ts';
import { auditIn, dataFolder, denied, published, recordsIn } from './test-audit.ts';

function linesIn(dataDir: string): string[] {
  return readFileSync(auditFileIn(dataDir), 'utf8').trimEnd().split('\n');
}

describe('the audit', () => {
  it('keeps who did what, for the owner only', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    audit.note(published({ data: { sizeBytes: 12 } }));
    await audit.flush();
    expect(linesIn(dataDir).map((line): unknown => JSON.parse(line))).toEqual([
      {
        at: '2026-01-01T00:00:00.000Z',
        instance: 'a',
        seq: 1,
        action: 'publish',
        who: 'token:ci',
        from: '10.0.0.1',
        result: 'ok',
        module: 'corp.example/lib',
        version: 'v1.0.0',
        data: { sizeBytes: 12 },
      },
    ]);
    expect(statSync(auditFileIn(dataDir)).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, 'audit')).mode & 0o777).toBe(0o700);
    expect(audit.counters).toEqual({ written: 1, lost: 0, failures: 0 });
  });

  it('writes changes at once, without waiting for a timer', async () => {
    const dataDir = dataFolder();
    const clock = new FakeClock();
    const audit = auditIn(dataDir, { clock });
    audit.note(published());
    await expect.poll(() => existsSync(auditFileIn(dataDir)) && linesIn(dataDir).length).toBe(1);
    expect(clock.timers).toBe(0);
  });

  it('counts denials that are alike, and writes them within a second', async () => {
    const dataDir = dataFolder();
    const clock = new FakeClock();
    const audit = auditIn(dataDir, { clock });
    for (let index = 0; index < 500; index += 1) audit.note(denied());
    audit.note(denied({ from: '10.0.0.8' }));
    await clock.advance(999);
    expect(existsSync(deniedFileIn(dataDir))).toBe(false);
    await clock.advance(1);
    await expect.poll(async () => (await recordsIn(dataDir)).length).toBe(2);
    audit.note(denied());
    await audit.flush();
    expect((await recordsIn(dataDir)).map(({ from, count }) => [from, count])).toEqual([
      ['10.0.0.9', 500],
      ['10.0.0.8', 1],
      ['10.0.0.9', 1],
    ]);
  });

  it.each([
    denied({ action: 'delivery', who: 'webhook:team', reason: 'its signature is wrong' }),
    denied({ action: 'login', who: 'user:alice' }),
  ])('counts what else strangers can cause: $action', async (entry) => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    for (let index = 0; index < 1_000; index += 1) audit.note(entry);
    audit.note(denied());
    await audit.flush();
    const records = await recordsIn(dataDir);
    expect(records.map(({ action, count }) => [action, count])).toEqual([
      [entry.action, 1_000],
      ['denied', 1],
    ]);
  });

  it('counts a flood of different denials together', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    for (let index = 0; index < 50_000; index += 1) audit.note(denied({ module: `corp.example/m${index}` }));
    await audit.flush();
    const records = await recordsIn(dataDir);
    expect(records).toHaveLength(101);
    expect(records.at(-1)).toMatchObject({ who: 'several', count: 49_900 });
  });

  it.each([
    denied(),
    denied({ action: 'delivery', who: 'webhook:team' }),
    denied({ action: 'login', who: 'user:alice' }),
  ])('loses nothing else to a flood of what strangers can cause: $action', async (entry) => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir, { maxBytes: 2_000, keep: 1 });
    audit.note(published());
    for (let round = 0; round < 5; round += 1) {
      for (let index = 0; index < 50; index += 1)
        audit.note({ ...entry, reason: `a different one ${round} ${index}` });
      await audit.flush();
    }
    expect(existsSync(numberedFile(deniedFileIn(dataDir), 1))).toBe(true);
    expect(existsSync(numberedFile(deniedFileIn(dataDir), 2))).toBe(false);
    expect(statSync(deniedFileIn(dataDir)).mode & 0o777).toBe(0o600);
    const records = await recordsIn(dataDir);
    expect(records.length).toBeLessThan(250);
    expect(records.filter(({ action }) => action === 'publish')).toHaveLength(1);
    expect(linesIn(dataDir)).toHaveLength(1);
  });

  it('lets nobody forge lines or drive a terminal', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    const evil = 'x\r\n{"action":"publish"}\u001b[2J\u009b1m\u2028\u202e\u0000';
    audit.note(
      published({ who: evil, from: evil, module: evil, version: evil, reason: evil, data: { [evil]: evil } }),
    );
    await audit.flush();
    const text = readFileSync(auditFileIn(dataDir), 'utf8');
    expect(text.trimEnd()).toMatch(/^[\x20-\x7e…]+$/);
    expect((await recordsIn(dataDir)).map(({ who, data }) => ({ who, data }))).toEqual([
      { who: evil, data: { [evil]: evil } },
    ]);
  });

  it('cuts what is long to lines that are written whole', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    for (const long of ['x'.repeat(1e6), '\u0001'.repeat(1e5), '漢'.repeat(1e5), '\ud800'.repeat(5_000)])
      for (const data of [{ long }, cyclic, { big: 1n }, { secret: new Secret('hunter2') }])
        audit.note({
          ...published(),
          who: long,
          from: long,
          module: long,
          version: long,
          reason: long,
          data,
        });
    await audit.flush();
    const lines = linesIn(dataDir);
    expect(lines).toHaveLength(16);
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(4096);
    expect(lines.join('')).not.toContain('hunter2');
    expect(await recordsIn(dataDir)).toHaveLength(16);
  });

  it('keeps so many files of such a length', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir, { maxBytes: 300, keep: 2 });
    for (let index = 0; index < 8; index += 1) {
      audit.note(published({ version: `v1.0.${index}` }));
      await audit.flush();
    }
    const file = auditFileIn(dataDir);
    expect([0, 1, 2, 3].map((number) => existsSync(numberedFile(file, number)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect((await recordsIn(dataDir)).map(({ version }) => version)).toEqual([
      'v1.0.2',
      'v1.0.3',
      'v1.0.4',
      'v1.0.5',
      'v1.0.6',
      'v1.0.7',
    ]);
  });

  it('takes lines of several processes and turns over without losing one', async () => {
    const dataDir = dataFolder();
    const script = `
      const { createAudit } = await import('${new URL('./audit-log.ts', import.meta.url).href}');
      const { systemClock } = await import('${new URL('../lib/clock.ts', import.meta.url).href}');
      const [, dataDir, instance] = process.argv;
      const audit = createAudit({ clock: systemClock, dataDir, instance, maxBytes: 40_000, keep: 50 });
      for (let round = 0; round < 60; round += 1) {
        for (let index = 0; index < 5; index += 1)
          audit.note({ action: 'publish', who: 'token:ci', from: '::1', result: 'ok', reason: 'x'.repeat(round * 5 + index) });
        await audit.flush();
      }
      await audit.close();`;
    const run = (instance: string): Promise<number | null> =>
      new Promise((resolve, reject) => {
        const args = ['--input-type=module', '-e', script, dataDir, instance];
        const child = spawn(process.execPath, args, { stdio: 'inherit' });
        child.once('error', reject);
        child.once('exit', resolve);
      });
    expect(await Promise.all(['p', 'q', 'r'].map(run))).toEqual([0, 0, 0]);
    expect(existsSync(numberedFile(auditFileIn(dataDir), 1))).toBe(true);
    const records = await recordsIn(dataDir);
    expect(records).toHaveLength(900);
    for (const instance of ['p', 'q', 'r']) {
      const seqs = records.filter((record) => record.instance === instance).map(({ seq }) => seq);
      expect(seqs).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
    }
  });

  it('loses nothing to a short trouble with the disk, and says so once', async () => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, 'audit'), 'in the way');
    const clock = new FakeClock();
    const told: string[] = [];
    const audit = auditIn(dataDir, {
      clock,
      onFault: ({ message }) => told.push(message),
      onRecovered: () => told.push('recovered'),
    });
    audit.note(published());
    audit.note(published());
    await audit.flush();
    await audit.flush();
    rmSync(join(dataDir, 'audit'));
    await clock.advance(5_000);
    await expect.poll(() => audit.counters.written).toBe(2);
    expect(told).toEqual([
      expect.stringMatching(/^the audit cannot be written: .*free the disk/),
      'recovered',
    ]);
  });

  it('tells how many entries a full disk cost', async () => {
    const disk = await smallTmpfs(64 * 1024);
    onTestFinished(disk.remove);
    const dataDir = disk.path;
    writeFileSync(join(dataDir, 'ballast'), Buffer.alloc(40 * 1024));
    const clock = new FakeClock();
    const audit = auditIn(dataDir, { clock });
    for (let index = 0; index < 10_500; index += 1) audit.note(published({ reason: 'y'.repeat(300) }));
    await audit.flush();
    expect(audit.counters.failures).toBeGreaterThan(0);
    expect(audit.counters.lost).toBeGreaterThan(0);
    const { lost } = audit.counters;
    await audit.close();
    expect(audit.counters.written + audit.counters.lost).toBe(10_500);
    expect(lost).toBeLessThanOrEqual(500);
  });

  it('tells the next reader of what was lost', async () => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, 'audit'), 'in the way');
    const audit = auditIn(dataDir);
    for (let index = 0; index < 10_007; index += 1) audit.note(published());
    await audit.flush();
    rmSync(join(dataDir, 'audit'));
    await audit.flush();
    audit.note(published({ reason: 'after' }));
    await audit.flush();
    const last = (await recordsIn(dataDir)).at(-1);
    expect(last).toMatchObject({ reason: 'after', lost: 7, seq: 10_008 });
  });

  it('notes nothing once it is closed', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    audit.note(denied());
    await audit.close();
    audit.note(published());
    await audit.flush();
    expect((await recordsIn(dataDir)).map(({ action }) => action)).toEqual(['denied']);
  });
});

describe('the reader of the audit', () => {
  it('passes over torn and foreign lines, and takes what was written twice once', async () => {
    const dataDir = dataFolder();
    const audit = auditIn(dataDir);
    audit.note(published({ reason: 'one' }));
    await audit.flush();
    const file = auditFileIn(dataDir);
    appendFileSync(
      file,
      `${readFileSync(file, 'utf8')}null\n[]\n{"action":"publish"}\n\u0000\n{"at":"never"`,
    );
    audit.note(published({ reason: 'two' }));
    await audit.flush();
    expect((await recordsIn(dataDir)).map(({ reason }) => reason)).toEqual(['one', 'two']);
  });

  it('merges what strangers caused with all else by its time, and goes on where it stopped', async () => {
    const dataDir = dataFolder();
    const clock = new FakeClock();
    const audits = ['a', 'b'].map((instance) => auditIn(dataDir, { clock, instance }));
    const round = async (name: string): Promise<void> => {
      for (const entry of [published({ reason: `${name} act` }), denied({ reason: `${name} denial` })]) {
        for (const audit of audits) {
          audit.note(entry);
          await audit.flush();
          await clock.advance(1);
        }
      }
    };
    await round('one');
    await round('two');
    const reader = new AuditReader(dataDir);
    const read = async (limit?: number): Promise<string[]> => {
      const reasons: string[] = [];
      await reader.read(({ instance, reason }) => reasons.push(`${instance} ${reason}`), limit);
      return reasons;
    };
    const mark = await reader.mark();
    expect(await read(7)).toEqual([
      'b one act',
      'a one denial',
      'b one denial',
      'a two act',
      'b two act',
      'a two denial',
      'b two denial',
    ]);
    audits[0]?.note(denied({ reason: 'late' }));
    await audits[0]?.flush();
    expect(await reader.mark()).not.toBe(mark);
    expect(await read()).toEqual(['a late']);
  });

  it('selects by time, action, who, module and result', async () => {
    const dataDir = dataFolder();
    const clock = new FakeClock();
    const audit = auditIn(dataDir, { clock });
    audit.note(published({ module: 'corp.example/old' }));
    await clock.advance(3_600_000);
    audit.note(published({ module: 'corp.example/team/x', who: 'user:alice' }));
    audit.note(published({ action: 'unpublish', module: 'other.example/x', result: 'refused' }));
    audit.note({ action: 'mode', who: 'local:root', from: 'local', result: 'ok' });
    await audit.flush();
    const modules = async (filter: Parameters<typeof recordsIn>[1]): Promise<(string | undefined)[]> =>
      (await recordsIn(dataDir, filter)).map(({ module }) => module);
    expect(await modules({ sinceMs: clock.now() - 1 })).toEqual([
      'corp.example/team/x',
      'other.example/x',
      undefined,
    ]);
    expect(await modules({ action: 'unpublish' })).toEqual(['other.example/x']);
    expect(await modules({ who: 'alice' })).toEqual(['corp.example/team/x']);
    expect(await modules({ who: 'user:alice' })).toEqual(['corp.example/team/x']);
    expect(await modules({ who: 'lice' })).toEqual([]);
    expect(await modules({ isModule: (path) => path.startsWith('corp.example/team/') })).toEqual([
      'corp.example/team/x',
    ]);
    expect(await modules({ result: 'refused' })).toEqual(['other.example/x']);
  });

  it('takes what is no file for no audit', async () => {
    const dataDir = dataFolder();
    mkdirSync(auditFileIn(dataDir), { recursive: true });
    expect(await recordsIn(dataDir)).toEqual([]);
  });
});
