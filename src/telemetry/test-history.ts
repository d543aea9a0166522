/** Test help: a data folder with its history, and events to note. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { History } from './history.ts';
import { eventFilesIn } from './history-file.ts';
import type { NewEvent } from './history-types.ts';

export function stateEvent(changes: Partial<NewEvent> = {}): NewEvent {
  return {
    kind: 'state',
    severity: 'warning',
    upstream: 'cn',
    message: 'cn is suspect, was healthy: timeout (score 71)',
    data: { score: 71 },
    ...changes,
  };
}

/** With its `meta` folder; removed after the test. */
export function dataFolder(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'modferry-history-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  mkdirSync(join(dataDir, 'meta'));
  return dataDir;
}

export function historyIn(dataDir: string, instance = 'a', clock: Clock = new FakeClock()): History {
  const history = new History({ clock, dataDir, instance });
  onTestFinished(() => history.close());
  return history;
}

/** Empty when there is no such file. */
export function textOf(dataDir: string, which: 'current' | 'before' = 'current'): string {
  try {
    return readFileSync(eventFilesIn(dataDir)[which], 'utf8');
  } catch {
    return '';
  }
}
