import { describe, expect, it } from 'vitest';
import type { ChecksumEvents } from '../checksums/checksums.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { noCounts, type ScrubEvents } from '../scrub/types.ts';
import type { SumdbEvents } from '../sumdb/types.ts';
import { keepProofHistory } from './history-proofs.ts';
import { keepScrubHistory } from './history-scrub.ts';
import { eventKinds, type NewEvent } from './history-types.ts';

const key = { path: 'example.com/m' as ModulePath, version: 'v1.0.0' as Version, ext: 'zip' } as const;

function listen() {
  const noted: NewEvent[] = [];
  const history = { note: (event: NewEvent) => void noted.push(event) };
  const sumdb = new EventBus<SumdbEvents>();
  const checksums = new EventBus<ChecksumEvents>();
  const scrub = new EventBus<ScrubEvents>();
  const ends = [keepProofHistory(history, { sumdb, checksums }), keepScrubHistory(history, scrub)];
  return { noted, sumdb, checksums, scrub, end: () => ends.forEach((end) => end()) };
}

describe('events of proofs', () => {
  it('tell a fork louder than anything else', () => {
    const { noted, sumdb } = listen();
    sumdb.emit('forked', { database: 'sum.test', source: 'cn', knownSize: 5, otherSize: 7 });
    expect(noted).toMatchObject([
      {
        kind: 'fork',
        severity: 'critical',
        upstream: 'cn',
        message: expect.stringContaining('sumdb show sum.test'),
      },
    ]);
  });

  it('tell a head that the disk has lost as loud, and what to do', () => {
    const { noted, sumdb } = listen();
    sumdb.emit('rotten', { database: 'sum.test', what: 'head', isTrustLost: true });
    sumdb.emit('rotten', { database: 'sum.test', what: 'head', isTrustLost: false });
    expect(noted).toMatchObject([
      { kind: 'rotten', severity: 'critical', message: expect.stringContaining('sumdb show sum.test') },
      { kind: 'rotten', severity: 'warning', message: expect.stringContaining('fetched anew') },
    ]);
  });

  it('tell what a source lied, what a disk changed, an order, a contradiction', () => {
    const { noted, sumdb, checksums } = listen();
    sumdb.emit('refused', { database: 'sum.test', source: 'cn', what: 'tile/8/0/001', reason: 'forged' });
    sumdb.emit('rotten', { database: 'sum.test', what: 'lookup/a@v1', isTrustLost: false });
    sumdb.emit('reset', { database: 'sum.test', reason: 'new key' });
    checksums.emit('contradiction', {
      key,
      label: 'app',
      trustedH1: 'a',
      database: 'sum.test',
      databaseH1: 'b',
    });
    expect(noted.map(({ kind, severity }) => [kind, severity])).toEqual([
      ['refused', 'warning'],
      ['rotten', 'warning'],
      ['sumdb', 'warning'],
      ['proof', 'error'],
    ]);
    expect(noted.every(({ kind }) => eventKinds.includes(kind))).toBe(true);
  });

  it('tell what the scrub found, and how it ended', () => {
    const { noted, scrub } = listen();
    scrub.emit('started', { resumed: true });
    scrub.emit('rotten', { key, reason: 'r', cause: 'rotten' });
    scrub.emit('rotten', { key, reason: 'r', cause: 'mismatch' });
    scrub.emit('healed', { key, source: 'cn' });
    scrub.emit('quarantined', { key, id: '0123', reason: 'r' });
    scrub.emit('unreadable', { key, reason: 'EIO' });
    scrub.emit('stuck', { key, reason: 'ENOSPC' });
    scrub.emit('proven', { key, by: 'sum.test #1' });
    scrub.emit('failed', { reason: 'r' });
    scrub.emit('finished', { ...noCounts, artifacts: 3, tookMs: 1 });
    scrub.emit('finished', { ...noCounts, artifacts: 3, rotten: 1, quarantined: 1, tookMs: 1 });
    expect(noted.map(({ kind, severity }) => `${kind} ${severity}`)).toEqual([
      'scrub info',
      'rotten error',
      'mismatch error',
      'healed warning',
      'quarantine error',
      'disk error',
      'disk error',
      'proof info',
      'scrub error',
      'scrub info',
      'scrub error',
    ]);
    expect(noted.at(-2)?.message).toContain('nothing wrong');
    expect(noted.at(-1)?.message).toContain('1 rotten');
  });

  it('are told no more after the end', () => {
    const { noted, sumdb, scrub, end } = listen();
    end();
    sumdb.emit('rotten', { database: 'sum.test', what: 'x', isTrustLost: false });
    scrub.emit('started', { resumed: false });
    expect(noted).toEqual([]);
  });
});
