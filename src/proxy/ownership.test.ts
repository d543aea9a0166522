import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { ArtifactRecord, PurgeEvent, VersionEntry } from '../store/store.ts';
import { Ownership } from './ownership.ts';

const lib = 'corp.example/lib' as ModulePath;

function record(source: string): ArtifactRecord {
  return { sizeBytes: 1, sha256: 'ab'.repeat(32), source, storedAtMs: 0, modifiedAtMs: 0 };
}

function entry(path: string, version: string, source: string): VersionEntry {
  return { path: path as ModulePath, version: version as Version, artifacts: { mod: record(source) } };
}

function setUp(entries: readonly VersionEntry[], fails = { times: 0 }) {
  const purged: string[] = [];
  const told: string[] = [];
  let walks = 0;
  const ownership = new Ownership({
    store: {
      async *versions() {
        walks += 1;
        if (fails.times > 0) {
          fails.times -= 1;
          throw new Error('the disk does not answer');
        }
        yield* entries;
      },
      async purge({ path, version }: PurgeEvent) {
        purged.push(`${path}@${version}`);
        return { removedVersions: 1, removedBytes: 1 };
      },
    },
    isNeeded: (path) => path.startsWith('corp.example/'),
    isSourceOf: (_path, source) => source === 'hub' || source === 'published',
    onRemoved: (path, version, source) => told.push(`${path}@${version} ${source}`),
  });
  return { ownership, purged, told, walks: () => walks };
}

describe('what a private module came from', () => {
  it('is taken out when it is none of its sources, once, before the first answer', async () => {
    const { ownership, purged, told, walks } = setUp([
      entry(lib, 'v1.0.0', 'hub'),
      entry(lib, 'v1.1.0', 'published'),
      entry(lib, 'v1.9.9', 'cn'),
      entry(`${lib}/sub`, 'v1.9.9', 'cn'),
    ]);
    await Promise.all([ownership.settle(lib), ownership.settle(lib)]);
    await ownership.settle(lib);
    expect(purged).toEqual([`${lib}@v1.9.9`]);
    expect(told).toEqual([`${lib}@v1.9.9 cn`]);
    expect(walks()).toBe(1);
    ownership.forget();
    await ownership.settle(lib);
    expect(walks()).toBe(2);
  });

  it('is nobody’s business where the module is public', () => {
    expect(setUp([]).ownership.settle('example.com/a' as ModulePath)).toBeUndefined();
  });

  it('is not answered while that cannot be told, and looked at again', async () => {
    const { ownership, purged } = setUp([entry(lib, 'v1.9.9', 'cn')], { times: 1 });
    await expect(ownership.settle(lib)).rejects.toThrow('does not answer');
    await ownership.settle(lib);
    expect(purged).toEqual([`${lib}@v1.9.9`]);
  });
});
