/**
 * One look at a repository for one module: the refs of that moment, each file read once, and what versions they make.
 * Made anew for each question; it keeps nothing longer.
 */
import { type GoModFile, maxGoModBytes, parseGoModLax } from '../../gomod/go-mod-file.ts';
import { isRetracted } from '../../gomod/latest.ts';
import { isIncompatible, isPrerelease } from '../../gomod/version.ts';
import { type GitRepository, VcsError } from '../types.ts';
import { findModuleDirectory, type ModuleDirectory } from './module-directory.ts';
import { inDirectory, type ModulePlace } from './module-place.ts';
import type { RefTable } from './ref-table.ts';
import { listVersions, taggedVersions } from './tagged-versions.ts';

export class RevisionReader {
  readonly place: ModulePlace;
  readonly refs: RefTable;
  readonly repository: GitRepository;
  readonly signal: AbortSignal;
  readonly #files = new Map<string, Promise<Buffer | undefined>>();
  #versions: Promise<readonly string[]> | undefined;
  #retracts: Promise<GoModFile['retracts']> | undefined;

  constructor(place: ModulePlace, repository: GitRepository, refs: RefTable, signal: AbortSignal) {
    this.place = place;
    this.repository = repository;
    this.refs = refs;
    this.signal = signal;
  }

  /** The bytes of a file of at most 16 MiB; undefined: there is none. Rejects with VcsError. */
  read(commit: string, path: string): Promise<Buffer | undefined> {
    const key = `${commit}:${path}`;
    let file = this.#files.get(key);
    if (file === undefined) {
      file = this.repository.readFile(commit, path, maxGoModBytes, this.signal);
      this.#files.set(key, file);
    }
    return file;
  }

  /** Where in the commit the module is. Rejects with VcsError `absent`. */
  directory(commit: string, version: string): Promise<ModuleDirectory> {
    return findModuleDirectory(this.place, version, (path) => this.read(commit, path));
  }

  /** The list, in semantic order. */
  versions(): Promise<readonly string[]> {
    this.#versions ??= listVersions(taggedVersions(this.place, this.refs.tags.keys()), (version) =>
      this.hasGoMod(this.commitOfTag(version), 'go.mod'),
    );
    return this.#versions;
  }

  /** Whether the commit has that go.mod. One that is too large is there all the same. */
  async hasGoMod(commit: string | undefined, path: string): Promise<boolean> {
    if (commit === undefined) return false;
    try {
      return (await this.read(commit, path)) !== undefined;
    } catch (error) {
      if (error instanceof VcsError && error.code === 'too_large') return true;
      // A tag on something that is no commit has no files.
      if (error instanceof VcsError && error.code === 'absent') return false;
      throw error;
    }
  }

  /** The commit of the tag that a canonical version means. */
  commitOfTag(version: string): string | undefined {
    return this.refs.tags.get(this.place.tagPrefix + withoutIncompatible(version));
  }

  /** Whether the go.mod of the module's highest release, else of its highest version, retracts that version. */
  async isRetracted(version: string): Promise<boolean> {
    this.#retracts ??= this.#readRetracts();
    return isRetracted(version, await this.#retracts);
  }

  async #readRetracts(): Promise<GoModFile['retracts']> {
    const versions = (await this.versions()).filter((version) => !isIncompatible(version));
    const highest = versions.findLast((version) => !isPrerelease(version)) ?? versions.at(-1);
    const commit = highest === undefined ? undefined : this.commitOfTag(highest);
    if (highest === undefined || commit === undefined) return [];
    try {
      const { goMod } = await this.directory(commit, highest);
      const file = goMod === undefined ? undefined : parseGoModLax(goMod);
      return file === undefined || file.fault !== undefined ? [] : file.retracts;
    } catch (error) {
      if (error instanceof VcsError && ['absent', 'too_large'].includes(error.code)) return [];
      throw error;
    }
  }

  /** Where Go looks for a go.mod that forbids `+incompatible` for a major version. */
  majorGoMod(major: string): string {
    return inDirectory(major, 'go.mod');
  }
}

export function withoutIncompatible(version: string): string {
  return version.replace(/\+incompatible$/, '');
}
