import { spawn } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { eventFilesIn, eventFilesMark, readEvents } from './history-file.ts';
import { eventLine, type HistoryEvent, parseEventLine } from './history-types.ts';
import { dataFolder, historyIn, stateEvent, textOf } from './test-history.ts';

const lineBytes = 1024;

/** Fills the current file to a little below a mebibyte. */
function almostFull(dataDir: string, left = 100): void {
  const filler = `${'x'.repeat(lineBytes - 1)}\n`.repeat(1024);
  writeFileSync(eventFilesIn(dataDir).current, filler.slice(left));
}

async function messagesIn(dataDir: string): Promise<string[]> {
  return (await readEvents(dataDir)).map(({ message }) => message);
}

async function noteIn(dataDir: string, instance: string, ...messages: string[]): Promise<void> {
  const history = historyIn(dataDir, instance);
  for (const message of messages) history.note(stateEvent({ message }));
  await history.close();
}

describe('the files of the history', () => {
  it('turn over at a mebibyte, and both are read', async () => {
    const dataDir = dataFolder();
    almostFull(dataDir);
    await noteIn(dataDir, 'a', 'the last of the old file');
    await noteIn(dataDir, 'b', 'the first of the new one');
    expect(textOf(dataDir, 'before')).toContain('the last of the old file');
    expect(textOf(dataDir).split('\n')).toHaveLength(2);
    expect(await messagesIn(dataDir)).toEqual(['the last of the old file', 'the first of the new one']);
  });

  it('turn over once, whoever does it', async () => {
    const dataDir = dataFolder();
    almostFull(dataDir, 0);
    const names = Array.from({ length: 8 }, (_, index) => `process ${index}`);
    await Promise.all(names.map((name) => noteIn(dataDir, name, `of ${name}`)));
    expect((await messagesIn(dataDir)).sort()).toEqual(names.map((name) => `of ${name}`).sort());
    expect(textOf(dataDir, 'before').length).toBeGreaterThan(1024 * 1024 - 1);
  });

  it('turn over although a process died while it did so', async () => {
    const dataDir = dataFolder();
    almostFull(dataDir, 0);
    const lock = `${eventFilesIn(dataDir).current}.lock`;
    writeFileSync(lock, '');
    const clock = new FakeClock();
    const history = historyIn(dataDir, 'a', clock);
    history.note(stateEvent({ message: 'one' }));
    await history.flush();
    // The lock is the same after five seconds.
    await clock.advance(5_000);
    history.note(stateEvent({ message: 'two' }));
    let isDone = false;
    const flushed = history.flush().finally(() => {
      isDone = true;
    });
    while (!isDone) await clock.advance(50);
    await flushed;
    expect(textOf(dataDir, 'before')).toContain('"one"');
    expect(textOf(dataDir)).toContain('"two"');
  });

  it('are written by several processes at once without mixing lines', async () => {
    const dataDir = dataFolder();
    const script = `
      const { History } = await import('${new URL('./history.ts', import.meta.url).href}');
      const { systemClock } = await import('${new URL('../lib/clock.ts', import.meta.url).href}');
      const [, dataDir, instance] = process.argv;
      const history = new History({ clock: systemClock, dataDir, instance });
      for (let round = 0; round < 40; round += 1) {
        for (let index = 0; index < 5; index += 1)
          history.note({ kind: 'state', severity: 'info', message: 'x'.repeat(1 + (round * 5 + index)) });
        await history.flush();
      }
      await history.close();`;
    const codes = await Promise.all(
      ['p', 'q', 'r'].map(
        (instance) =>
          new Promise((resolve, reject) => {
            const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir, instance], {
              stdio: 'inherit',
            });
            child.once('error', reject);
            child.once('exit', resolve);
          }),
      ),
    );
    expect(codes).toEqual([0, 0, 0]);
    const lines = textOf(dataDir)
      .split('\n')
      .filter((line) => line !== '');
    expect(lines.filter((line) => parseEventLine(line) === undefined)).toEqual([]);
    expect(await readEvents(dataDir)).toHaveLength(600);
  });

  it('are read past torn and foreign lines, which spoil no line after them', async () => {
    const dataDir = dataFolder();
    await noteIn(dataDir, 'a', 'one');
    appendFileSync(
      eventFilesIn(dataDir).current,
      'null\n[]\n{"kind":"state"}\n\u0000\u00ff\n{"at":"never","instance":"z","number":1,"kind":"state","severity":"info","message":""}\n{"at":"2026-01',
    );
    await noteIn(dataDir, 'b', 'two');
    expect(await messagesIn(dataDir)).toEqual(['one', 'two']);
  });

  it('tell what was written twice once', async () => {
    const dataDir = dataFolder();
    await noteIn(dataDir, 'a', 'one', 'two');
    appendFileSync(eventFilesIn(dataDir).before, textOf(dataDir));
    expect(await messagesIn(dataDir)).toEqual(['one', 'two']);
  });

  it('are read in the order of time, whoever wrote', async () => {
    const dataDir = dataFolder();
    const later = new FakeClock(Date.UTC(2026, 5, 1));
    const first = historyIn(dataDir, 'late', later);
    first.note(stateEvent({ message: 'June' }));
    await first.close();
    await noteIn(dataDir, 'early', 'January');
    expect(await messagesIn(dataDir)).toEqual(['January', 'June']);
  });

  it('may be absent, and may be enormous', async () => {
    const dataDir = dataFolder();
    expect(await readEvents(dataDir)).toEqual([]);
    await noteIn(dataDir, 'a', 'buried');
    const { current } = eventFilesIn(dataDir);
    appendFileSync(current, `${'y'.repeat(lineBytes - 1)}\n`.repeat(3 * 1024));
    const event: HistoryEvent = {
      ...stateEvent({ message: 'on top' }),
      atMs: 1,
      instance: 'b',
      number: 1,
      count: 1,
    };
    appendFileSync(current, eventLine(event));
    expect(await messagesIn(dataDir)).toEqual(['on top']);
  });

  it('have a mark that changes with each event', async () => {
    const dataDir = dataFolder();
    const marks = [await eventFilesMark(dataDir)];
    await noteIn(dataDir, 'a', 'one');
    marks.push(await eventFilesMark(dataDir));
    await noteIn(dataDir, 'b', 'two');
    marks.push(await eventFilesMark(dataDir));
    rmSync(eventFilesIn(dataDir).current);
    expect(new Set(marks).size).toBe(3);
    expect(await eventFilesMark(dataDir)).toBe('');
  });
});
