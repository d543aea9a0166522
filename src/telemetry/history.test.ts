import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { readEvents } from './history-file.ts';
import { dataFolder, historyIn, stateEvent, textOf } from './test-history.ts';

describe('the history', () => {
  it('writes what was noted within a second, in one batch', async () => {
    const clock = new FakeClock();
    const dataDir = dataFolder();
    const history = historyIn(dataDir, 'a', clock);
    history.note(stateEvent());
    history.note(stateEvent({ kind: 'mode', upstream: undefined, message: 'the mode is offline' }));
    expect(textOf(dataDir)).toBe('');
    await clock.advance(1_000);
    await history.flush();
    expect(
      textOf(dataDir)
        .split('\n')
        .slice(0, -1)
        .map((line): unknown => JSON.parse(line)),
    ).toEqual([
      {
        at: '2026-01-01T00:00:00.000Z',
        instance: 'a',
        number: 1,
        kind: 'state',
        severity: 'warning',
        upstream: 'cn',
        message: 'cn is suspect, was healthy: timeout (score 71)',
        data: { score: 71 },
      },
      expect.objectContaining({ number: 2, kind: 'mode', message: 'the mode is offline' }),
    ]);
  });

  it('writes by itself, without anybody asking', async () => {
    const clock = new FakeClock();
    const dataDir = dataFolder();
    historyIn(dataDir, 'a', clock).note(stateEvent());
    await clock.advance(1_000);
    await expect.poll(() => textOf(dataDir)).toContain('"cn is suspect');
  });

  it('writes what is left when it is closed, and notes nothing after that', async () => {
    const dataDir = dataFolder();
    const history = historyIn(dataDir);
    history.note(stateEvent());
    await history.close();
    history.note(stateEvent({ message: 'too late' }));
    await history.flush();
    expect((await readEvents(dataDir)).map(({ message }) => message)).toEqual([stateEvent().message]);
  });

  it('keeps the last thousand in memory, oldest first', () => {
    const history = historyIn(dataFolder());
    for (let index = 0; index < 1_100; index += 1) {
      history.note(stateEvent({ message: `event ${letters(index)}` }));
    }
    const kept = history.recent();
    expect(kept).toHaveLength(1_000);
    expect(kept.at(-1)?.message).toBe(`event ${letters(1_099)}`);
    expect(kept[0]?.message).toBe(`event ${letters(100)}`);
  });

  it('selects by time, upstream, kind and number', async () => {
    const clock = new FakeClock();
    const history = historyIn(dataFolder(), 'a', clock);
    history.note(stateEvent({ message: 'one' }));
    await clock.advance(5_000);
    history.note(stateEvent({ message: 'two', upstream: 'io' }));
    history.note(stateEvent({ message: 'three', kind: 'rest' }));
    history.note(stateEvent({ message: 'four' }));
    const messages = (filter: Parameters<typeof history.recent>[0]): string[] =>
      history.recent(filter).map(({ message }) => message);
    expect(messages({ sinceMs: clock.now() })).toEqual(['two', 'three', 'four']);
    expect(messages({ upstream: 'io' })).toEqual(['two']);
    expect(messages({ kind: 'rest' })).toEqual(['three']);
    expect(messages({ upstream: 'cn', limit: 2 })).toEqual(['three', 'four']);
  });

  it('tells its readers each event of a disk that was away for a while', async () => {
    const clock = new FakeClock();
    const dataDir = dataFolder();
    const history = historyIn(dataDir, 'a', clock);
    renameSync(join(dataDir, 'meta'), join(dataDir, 'away'));
    history.note(stateEvent({ message: 'while it was away' }));
    await history.flush();
    expect(history.writeErrors).toBe(1);
    mkdirSync(join(dataDir, 'meta'));
    history.note(stateEvent({ message: 'and after' }));
    await clock.advance(9_000);
    expect(textOf(dataDir)).toBe('');
    await clock.advance(1_000);
    await history.flush();
    expect((await readEvents(dataDir)).map(({ message }) => message)).toEqual([
      'while it was away',
      'and after',
    ]);
  });

  it('stays bounded on a disk that takes nothing', async () => {
    const clock = new FakeClock();
    const dataDir = dataFolder();
    const history = historyIn(join(dataDir, 'absent'), 'a', clock);
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 600; index += 1) {
        history.note(stateEvent({ message: `event ${letters(index)} ${letters(round)}` }));
      }
      await history.flush();
    }
    mkdirSync(join(dataDir, 'absent', 'meta'), { recursive: true });
    await history.close();
    const kept = await readEvents(join(dataDir, 'absent'));
    expect(kept).toHaveLength(1_000);
    expect(kept.at(-1)?.message).toBe(`event ${letters(599)} ${letters(2)}`);
    expect(history.writeErrors).toBe(3);
  });

  it('works without a folder', async () => {
    const { History } = await import('./history.ts');
    const history = new History({ clock: new FakeClock(), dataDir: undefined, instance: 'a' });
    history.note(stateEvent());
    await history.close();
    expect(history.recent()).toHaveLength(1);
  });

  it('cuts what is too long and keeps it on one line', () => {
    const history = historyIn(dataFolder());
    history.note(stateEvent({ message: `a\nb\t${'x'.repeat(10_000)}`, data: { cause: 'y'.repeat(10_000) } }));
    const [event] = history.recent();
    expect(event?.message).toMatch(/^a b x{495}…$/);
    expect(String(event?.data?.['cause']).length).toBe(300);
  });
});

describe('repeats', () => {
  it('are joined when there are more than ten in ten seconds', async () => {
    const clock = new FakeClock();
    const history = historyIn(dataFolder(), 'a', clock);
    for (let index = 0; index < 50; index += 1) {
      history.note({
        kind: 'refused',
        severity: 'warning',
        upstream: 'cn',
        module: `example.com/m${index}`,
        message: `refused what cn sent as example.com/m${index}@v1.${index}.0.zip: wrong CRC`,
      });
      await clock.advance(100);
    }
    expect(history.recent()).toHaveLength(10);
    await clock.advance(10_000);
    const kept = history.recent();
    expect(kept).toHaveLength(11);
    expect(kept.at(-1)).toMatchObject({ count: 40, module: 'example.com/m49' });
  });

  it('are told one by one again afterwards', async () => {
    const clock = new FakeClock();
    const history = historyIn(dataFolder(), 'a', clock);
    for (let index = 0; index < 12; index += 1) history.note(stateEvent());
    await clock.advance(10_000);
    history.note(stateEvent());
    expect(history.recent().map(({ count }) => count)).toEqual([...Array(10).fill(1), 2, 1]);
  });

  it('of other upstreams, kinds and messages are others', () => {
    const history = historyIn(dataFolder());
    for (let index = 0; index < 10; index += 1) history.note(stateEvent());
    history.note(stateEvent({ upstream: 'io' }));
    history.note(stateEvent({ kind: 'rest' }));
    history.note(stateEvent({ message: 'something else' }));
    expect(history.recent()).toHaveLength(13);
  });

  it('that are held back are told at the end', async () => {
    const dataDir = dataFolder();
    const history = historyIn(dataDir);
    for (let index = 0; index < 15; index += 1) history.note(stateEvent());
    await history.close();
    expect((await readEvents(dataDir)).at(-1)?.count).toBe(5);
  });

  it('leave no timers behind', async () => {
    const clock = new FakeClock();
    const history = historyIn(dataFolder(), 'a', clock);
    for (let index = 0; index < 2_000; index += 1) history.note(stateEvent({ message: letters(index) }));
    expect(clock.timers).toBeLessThanOrEqual(501);
    await history.close();
    expect(clock.timers).toBe(0);
  });
});

/** A word for a number: numbers alone do not make messages differ. */
function letters(index: number): string {
  return String(index).replaceAll(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '');
}
