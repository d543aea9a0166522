import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type ProvenRecord, type SumdbDatabase, SumdbError, type SumdbErrorCode } from '../sumdb/types.ts';
import { type ChecksumEvents, Checksums, type TrustedLine, toolchainPath } from './checksums.ts';
import type { ChecksumMode, HashedKey } from './types.ts';

const path = 'example.com/a' as ModulePath;
const version = 'v1.0.0' as Version;
const zip: HashedKey = { path, version, ext: 'zip' };
const mod: HashedKey = { path, version, ext: 'mod' };
const signal = new AbortController().signal;

type Says = () => Promise<ProvenRecord>;

function played(name: string, says: Says): SumdbDatabase & { asked: number } {
  return {
    name,
    asked: 0,
    lookup() {
      this.asked += 1;
      return says();
    },
    head: async () => undefined,
    tile: () => Promise.reject(new Error('not asked')),
    fork: async () => undefined,
    reset: async () => {},
    figures: {
      name,
      treeSize: undefined,
      isForked: false,
      lookups: { kept: 0, fetched: 0, failed: 0 },
      tilesFetched: 0,
      refused: 0,
    },
  };
}

const record: ProvenRecord = {
  path,
  version,
  id: 5,
  text: '',
  zipH1: 'h1:zip',
  modH1: 'h1:mod',
  treeSize: 9,
};
const good: Says = async () => record;
const bad =
  (code: SumdbErrorCode): Says =>
  () =>
    Promise.reject(new SumdbError(code, `sum.test: ${code}`));

function make(options: { says?: Says; mode?: ChecksumMode; trusted?: TrustedLine | Error; isOff?: boolean }) {
  const clock = new FakeClock();
  const database = played('sum.test', options.says ?? good);
  const toolchains = played('sum.golang.org', good);
  const events = new EventBus<ChecksumEvents>();
  const contradictions: ChecksumEvents['contradiction'][] = [];
  events.on('contradiction', (event) => contradictions.push(event));
  const checksums = new Checksums({
    clock,
    events,
    trusted: async () => {
      if (options.trusted instanceof Error) throw options.trusted;
      return options.trusted;
    },
    database: () => (options.isOff === true ? undefined : database),
    toolchainDatabase: () => toolchains,
    mode: () => options.mode ?? 'require',
  });
  return {
    clock,
    database,
    toolchains,
    contradictions,
    expect: (key = zip) => checksums.expect(key, { signal }),
  };
}

const line: TrustedLine = { h1: 'h1:trusted', label: 'app' };

describe('what a module must be', () => {
  it('is what the checksum database says, for zip and go.mod', async () => {
    const test = make({});
    expect(await test.expect(zip)).toMatchObject({
      kind: 'known',
      h1: 'h1:zip',
      by: 'sum.test #5',
      proof: { by: 'sumdb', database: 'sum.test', recordId: 5, treeSize: 9, atMs: test.clock.now() },
    });
    expect(await test.expect(mod)).toMatchObject({ kind: 'known', h1: 'h1:mod' });
  });

  it.each(['unreachable', 'absent', 'refused', 'forked', 'offline'] as const)(
    'blocks under require when the database is %s, and under prefer only where it was lied about',
    async (code) => {
      expect(await make({ says: bad(code) }).expect()).toMatchObject({
        kind: 'blocked',
        reason: expect.stringContaining(`sum.test: ${code}`),
      });
      const isLie = code === 'refused' || code === 'forked';
      expect(await make({ says: bad(code), mode: 'prefer' }).expect()).toMatchObject(
        isLie ? { kind: 'blocked' } : { kind: 'unproven', why: 'unreachable' },
      );
    },
  );

  it.each(['prefer', 'require'] as const)('tells under %s that the database has no record', async (mode) => {
    expect(await make({ says: bad('absent'), mode }).expect()).toMatchObject({ cause: 'absent' });
    expect(await make({ says: bad('unreachable'), mode }).expect()).not.toHaveProperty('cause');
  });

  it.each(['prefer', 'require', 'off'] as const)(
    'is not guessed under %s while the trusted lines cannot be read',
    async (mode) => {
      expect(await make({ mode, trusted: new Error('EIO on trusted.sum') }).expect()).toMatchObject({
        kind: 'blocked',
        cause: 'unread',
        reason: expect.stringContaining('EIO on trusted.sum'),
      });
    },
  );

  it('is not waited for longer than half a minute', async () => {
    const test = make({ says: () => new Promise(() => {}) });
    const waiting = test.expect();
    await test.clock.advance(30_000);
    expect(await waiting).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('within 30 s') });
  });

  it('blocks when the record has no line for the file', async () => {
    const says: Says = async () => ({ ...record, modH1: undefined });
    expect(await make({ says }).expect(mod)).toMatchObject({ kind: 'blocked' });
    expect(await make({ says }).expect(zip)).toMatchObject({ kind: 'known' });
  });

  it('is what a trusted go.sum says where the database does not answer, or not in time', async () => {
    for (const code of ['unreachable', 'absent', 'forked'] as const) {
      expect(await make({ says: bad(code), trusted: line }).expect()).toMatchObject({
        kind: 'known',
        h1: 'h1:trusted',
        proof: { by: 'go.sum', label: 'app' },
      });
    }
    const test = make({ says: () => new Promise(() => {}), trusted: line });
    const waiting = test.expect();
    await test.clock.advance(2_000);
    expect(await waiting).toMatchObject({ h1: 'h1:trusted' });
  });

  it('is what the database says where a trusted go.sum contradicts it, and that is told', async () => {
    const test = make({ trusted: line });
    expect(await test.expect()).toMatchObject({ h1: 'h1:zip' });
    expect(test.contradictions).toMatchObject([
      { label: 'app', trustedH1: 'h1:trusted', database: 'sum.test', databaseH1: 'h1:zip' },
    ]);
  });

  it('asks nobody under off, but a trusted line binds', async () => {
    const test = make({ mode: 'off' });
    expect(await test.expect()).toMatchObject({ kind: 'unproven', why: 'off' });
    expect(await make({ mode: 'off', trusted: line }).expect()).toMatchObject({ h1: 'h1:trusted' });
    expect(test.database.asked).toBe(0);
  });

  it('asks nobody with GOSUMDB=off, except for toolchains, which are always proven', async () => {
    const test = make({ isOff: true, mode: 'off' });
    expect(await test.expect()).toMatchObject({ kind: 'unproven', why: 'off' });
    const toolchain = { ...zip, path: toolchainPath as ModulePath };
    expect(await test.expect(toolchain)).toMatchObject({ kind: 'known', by: 'sum.golang.org #5' });
    expect([test.database.asked, test.toolchains.asked]).toEqual([0, 1]);
  });

  it('rejects with the reason of who leaves', async () => {
    const leaving = new AbortController();
    const test = make({ says: () => Promise.reject(new Error('left')) });
    leaving.abort(new Error('left'));
    const checksums = new Checksums({
      clock: test.clock,
      events: new EventBus(),
      trusted: async () => undefined,
      database: () => test.database,
      toolchainDatabase: () => test.toolchains,
      mode: () => 'require',
    });
    await expect(checksums.expect(zip, { signal: leaving.signal })).rejects.toThrow('left');
  });
});
