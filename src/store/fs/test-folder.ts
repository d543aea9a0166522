/** Test help: a fresh data folder, the stores opened on it, and their removal after the test. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { type FsStore, openFsStore } from './fs-store.ts';
import type { FsStoreOptions } from './options.ts';

export interface TestFolder {
  readonly path: string;
  /** Opens a store that is closed after the test. */
  open(options?: Partial<FsStoreOptions>): Promise<FsStore>;
  /** The text of a file in the folder; undefined when there is none. */
  text(...names: string[]): string | undefined;
  /** All files below a folder of it, relative and sorted. */
  files(...names: string[]): string[];
}

/** `tmpfs`: mount options of a small file system of its own (needs root). */
export function makeTestFolder(options: { tmpfs?: string } = {}): TestFolder {
  const path = fs.mkdtempSync(join(tmpdir(), 'modferry-store-'));
  if (options.tmpfs !== undefined) mount(['-t', 'tmpfs', '-o', options.tmpfs, 'none', path]);
  const opened: FsStore[] = [];
  onTestFinished(async () => {
    for (const store of opened) await store.close().catch(() => {});
    if (options.tmpfs !== undefined) spawnSync('umount', [path]);
    fs.rmSync(path, { recursive: true, force: true });
  });
  return {
    path,
    async open(extra = {}) {
      const store = await openFsStore({ folder: path, clock: systemClock, ...extra });
      opened.push(store);
      return store;
    },
    text: (...names) => {
      const file = join(path, ...names);
      return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
    },
    files: (...names) => {
      const folder = join(path, ...names);
      if (!fs.existsSync(folder)) return [];
      return fs
        .readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort();
    },
  };
}

export function mount(args: readonly string[]): void {
  const result = spawnSync('mount', args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`mount failed: ${result.stderr}`);
}
