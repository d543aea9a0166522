import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { HealthEvents } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { keepHistory } from './history-events.ts';
import type { NewEvent } from './history-types.ts';

const key = { path: 'example.com/m' as ModulePath, version: 'v1.2.0' as Version, ext: 'zip' } as const;

function fixture() {
  const health = new EventBus<HealthEvents>();
  const ingest = new EventBus<IngestEvents>();
  const noted: NewEvent[] = [];
  const stop = keepHistory({ note: (event) => noted.push(event) }, { health, ingest });
  return { health, ingest, noted, stop };
}

/** What is noted of one event: `severity kind upstream: message`. */
function toldOf<Type extends keyof HealthEvents>(type: Type, payload: HealthEvents[Type]): string[] {
  const { health, noted } = fixture();
  health.emit(type, payload);
  return noted.map(textOf);
}

function toldOfIngest<Type extends keyof IngestEvents>(type: Type, payload: IngestEvents[Type]): string[] {
  const { ingest, noted } = fixture();
  ingest.emit(type, payload);
  return noted.map(textOf);
}

function textOf({ severity, kind, upstream = '-', message }: NewEvent): string {
  return `${severity} ${kind} ${upstream}: ${message}`;
}

describe('the history tells of health', () => {
  it('changes of state, and how bad they are', () => {
    const change = {
      upstream: 'cn',
      from: 'healthy',
      cause: 'timeout: no first byte within 5 s',
      score: 71.3,
    } as const;
    expect(toldOf('state', { ...change, to: 'suspect' })).toEqual([
      'warning state cn: cn is suspect, was healthy: timeout: no first byte within 5 s (score 71)',
    ]);
    expect(toldOf('state', { ...change, to: 'out' })[0]).toMatch(/^error /);
    expect(toldOf('state', { ...change, to: 'slow' })[0]).toMatch(/^warning /);
    expect(toldOf('state', { ...change, to: 'recovering' })[0]).toMatch(/^info /);
    expect(toldOf('state', { ...change, to: 'healthy' })[0]).toMatch(/^info /);
  });

  it('changes of the favourite: trouble, choice, the first, and nobody', () => {
    const route = 'public';
    expect(
      toldOf('switched', { route, from: 'cn', to: 'io', cause: 'cn: suspect, failed 1 s ago: timeout' }),
    ).toEqual([
      'warning switch io: io is asked first for public modules instead of cn: cn: suspect, failed 1 s ago: timeout',
    ]);
    expect(toldOf('switched', { route, from: 'cn', to: 'io', cause: 'cn is slow' })[0]).toMatch(/^warning/);
    expect(
      toldOf('switched', { route, from: 'io', to: 'cn', cause: 'cn is well and preferred to io' })[0],
    ).toMatch(/^info/);
    expect(toldOf('switched', { route, from: 'c', to: 'cn', cause: 'cn: whatever' })[0]).toMatch(/^info/);
    expect(toldOf('switched', { route, from: undefined, to: 'cn', cause: 'the first choice' })).toEqual([
      'info switch cn: cn is asked first for public modules: the first choice',
    ]);
    expect(toldOf('switched', { route, from: 'cn', to: undefined, cause: 'cn: out' })).toEqual([
      'error switch cn: nobody is well enough to be asked first for public modules: cn: out',
    ]);
  });

  it('breakers, pauses and budgets', () => {
    const upstream = 'cn';
    expect(
      toldOf('breaker', {
        upstream,
        from: 'closed',
        to: 'open',
        cause: '12 of 20 answers failed',
        openMs: 30_000,
      }),
    ).toEqual(['warning breaker cn: the breaker of cn opened for 30s: 12 of 20 answers failed']);
    expect(
      toldOf('breaker', {
        upstream,
        from: 'open',
        to: 'half_open',
        cause: 'its time is over',
        openMs: undefined,
      }),
    ).toEqual(['info breaker cn: the breaker of cn is half-open: its time is over']);
    expect(toldOf('rest', { upstream, forMs: 90_000, status: 429 })).toEqual([
      'warning rest cn: cn asked for a pause and gets 1m30s (status 429)',
    ]);
    expect(toldOf('budgetSpent', { what: 'hedge' })[0]).toContain('hedges is used up');
    expect(toldOf('budgetSpent', { what: 'repeat' })[0]).toContain('repeats is used up');
  });

  it('not single questions', () => {
    const { health, noted } = fixture();
    health.emit('attempt', { upstream: 'cn', answerClass: 'meta', code: 'timeout', tookMs: 1 });
    health.emit('probe', { upstream: 'cn', code: 'ok', tookMs: 1, message: '' });
    health.emit('hedge', { upstream: 'cn' });
    health.emit('repeat', { upstream: 'cn', nth: 1 });
    expect(noted).toEqual([]);
  });
});

describe('the history tells of fetches', () => {
  it('take-overs', () => {
    const takeOver = {
      key,
      from: 'cn',
      to: 'io',
      atByte: 65_536,
      how: 'resumed',
      cause: 'stalled for 15 s',
    } as const;
    expect(toldOfIngest('takeOver', takeOver)).toEqual([
      'warning take_over cn: io took over example.com/m@v1.2.0.zip from cn at byte 65536 (resumed): stalled for 15 s',
    ]);
  });

  it('bytes that were refused, and those that differ', () => {
    expect(toldOfIngest('refused', { key, source: 'cn', reason: 'wrong CRC of a.go' })).toEqual([
      'warning refused cn: refused what cn sent as example.com/m@v1.2.0.zip: wrong CRC of a.go',
    ]);
    expect(
      toldOfIngest('conflict', { key, source: 'cn', storedSha256: 'aa', offeredSha256: 'bb' })[0],
    ).toMatch(/^error conflict cn: cn sent other bytes as example\.com\/m@v1\.2\.0\.zip/);
    expect(toldOfIngest('withdrawn', { path: key.path, version: 'v1.2.0', source: 'cn' })[0]).toMatch(
      /^warning withdrawn cn: example\.com\/m@v1\.2\.0 is listed by cn/,
    );
  });

  it('a disk that takes no more', () => {
    expect(toldOfIngest('passedThrough', { key, reason: 'the disk is 95 % full' })).toEqual([
      'error disk -: example.com/m@v1.2.0.zip was passed on without being stored: the disk is 95 % full',
    ]);
    expect(toldOfIngest('publishFailed', { key, code: 'io', message: 'EIO' })).toEqual([
      'error disk -: example.com/m@v1.2.0.zip could not be stored: EIO',
    ]);
  });

  it('until it is told to stop', () => {
    const { health, ingest, noted, stop } = fixture();
    stop();
    health.emit('budgetSpent', { what: 'hedge' });
    ingest.emit('refused', { key, source: 'cn', reason: '' });
    expect(noted).toEqual([]);
  });
});
