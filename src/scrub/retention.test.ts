import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { ArtifactRecord, PurgeEvent, VersionEntry } from '../store/store.ts';
import { Retention } from './retention.ts';

const dayMs = 86_400_000;

function record(storedAtMs: number, source = 'cn'): ArtifactRecord {
  return { sizeBytes: 1, sha256: 'ab'.repeat(32), source, storedAtMs, modifiedAtMs: storedAtMs };
}

function entry(path: string, more: Partial<VersionEntry>): VersionEntry {
  return { path: path as ModulePath, version: 'v1.0.0' as Version, artifacts: {}, ...more };
}

function setUp(entries: readonly VersionEntry[], isNeeded = true) {
  const clock = new FakeClock();
  const purged: string[] = [];
  let walks = 0;
  const retention = new Retention({
    clock,
    store: {
      async *versions() {
        walks += 1;
        yield* entries;
      },
      async purge({ path }: PurgeEvent) {
        purged.push(path);
        return { removedVersions: 1, removedBytes: 1 };
      },
    },
    isNeeded: () => isNeeded,
    keepMs: (path) => (path.startsWith('short/') ? dayMs : undefined),
    onRemoved: () => {},
    onFailed: (error) => {
      throw error;
    },
  });
  return { clock, purged, retention, walks: () => walks };
}

describe('retention', () => {
  it('takes out what is older than its route keeps it, and nothing else', async () => {
    const now = new FakeClock().now();
    const old = now - 2 * dayMs;
    const { retention, purged } = setUp([
      entry('short/old', { artifacts: { mod: record(old), zip: record(old) } }),
      entry('short/new', { artifacts: { mod: record(now - 1000) } }),
      entry('short/half', { artifacts: { mod: record(old), zip: record(now - 1000) } }),
      entry('short/uploaded', { artifacts: { mod: record(old), zip: record(old, 'published') } }),
      entry('short/rebuilt', { artifacts: { mod: record(old, 'unknown') } }),
      entry('short/unknown', {
        artifacts: { mod: record(old) },
        unreadable: { zip: 'the record is damaged' },
      }),
      entry('long/old', { artifacts: { mod: record(old) } }),
    ]);
    await retention.pass();
    expect(purged).toEqual(['short/old']);
  });

  it('walks once an hour, and not at all where no route asks for it', async () => {
    const { retention, clock, walks } = setUp([]);
    retention.start();
    await clock.advance(2.5 * 3_600_000);
    expect(walks()).toBe(2);
    await retention.stop();
    await clock.advance(3 * 3_600_000);
    expect(walks()).toBe(2);

    const unneeded = setUp([], false);
    await unneeded.retention.pass();
    expect(unneeded.walks()).toBe(0);
  });
});
