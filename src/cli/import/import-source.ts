/**
 * Finds module versions in a folder that another program filled: Go's module cache (`cache/download`) or the disk
 * storage of Athens (`MODULE/VERSION/{go.mod,source.zip,VERSION.info}`). What it is is seen by looking, folder by
 * folder. Memory is bounded by the versions of one module.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { parseModulePath, unescapePath } from '../../gomod/module-path.ts';
import type { ArtifactExt, ModulePath, Version } from '../../gomod/types.ts';
import { parseCanonicalVersion, unescapeVersion } from '../../gomod/version.ts';
import { messageOf } from '../../lib/errors.ts';
import { CliError } from '../cli-error.ts';

export interface ImportVersion {
  readonly path: ModulePath;
  readonly version: Version;
  /** Absolute paths of regular files inside the folder. */
  readonly files: Readonly<Partial<Record<ArtifactExt, string>>>;
}

/** What is there and is no part of a module, or must not be touched. */
export type OnOdd = (file: string, reason: string) => void;

/** Deeper than any module path that is stored somewhere. */
const maxDepth = 128;
/** Where the modules are when the folder is a GOPATH, a GOMODCACHE, its `cache`, or modferry's own data folder. */
const inner = ['pkg/mod/cache/download', 'cache/download', 'download'];
/** What else lies beside modules, by name; no host is called so. */
const besides = new Set(['sumdb', 'vcs', 'lock']);
const skipped = /^(?:list|@latest)$|\.(?:lock|partial|ziphash|tmp)$|^list\b.*\.tmp/;

export class ImportSource {
  /** Where the modules begin. */
  readonly root: string;
  readonly #real: string;

  private constructor(root: string, real: string) {
    this.root = root;
    this.#real = real;
  }

  /** Rejects with CliError `usage` when `dir` is no folder. */
  static async open(dir: string): Promise<ImportSource> {
    for (const folder of [...inner.map((name) => join(dir, name)), dir]) {
      if (await isFolder(folder)) return new ImportSource(folder, await realpath(folder));
    }
    throw new CliError('usage', `${dir} is no folder; name a GOMODCACHE or the disk storage of Athens`);
  }

  /** Every version, in the order of the folder. Rejects only when the root itself cannot be read. */
  async *versions(onOdd: OnOdd): AsyncGenerator<ImportVersion> {
    yield* this.#walk('', await readdir(this.root, { withFileTypes: true }), onOdd);
  }

  async *#walk(relative: string, entries: readonly Dirent[], onOdd: OnOdd): AsyncGenerator<ImportVersion> {
    const athens = isVersionName(basename(relative))
      ? await this.#athens(relative, entries, onOdd)
      : undefined;
    if (athens !== undefined) {
      yield* athens;
      return;
    }
    for (const entry of entries) {
      const below = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const place = join(this.root, below);
      if (relative === '' && besides.has(entry.name)) continue;
      if (!entry.isDirectory()) {
        if (entry.isSymbolicLink()) onOdd(place, 'it is a link; not followed');
        else if (!skipped.test(entry.name)) onOdd(place, 'it is no part of a module');
        continue;
      }
      if (below.split('/').length > maxDepth) {
        onOdd(place, 'it is nested too deep');
        continue;
      }
      const children = await entriesOf(place, onOdd);
      if (children === undefined) continue;
      if (entry.name === '@v') yield* await this.#goVersions(relative, children, onOdd);
      else yield* this.#walk(below, children, onOdd);
    }
  }

  /** The versions in one `@v` folder. */
  async #goVersions(
    relative: string,
    entries: readonly Dirent[],
    onOdd: OnOdd,
  ): Promise<readonly ImportVersion[]> {
    const path = attempt(() => unescapePath(relative));
    const folder = join(this.root, relative, '@v');
    if (path === undefined) {
      onOdd(folder, 'its path is no escaped module path');
      return [];
    }
    const found = new Map<Version, Partial<Record<ArtifactExt, string>>>();
    for (const entry of entries) {
      if (skipped.test(entry.name)) continue;
      const place = join(folder, entry.name);
      const [, name = '', ext] = /^(.+)\.(info|mod|zip)$/.exec(entry.name) ?? [];
      const text = attempt(() => unescapeVersion(name));
      const version = text === undefined ? undefined : parseCanonicalVersion(path, text);
      if (version === undefined || !isExt(ext)) {
        onOdd(place, `it is no file of a version of ${path}`);
        continue;
      }
      const file = await this.#regular(place, entry, onOdd);
      if (file === undefined) continue;
      const files = found.get(version) ?? {};
      files[ext] = file;
      found.set(version, files);
    }
    return Array.from(found, ([version, files]) => ({ path, version, files }));
  }

  /** The version that a folder of Athens is; undefined when it is none. */
  async #athens(
    relative: string,
    entries: readonly Dirent[],
    onOdd: OnOdd,
  ): Promise<readonly ImportVersion[] | undefined> {
    const versionName = basename(relative);
    const kinds: Readonly<Record<string, ArtifactExt>> = {
      'go.mod': 'mod',
      'source.zip': 'zip',
      [`${versionName}.info`]: 'info',
    };
    if (!entries.some(({ name }) => Object.hasOwn(kinds, name))) return undefined;
    const folder = join(this.root, relative);
    const pathText = relative.slice(0, Math.max(0, relative.length - versionName.length - 1));
    // Athens writes paths as they are; other programs that fill the same layout escape them.
    const path = attempt(() => (pathText.includes('!') ? unescapePath(pathText) : parseModulePath(pathText)));
    const text = attempt(() => (versionName.includes('!') ? unescapeVersion(versionName) : versionName));
    const version = path === undefined || text === undefined ? undefined : parseCanonicalVersion(path, text);
    if (path === undefined || version === undefined) {
      onOdd(folder, 'its path is no module path and version');
      return [];
    }
    const files: Partial<Record<ArtifactExt, string>> = {};
    for (const entry of entries) {
      const ext = Object.hasOwn(kinds, entry.name) ? kinds[entry.name] : undefined;
      const place = join(folder, entry.name);
      if (ext !== undefined) {
        const file = await this.#regular(place, entry, onOdd);
        if (file !== undefined) files[ext] = file;
      } else if (!skipped.test(entry.name)) onOdd(place, 'it is no part of a module');
    }
    return [{ path, version, files }];
  }

  /** The file itself, or what a link inside the folder leads to. */
  async #regular(place: string, entry: Dirent, onOdd: OnOdd): Promise<string | undefined> {
    if (entry.isFile()) return place;
    if (!entry.isSymbolicLink()) {
      onOdd(place, 'it is no regular file');
      return undefined;
    }
    const target = await realpath(place).catch(() => undefined);
    if (target === undefined) onOdd(place, 'it is a link that leads nowhere');
    else if (!target.startsWith(`${this.#real}${sep}`)) {
      onOdd(place, 'it is a link that leads out of the folder; not followed');
    } else if (!(await stat(target)).isFile()) onOdd(place, 'it is a link to no regular file');
    else return target;
    return undefined;
  }
}

async function entriesOf(folder: string, onOdd: OnOdd): Promise<Dirent[] | undefined> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    onOdd(folder, `it cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

function isVersionName(name: string): boolean {
  return /^v\d+\.\d+\.\d+/.test(name);
}

function isExt(text: string | undefined): text is ArtifactExt {
  return text === 'info' || text === 'mod' || text === 'zip';
}

function attempt<Result>(parse: () => Result): Result | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
