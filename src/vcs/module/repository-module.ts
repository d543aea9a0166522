/**
 * One module in one Git repository, as the go command finds it with `GOPROXY=direct`. It keeps nothing between
 * questions: what is remembered is in the mirror and in front of this.
 */
import { parseGoModLax } from '../../gomod/go-mod-file.ts';
import { latestVersion } from '../../gomod/latest.ts';
import type { ModulePath, Version, VersionQuery } from '../../gomod/types.ts';
import { parseCanonicalVersion } from '../../gomod/version.ts';
import {
  type GitRepository,
  type ModuleRevision,
  type RepositoryModule,
  type RepositoryPlace,
  VcsError,
} from '../types.ts';
import { absent } from './module-directory.ts';
import { type ModulePlace, modulePlaceOf } from './module-place.ts';
import { writeModuleZip } from './module-zip.ts';
import { RefTable } from './ref-table.ts';
import { type ResolvedRevision, resolveHead, resolveRevision } from './resolve-revision.ts';
import { RevisionReader } from './revision-reader.ts';

export interface RepositoryModuleOptions {
  /**
   * How old the known refs may be for lists, latest, branches, and before something is said to be absent. Default
   * 1,000 ms: enough for the questions of one command to share an answer. Tags once known are taken as they are.
   */
  readonly freshMs?: number;
  /** Size of git's archive and of the files in a zip. Default 500 MiB, Go's own limit. */
  readonly maxZipBytes?: number;
}

const defaultFreshMs = 1000;

/** Throws VcsError `absent` when a repository at that place cannot have the module. Asks for nothing yet. */
export function createRepositoryModule(
  repository: GitRepository,
  place: Pick<RepositoryPlace, 'root' | 'subdir'>,
  path: ModulePath,
  options: RepositoryModuleOptions = {},
): RepositoryModule {
  return new GitModule(repository, modulePlaceOf(place, path), options);
}

class GitModule implements RepositoryModule {
  readonly #repository: GitRepository;
  readonly #place: ModulePlace;
  readonly #freshMs: number;
  readonly #options: RepositoryModuleOptions;

  constructor(repository: GitRepository, place: ModulePlace, options: RepositoryModuleOptions) {
    this.#repository = repository;
    this.#place = place;
    this.#freshMs = options.freshMs ?? defaultFreshMs;
    this.#options = options;
  }

  async versions(signal: AbortSignal): Promise<readonly Version[]> {
    const reader = await this.#reader(this.#freshMs, signal);
    return this.#checked(await reader.versions());
  }

  async latest(signal: AbortSignal): Promise<ModuleRevision> {
    const reader = await this.#reader(this.#freshMs, signal);
    const version = await latestVersion(await reader.versions(), {
      path: this.#place.path,
      goModOf: async (one) => {
        const { goMod } = await resolveRevision(reader, one);
        return parseGoModLax(this.#orMadeUp(goMod));
      },
    });
    return revisionOf(await (version === undefined ? resolveHead(reader) : resolveRevision(reader, version)));
  }

  async revision(query: VersionQuery | Version, signal: AbortSignal): Promise<ModuleRevision> {
    if (query === 'latest') return this.latest(signal);
    const version = parseCanonicalVersion(this.#place.path, query);
    if (version !== undefined) return revisionOf((await this.#resolve(version, signal)).revision);
    return revisionOf(await resolveRevision(await this.#reader(this.#freshMs, signal), query));
  }

  async goMod(version: Version, signal: AbortSignal, commit?: string): Promise<Buffer> {
    const { revision } = await this.#resolve(version, signal, commit);
    return this.#orMadeUp(revision.goMod);
  }

  async zip(version: Version, file: string, signal: AbortSignal, commit?: string): Promise<void> {
    const { reader, revision } = await this.#resolve(version, signal, commit);
    await writeModuleZip(reader, revision, file, this.#options.maxZipBytes);
  }

  /**
   * By the refs that are known, for tags do not move; only what they do not have is asked for anew. A given commit is
   * taken wherever its tag is by now.
   */
  async #resolve(
    version: Version,
    signal: AbortSignal,
    commit?: string,
  ): Promise<{ reader: RevisionReader; revision: ResolvedRevision }> {
    for (const maxAgeMs of [Number.POSITIVE_INFINITY, this.#freshMs]) {
      const reader = await this.#reader(maxAgeMs, signal);
      try {
        const revision = await resolveRevision(reader, version, commit);
        if (revision.version === version) return { reader, revision };
        throw absent(this.#place, version, `it means ${revision.version}`);
      } catch (error) {
        const isAbsent = error instanceof VcsError && error.code === 'absent';
        if (!isAbsent || maxAgeMs === this.#freshMs) throw error;
      }
    }
    throw absent(this.#place, version, 'there is no such tag');
  }

  async #reader(maxAgeMs: number, signal: AbortSignal): Promise<RevisionReader> {
    signal.throwIfAborted();
    const refs = await this.#repository.refs(maxAgeMs, signal);
    return new RevisionReader(this.#place, this.#repository, RefTable.of(refs), signal);
  }

  #orMadeUp(goMod: Buffer | undefined): Buffer {
    return goMod ?? Buffer.from(`module ${this.#place.path}\n`);
  }

  #checked(versions: readonly string[]): Version[] {
    return versions.flatMap((version) => parseCanonicalVersion(this.#place.path, version) ?? []);
  }
}

function revisionOf({ version, commit, time, ref }: ModuleRevision): ModuleRevision {
  return { version, commit, time, ref };
}
