import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { ArtifactFile, Store } from '../store/store.ts';
import { storedCommit } from './stored-commit.ts';

const path = 'git.corp.test/lib' as ModulePath;
const version = 'v1.0.0' as Version;
const hash = 'a'.repeat(40);

function storeOf(
  info: string | undefined,
  source = 'direct',
): { store: Pick<Store, 'open'>; closed: () => number } {
  let closed = 0;
  const file = {
    record: { source, sizeBytes: info?.length ?? 0 },
    readAll: async () => Buffer.from(info ?? ''),
    close: async () => void closed++,
  } as unknown as ArtifactFile;
  return { store: { open: async () => (info === undefined ? undefined : file) }, closed: () => closed };
}

const info = (origin: unknown): string => JSON.stringify({ Version: version, Origin: origin });

describe('storedCommit', () => {
  it('is what the .info from the repository names', async () => {
    const { store, closed } = storeOf(info({ VCS: 'git', Hash: hash }));
    expect(await storedCommit(store, path, version)).toBe(hash);
    expect(closed()).toBe(1);
  });

  it.each([
    [undefined, 'direct'],
    [info({ Hash: hash }), 'goproxy.cn'],
    [info({ Hash: '-x' }), 'direct'],
    [info(undefined), 'direct'],
    ['null', 'direct'],
    ['{', 'direct'],
  ])('is none in %s from %s', async (text, source) => {
    expect(await storedCommit(storeOf(text, source).store, path, version)).toBeUndefined();
  });

  it('is none in a store that fails', async () => {
    const store = { open: () => Promise.reject(new Error('rotten')) };
    expect(await storedCommit(store, path, version)).toBeUndefined();
  });
});
