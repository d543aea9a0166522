import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type WatchFolder, watchConfigFile } from './watch-file.ts';

/** Timers that run when told to, and a folder whose events are made by hand. */
function fakes() {
  const timers: { callback: () => void; delayMs: number; cancelled: boolean }[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    setTimeout(callback, delayMs) {
      const timer = { callback, delayMs, cancelled: false };
      timers.push(timer);
      return { cancel: () => (timer.cancelled = true) };
    },
  };
  const ignore: (value: unknown) => void = () => {};
  const folder = { path: '', closed: 0, event: ignore, fail: ignore };
  const watch: WatchFolder = (path, onEvent, onError) => {
    Object.assign(folder, { path, event: onEvent, fail: onError });
    return { close: () => (folder.closed += 1) };
  };
  const told = { changes: 0, errors: [] as unknown[] };
  const options = {
    clock,
    watch,
    onChange: () => {
      told.changes += 1;
    },
    onError: (error: unknown) => {
      told.errors.push(error);
    },
  };
  const runTimers = () => {
    for (const timer of timers.splice(0)) if (!timer.cancelled) timer.callback();
  };
  return { options, folder, told, runTimers };
}

describe('watchConfigFile', () => {
  it('tells a burst of changes once, when it is over', () => {
    const { options, folder, told, runTimers } = fakes();
    watchConfigFile('/etc/modferry/modferry.yaml', options);

    folder.event('modferry.yaml');
    folder.event('modferry.yaml');
    folder.event('..data');
    folder.event(undefined);
    expect(told.changes).toBe(0);
    runTimers();

    expect(folder.path).toBe('/etc/modferry');
    expect(told.changes).toBe(1);
  });

  it('does not care for other files of the folder', () => {
    const { options, folder, told, runTimers } = fakes();
    watchConfigFile('/etc/modferry/modferry.yaml', options);

    folder.event('modferry.yaml.swp');
    runTimers();

    expect(told.changes).toBe(0);
  });

  it('tells nothing more when it is stopped', () => {
    const { options, folder, told, runTimers } = fakes();
    const stop = watchConfigFile('/etc/modferry.yaml', options);

    folder.event('modferry.yaml');
    stop();
    stop();
    runTimers();

    expect([told.changes, folder.closed]).toEqual([0, 1]);
  });

  it('hands on a watch that breaks, at once or later', () => {
    const later = fakes();
    watchConfigFile('/etc/modferry.yaml', later.options);
    later.folder.fail(new Error('gone'));
    const never = fakes();
    const watch: WatchFolder = () => {
      throw new Error('no watches left');
    };
    watchConfigFile('/etc/modferry.yaml', { ...never.options, watch });

    expect(later.told.errors).toEqual([new Error('gone')]);
    expect(later.folder.closed).toBe(1);
    expect(never.told.errors).toEqual([new Error('no watches left')]);
  });

  it('sees a real file replaced by a rename', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modferry-watch-'));
    const file = join(folder, 'modferry.yaml');
    await writeFile(file, 'listen: localhost:1\n');
    const changed = Promise.withResolvers<void>();
    const stop = watchConfigFile(file, {
      clock: systemClock,
      onChange: changed.resolve,
      onError: changed.reject,
      quietMs: 1,
    });
    try {
      await writeFile(`${file}.new`, 'listen: localhost:2\n');
      await rename(`${file}.new`, file);
      // The watch does not keep the process alive, so the test does.
      const alive = setInterval(() => {}, 1000);
      await changed.promise.finally(() => clearInterval(alive));
    } finally {
      stop();
      await rm(folder, { recursive: true });
    }
  });
});
