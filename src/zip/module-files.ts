/**
 * Which files of a directory tree belong to the module zip made of it, by the rules of golang.org/x/mod/zip.Create:
 * what is left out silently (other modules, vendored packages, links), and what makes Go refuse the whole module.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathFault } from '../gomod/path-element.ts';
import { foldName } from './fold-name.ts';
import { NameCollisions } from './name-collisions.ts';
import { defaultZipLimits, quoteName, type ZipLimits } from './zip-types.ts';

/** A file of the tree. Directories are not listed. */
export interface TreeFile {
  /** Below the module's root, with slashes. */
  readonly path: string;
  readonly sizeBytes: number;
  /** False for links, devices and the like. */
  readonly isRegular: boolean;
}

export interface SelectOptions {
  /** The `go` line of the root's go.mod (`1.24`, `1.21rc2`); undefined: none, or a go.mod that cannot be parsed. */
  readonly goVersion: string | undefined;
  /** Default: Go's own. */
  readonly limits?: Pick<ZipLimits, 'inflatedBytes' | 'goModBytes' | 'licenseBytes'>;
}

export interface SelectedFiles<File extends TreeFile> {
  /** In the order given. */
  readonly kept: readonly File[];
  /** How many were left out silently. */
  readonly omittedCount: number;
  /** Sentences; not empty: Go refuses the module. At most `maxFaults`. */
  readonly faults: readonly string[];
}

const maxFaults = 10;
const filesPerTurn = 2000;

/** Sorts the files of a tree out. Gives way to other work between every 2,000 files. */
export async function selectModuleFiles<File extends TreeFile>(
  files: readonly File[],
  options: SelectOptions,
): Promise<SelectedFiles<File>> {
  const selection = new Selection<File>(options);
  for (const [index, file] of files.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await nextTurn();
    selection.findModule(file);
  }
  for (const [index, file] of files.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await nextTurn();
    selection.sort(file);
  }
  return selection;
}

class Selection<File extends TreeFile> implements SelectedFiles<File> {
  readonly kept: File[] = [];
  readonly faults: string[] = [];
  omittedCount = 0;
  readonly #limits: Pick<ZipLimits, 'inflatedBytes' | 'goModBytes' | 'licenseBytes'>;
  readonly #isSince124: boolean;
  /** Directories with a go.mod of their own, with a slash at the end. */
  readonly #modules = new Set<string>();
  readonly #names = new NameCollisions();
  #restBytes: number;
  #isTooLarge = false;

  constructor({ goVersion, limits = defaultZipLimits }: SelectOptions) {
    this.#limits = limits;
    this.#restBytes = limits.inflatedBytes;
    this.#isSince124 = isGoSince(goVersion, 1, 24);
  }

  findModule({ path, isRegular }: File): void {
    if (!isRegular || path.length < 6) return;
    const slash = path.lastIndexOf('/');
    if (path.length - slash - 1 === 6 && foldName(path.slice(slash + 1)) === 'go.mod') {
      this.#modules.add(path.slice(0, slash + 1));
    }
  }

  sort(file: File): void {
    const { path } = file;
    if (/(?:^|\/)(?:\.{0,2}(?:\/|$))/.test(path))
      return this.#refuse(path, 'it is not a clean relative path');
    if (isVendored(path, this.#isSince124) || this.#isInOtherModule(path) || path === '.hg_archival.txt') {
      this.omittedCount += 1;
      return;
    }
    const fault = pathFault(path, 'file');
    if (fault !== undefined) return this.#refuse(path, fault);
    if (path !== 'go.mod' && path.toLowerCase() === 'go.mod')
      return this.#refuse(path, 'the name go.mod must be in lower case');
    const collision = this.#names.add(path, false);
    if (collision !== undefined) {
      return this.#refuse(path, `it collides with ${quoteName(collision.earlier)} where case does not count`);
    }
    if (!file.isRegular) {
      this.omittedCount += 1;
      return;
    }
    this.#addSize(file.sizeBytes);
    const ownLimitBytes = this.#ownLimitBytes(path);
    if (file.sizeBytes > ownLimitBytes) {
      return this.#refuse(path, `it has more than ${ownLimitBytes} bytes, Go's limit for it`);
    }
    this.kept.push(file);
  }

  #addSize(sizeBytes: number): void {
    if (sizeBytes <= this.#restBytes) {
      this.#restBytes -= sizeBytes;
      return;
    }
    if (this.#isTooLarge) return;
    this.#isTooLarge = true;
    this.faults.push(`the files together have more than ${this.#limits.inflatedBytes} bytes, Go's limit`);
  }

  #ownLimitBytes(path: string): number {
    if (path === 'go.mod') return this.#limits.goModBytes;
    return path === 'LICENSE' ? this.#limits.licenseBytes : Number.MAX_SAFE_INTEGER;
  }

  #isInOtherModule(path: string): boolean {
    if (this.#modules.size === 0) return false;
    for (let slash = path.lastIndexOf('/'); slash >= 0; slash = path.lastIndexOf('/', slash - 1)) {
      if (this.#modules.has(path.slice(0, slash + 1))) return true;
      if (slash === 0) break;
    }
    return false;
  }

  #refuse(path: string, why: string): void {
    if (this.faults.length < maxFaults) this.faults.push(`file ${quoteName(path)}: ${why}`);
  }
}

function isGoSince(version: string | undefined, major: number, minor: number): boolean {
  const found = /^([0-9]+)\.([0-9]+)/.exec(version ?? '');
  if (found === null) return false;
  const own = Number(found[1]);
  return own > major || (own === major && Number(found[2]) >= minor);
}

const vendor = 'vendor/';
const inner = '/vendor/';

/**
 * Files of vendored packages, and since Go 1.24 modules.txt. A file right in a vendor directory is of no package and
 * stays; but before Go 1.24 a bug took it away below the top, and published hashes rest on that.
 */
function isVendored(path: string, isSince124: boolean): boolean {
  if (isSince124 && path === 'vendor/modules.txt') return true;
  const lastSlash = path.lastIndexOf('/');
  if (path.startsWith(vendor)) return lastSlash >= vendor.length;
  const at = path.indexOf(inner);
  if (at < 0) return false;
  return !isSince124 || lastSlash >= at + inner.length;
}
