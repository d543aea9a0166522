/**
 * The files of a folder that may be part of a module zip: as golang.org/x/mod/zip.CreateFromDir walks it. What the files
 * themselves must be is for `selectModuleFiles` to say.
 */
import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreeFile } from '../../zip/module-files.ts';
import { defaultZipLimits } from '../../zip/zip-types.ts';
import { CliError } from '../cli-error.ts';

export interface DirectoryFile extends TreeFile {
  /** Absolute. */
  readonly file: string;
}

const vcsFolders = new Set(['.bzr', '.git', '.hg', '.svn']);

/** In the order of their names. Rejects with CliError `failed`, the system's error, or the signal's reason. */
export async function directoryFiles(root: string, signal: AbortSignal): Promise<DirectoryFile[]> {
  const files: DirectoryFile[] = [];
  await walk(root, '', files, signal);
  return files;
}

async function walk(
  root: string,
  prefix: string,
  files: DirectoryFile[],
  signal: AbortSignal,
): Promise<void> {
  const entries = await readdir(join(root, prefix), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    signal.throwIfAborted();
    const path = prefix + entry.name;
    if (entry.isDirectory()) {
      if (vcsFolders.has(entry.name) || (await isModule(join(root, path)))) continue;
      await walk(root, `${path}/`, files, signal);
      continue;
    }
    // Of a worktree or a submodule: it names a folder of this machine.
    if (entry.name === '.git') continue;
    const file = join(root, path);
    const facts = await lstat(file);
    files.push({ path, file, sizeBytes: facts.size, isRegular: facts.isFile() });
    if (files.length > defaultZipLimits.entries) {
      throw new CliError(
        'failed',
        `${root} has more than ${defaultZipLimits.entries} files; is it the folder of a module?`,
      );
    }
  }
}

/** A folder with a go.mod of its own is another module. */
async function isModule(folder: string): Promise<boolean> {
  const facts: Stats | undefined = await lstat(join(folder, 'go.mod')).catch(() => undefined);
  return facts !== undefined && !facts.isDirectory();
}
