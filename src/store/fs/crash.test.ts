import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ModulePath } from '../../gomod/types.ts';
import { collect } from '../contract/kit.ts';
import { bodyOf } from './crash-child.ts';
import type { FsStore } from './fs-store.ts';
import { artifactExts, keyText } from './layout.ts';
import { makeTestFolder } from './test-folder.ts';
import { killAfter } from './test-killed.ts';
import { renderList } from './versions-folder.ts';

const rounds = 8;

async function expectWhole(store: FsStore): Promise<Set<string>> {
  const stored = new Set<string>();
  for (const entry of await collect(store.versions())) {
    for (const ext of artifactExts) {
      if (entry.artifacts[ext] === undefined) continue;
      const key = { path: entry.path, version: entry.version, ext };
      const file = await store.open(key);
      const body = await file?.readAll();
      await file?.close();
      expect(body?.equals(bodyOf(key.path, key.version, ext))).toBe(true);
      stored.add(keyText(key));
    }
  }
  return stored;
}

describe('a process killed while it stores', () => {
  it('loses nothing it published, shows nothing partial, and its lists are right after the next start', async () => {
    const folder = makeTestFolder();
    const reported: string[] = [];
    for (let round = 0; round < rounds; round++) {
      reported.push(...(await killAfter('crash-child.ts', [folder.path, `${round}`], 1 + round * 11)));
      const left = fs.readdirSync(join(folder.path, 'run'));
      expect(left).toHaveLength(1);

      const store = await folder.open();
      await store.idle();

      const stored = await expectWhole(store);
      expect(reported.filter((key) => !stored.has(key))).toEqual([]);
      expect(fs.readdirSync(join(folder.path, 'run'))).not.toContain(left[0]);
      expect(fs.readdirSync(join(folder.path, 'meta/claims'))).toEqual([]);
      for (const path of ['example.com/m0', 'example.com/m1'].map(parseModulePath)) {
        const complete = await store.completeVersions(path);
        expect(folder.text('download', path, '@v/list') ?? '').toBe(renderList(complete));
        expectNoForeignFiles(folder.path, path, [...stored]);
      }
      await store.close();
    }
  }, 60_000);
});

function expectNoForeignFiles(data: string, path: ModulePath, stored: readonly string[]): void {
  const dir = join(data, 'download', path, '@v');
  if (!fs.existsSync(dir)) return;
  const known = new Set(
    stored.filter((key) => key.startsWith(`${path}@`)).map((key) => key.slice(path.length + 1)),
  );
  const foreign = fs
    .readdirSync(dir)
    .filter((name) => name !== 'list' && !name.endsWith('.ziphash') && !known.has(name));
  expect(foreign).toEqual([]);
}
