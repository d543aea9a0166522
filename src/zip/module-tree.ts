/**
 * The rules on names and sizes that make a set of files a module, as golang.org/x/mod/zip's checkZip has them, and
 * the `h1:` hash over that set (dirhash.Hash1). It sees names, sizes and SHA-256 sums and knows nothing of the zip
 * format, so that the random-access check and the stream check share it.
 */
import { hash } from 'node:crypto';

import { pathFault } from '../gomod/path-element.ts';
import { foldName } from './fold-name.ts';
import { NameCollisions } from './name-collisions.ts';
import type { ZipLimits, ZipTarget } from './zip-types.ts';
import { defaultZipLimits, quoteName, ZipError } from './zip-types.ts';

const surrogate = /[\ud800-\udfff]/;

/** SHA-256 of nothing: what a directory entry adds to the h1 hash. */
export const emptySha256 = hash('sha256', '', 'hex');

export class ModuleTree {
  readonly limits: ZipLimits;
  readonly #prefix: string;
  readonly #names = new NameCollisions();
  readonly #lines: { name: string; sha256: string }[] = [];
  #totalBytes = 0;

  constructor(target: ZipTarget) {
    this.limits = { ...defaultZipLimits, ...target.limits };
    this.#prefix = `${target.path}@${target.version}/`;
  }

  /**
   * Takes an entry in by its name. Throws ZipError when the name breaks a rule.
   * @returns the path below the module root; empty for the root, with a trailing slash for a directory
   */
  admit(name: string): string {
    if (!name.startsWith(this.#prefix)) {
      throw new ZipError(
        'bad_prefix',
        `Entry ${quoteName(name)} is not below ${quoteName(this.#prefix)}, as every file of a module zip must be.`,
      );
    }
    const relative = name.slice(this.#prefix.length);
    if (relative === '') return relative;
    const isDirectory = relative.endsWith('/');
    const path = isDirectory ? relative.slice(0, -1) : relative;
    const fault = pathFault(path, 'file');
    if (fault !== undefined) {
      throw new ZipError('bad_name', `Entry ${quoteName(name)} has a name Go refuses: ${fault}.`);
    }
    this.#checkCollision(path, isDirectory);
    if (!isDirectory) checkGoModPlace(path, name);
    return relative;
  }

  /** Bytes a file may still inflate to under every limit. */
  allowanceBytes(relative: string): number {
    return Math.min(this.limits.inflatedBytes - this.#totalBytes, this.#ownLimitBytes(relative));
  }

  /** Counts a file's size. Throws ZipError `too_large`. */
  addSize(relative: string, sizeBytes: number): void {
    if (sizeBytes > this.#ownLimitBytes(relative)) {
      throw new ZipError(
        'too_large',
        `File ${relative} is larger than ${this.#ownLimitBytes(relative)} bytes, Go's limit.`,
      );
    }
    this.#totalBytes += sizeBytes;
    if (this.#totalBytes > this.limits.inflatedBytes) throw this.sumTooLarge();
  }

  /** The error for files that together inflate to more than is allowed. */
  sumTooLarge(): ZipError {
    return new ZipError(
      'too_large',
      `The files together inflate to more than ${this.limits.inflatedBytes} bytes.`,
    );
  }

  /** Records the hash of an entry's content. `name` is the full name, `sha256` lower-case hex. */
  addHash(name: string, sha256: string): void {
    this.#lines.push({ name, sha256 });
  }

  /** Sum of the sizes counted so far. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** The `h1:` hash of all entries recorded. */
  h1(): string {
    const lines = this.#lines;
    // Go sorts by UTF-8 bytes. That is the order of UTF-16 units too, except around surrogates.
    if (lines.some((line) => surrogate.test(line.name))) {
      lines.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    } else {
      lines.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    }
    return hash1(lines);
  }

  #ownLimitBytes(relative: string): number {
    if (relative === 'go.mod') return this.limits.goModBytes;
    return relative === 'LICENSE' ? this.limits.licenseBytes : Number.MAX_SAFE_INTEGER;
  }

  #checkCollision(path: string, isDirectory: boolean): void {
    const collision = this.#names.add(path, isDirectory);
    if (collision === undefined) return;
    const { kind, earlier } = collision;
    if (kind === 'duplicate') {
      throw new ZipError('duplicate_name', `File ${quoteName(path)} is in the zip more than once.`);
    }
    if (kind === 'file_and_directory') {
      throw new ZipError('file_and_directory', `Entry ${quoteName(earlier)} is both a file and a directory.`);
    }
    throw new ZipError(
      'case_collision',
      `Entries ${quoteName(earlier)} and ${quoteName(collision.later)} are the same name where case does not count.`,
    );
  }
}

/** dirhash.Hash1 over lines that are already sorted. */
export function hash1(lines: readonly { readonly name: string; readonly sha256: string }[]): string {
  const text = lines.map((line) => `${line.sha256}  ${line.name}\n`).join('');
  return `h1:${hash('sha256', text, 'base64')}`;
}

function checkGoModPlace(path: string, name: string): void {
  const base = path.slice(path.lastIndexOf('/') + 1);
  if (base.length !== 6 || foldName(base) !== 'go.mod' || path === 'go.mod') return;
  throw new ZipError(
    'go_mod_misplaced',
    `Entry ${quoteName(name)}: a go.mod may stand only in the module's root, in lower case.`,
  );
}
