import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { HealthEvents } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { logEvents, logHealthEvents } from './event-log.ts';
import { createLog } from './log.ts';

function fixture(level: 'debug' | 'info' = 'debug') {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level,
    format: 'json',
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  const health = new EventBus<HealthEvents>();
  const ingest = new EventBus<IngestEvents>();
  const stops = [logHealthEvents(health, log), logEvents(ingest, log, new FakeClock())];
  return { lines, health, ingest, stops };
}

describe('the log of health', () => {
  it('warns of trouble and informs of recovery', () => {
    const { health, lines } = fixture('info');
    const change = { upstream: 'cn', cause: 'timeout', score: 70.4 };
    health.emit('state', { ...change, from: 'healthy', to: 'suspect' });
    health.emit('state', { ...change, from: 'suspect', to: 'out' });
    health.emit('state', { ...change, from: 'out', to: 'recovering' });
    health.emit('breaker', { upstream: 'cn', from: 'closed', to: 'open', cause: '', openMs: 1 });
    health.emit('breaker', { upstream: 'cn', from: 'open', to: 'closed', cause: '', openMs: undefined });
    health.emit('switched', { route: 'public', from: 'cn', to: 'io', cause: 'cn: suspect' });
    health.emit('switched', { route: 'public', from: undefined, to: 'io', cause: '' });
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn', 'info', 'warn', 'info', 'warn', 'info']);
    expect(lines[0]).toMatchObject({
      upstream: 'cn',
      from: 'healthy',
      to: 'suspect',
      cause: 'timeout',
      score: 70,
    });
  });

  it('says the same words for the same thing', () => {
    const { health, lines } = fixture();
    for (const upstream of ['cn', 'io']) health.emit('rest', { upstream, forMs: 1, status: 429 });
    expect(new Set(lines.map(({ msg }) => msg)).size).toBe(1);
  });

  it('keeps single questions for debugging', () => {
    for (const level of ['debug', 'info'] as const) {
      const { health, lines } = fixture(level);
      health.emit('attempt', { upstream: 'cn', answerClass: 'meta', code: 'ok', tookMs: 1 });
      health.emit('body', { upstream: 'cn', answerClass: 'meta', bytes: 1, tookMs: 1, isComplete: true });
      health.emit('probe', { upstream: 'cn', code: 'timeout', tookMs: 1, message: '' });
      health.emit('hedge', { upstream: 'cn' });
      health.emit('repeat', { upstream: 'cn', nth: 1 });
      expect(lines.map((line) => line['level'])).toEqual(level === 'debug' ? Array(5).fill('debug') : []);
    }
  });

  it('warns of a take-over with both ends', () => {
    const { ingest, lines } = fixture();
    const key = { path: 'example.com/m' as ModulePath, version: 'v1.2.0' as Version, ext: 'zip' } as const;
    ingest.emit('takeOver', { key, from: 'cn', to: 'io', atByte: 7, how: 'restarted', cause: 'stalled' });
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'warn',
        module: 'example.com/m',
        from: 'cn',
        to: 'io',
        atByte: 7,
        cause: 'stalled',
      }),
    ]);
  });

  it('stops when told to', () => {
    const { health, ingest, lines, stops } = fixture();
    for (const stop of stops) stop();
    health.emit('budgetSpent', { what: 'hedge' });
    ingest.emit('withdrawn', { path: 'example.com/m' as ModulePath, version: 'v1.2.0', source: 'cn' });
    expect(lines).toEqual([]);
  });
});
