import { appendFileSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { History } from '../../telemetry/history.ts';
import { eventFilesIn } from '../../telemetry/history-file.ts';
import { eventLine, type NewEvent } from '../../telemetry/history-types.ts';
import { followingContext } from '../test-following.ts';
import { type FakeCli, fakeCli, tempFolder } from '../test-kit.ts';
import { events } from './events.ts';

const started = Date.now();

/** Local, as the command prints it. */
function localText(atMs: number): string {
  const at = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 19).replace('T', ' ');
}

function event(changes: Partial<NewEvent> = {}): NewEvent {
  return { kind: 'state', severity: 'warning', upstream: 'cn', message: 'cn is suspect', ...changes };
}

/** Events at that many minutes before now. */
async function withEvents(...told: readonly [minutesAgo: number, event: NewEvent][]) {
  const data = tempFolder();
  mkdirSync(join(data, 'meta'));
  for (const [index, [minutesAgo, one]] of told.entries()) {
    const clock = new FakeClock(started - minutesAgo * 60_000);
    const history = new History({ clock, dataDir: data, instance: `process${index}` });
    history.note(one);
    await history.close();
  }
  return { data, cli: fakeCli({ env: { MODFERRY_DATA: data } }) };
}

async function linesOf(cli: FakeCli, ...args: string[]): Promise<string[]> {
  const { code, stdout } = await cli.run('events', ...args);
  expect(code).toBe(0);
  return stdout.split('\n').slice(0, -1);
}

describe('modferry events', () => {
  it('prints local time, mark and message, the newest last', async () => {
    const { cli } = await withEvents(
      [5, event({ severity: 'error', message: 'cn is out' })],
      [10, event()],
      [1, event({ severity: 'info', message: 'cn is healthy' })],
    );
    expect(await linesOf(cli)).toEqual([
      `${localText(started - 600_000)}  ! cn is suspect`,
      `${localText(started - 300_000)}  ✗ cn is out`,
      `${localText(started - 60_000)}    cn is healthy`,
    ]);
  });

  it('selects by time, upstream, kind and number', async () => {
    const { cli } = await withEvents(
      [90, event({ message: 'long ago' })],
      [30, event({ message: 'of io', upstream: 'io' })],
      [20, event({ message: 'a pause', kind: 'rest' })],
      [10, event({ message: 'the newest' })],
    );
    const messages = async (...args: string[]): Promise<string[]> =>
      (await linesOf(cli, ...args)).map((line) => line.slice(23));
    expect(await messages('--since', '1h')).toEqual(['of io', 'a pause', 'the newest']);
    expect(await messages('--upstream', 'io')).toEqual(['of io']);
    expect(await messages('--kind', 'rest')).toEqual(['a pause']);
    expect(await messages('-n', '2')).toEqual(['a pause', 'the newest']);
    expect(await messages('--upstream', 'cn', '--limit', '2', '--since', '25m')).toEqual([
      'a pause',
      'the newest',
    ]);
  });

  it('gives each line whole to scripts', async () => {
    const { cli } = await withEvents([1, event({ module: 'example.com/m', data: { score: 71 } })]);
    expect((await linesOf(cli, '--json')).map((line): unknown => JSON.parse(line))).toEqual([
      {
        at: new Date(started - 60_000).toISOString(),
        instance: 'process0',
        number: 1,
        kind: 'state',
        severity: 'warning',
        upstream: 'cn',
        module: 'example.com/m',
        message: 'cn is suspect',
        data: { score: 71 },
      },
    ]);
  });

  it('tells how many events a line stands for, and lets no message drive the terminal', async () => {
    const { cli, data } = await withEvents();
    const line = { ...event({ message: '\u001b[2Jred' }), atMs: started, instance: 'a', number: 1, count: 8 };
    appendFileSync(eventFilesIn(data).current, eventLine(line));
    expect((await linesOf(cli))[0]).toContain('! ?[2Jred (and 7 more alike)');
  });

  it('says so when there are none, and leaves no trace', async () => {
    const { cli, data } = await withEvents();
    const before = readdirSync(data, { recursive: true });
    const { code, stdout, stderr } = await cli.run('events');
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: 'no such events\n' });
    expect(readdirSync(data, { recursive: true })).toEqual(before);
  });

  it('says where it looked when there is no folder', async () => {
    const cwd = tempFolder();
    const { code, stderr } = await fakeCli({ cwd }).run('events');
    expect(code).toBe(1);
    expect(stderr).toBe(`modferry: there is no data folder ${cwd}/modferry-data; name it with --data\n`);
  });

  it('says why it cannot read them', async () => {
    const { data, cli } = await withEvents();
    symlinkSync('events.jsonl', join(data, 'meta', 'events.jsonl'));
    const { code, stderr } = await cli.run('events');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^modferry: the events in \S+ cannot be read: ELOOP/);
  });

  it.each([
    ['--since', 'yesterday', 'write a time'],
    ['--since', '0s', 'write a time'],
    ['--limit', '0', 'write a whole number'],
    ['--limit', '1e9', 'write a whole number'],
    ['--kind', 'gossip', 'state'],
  ])('refuses %s %s', async (flag, value, hint) => {
    const { cli } = await withEvents();
    const { code, stderr } = await cli.run('events', flag, value);
    expect(code).toBe(2);
    expect(stderr).toContain(hint);
  });

  it('follows what other processes write until Ctrl-C, over a turn of the files', async () => {
    const { data } = await withEvents([1, event({ message: 'before' })]);
    const { context, lines, interrupt } = followingContext(data);
    const messages = (): unknown[] => lines().map(({ message }) => message);
    const running = events.call(context, { follow: true, json: true, upstream: 'cn' });
    await expect.poll(messages).toEqual(['before']);

    const history = new History({ clock: systemClock, dataDir: data, instance: 'later' });
    history.note(event({ message: 'while it follows' }));
    await history.flush();
    await expect.poll(messages).toEqual(['before', 'while it follows']);

    appendFileSync(eventFilesIn(data).current, `${'x'.repeat(1024 * 1024)}\n`);
    history.note(event({ message: 'of another upstream', upstream: 'io' }));
    history.note(event({ message: 'after the turn' }));
    await history.close();
    await expect.poll(messages).toEqual(['before', 'while it follows', 'after the turn']);

    interrupt();
    await running;
    expect(messages()).toHaveLength(3);
  });
});
