/** What `direct` answers of one module, whatever its repository is of: files as a GOPROXY server has them. */
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import type { ModuleRevision, RepositoryModule, RepositoryPlace } from './types.ts';

/** Methods reject with VcsError or the signal's reason. */
export interface ModuleAnswers {
  /** Tagged versions, in semver order. */
  list(signal: AbortSignal): Promise<readonly string[]>;
  /** The `.info` of the latest version. */
  latest(signal: AbortSignal): Promise<string>;
  info(query: VersionQuery | Version, signal: AbortSignal): Promise<string>;
  /** `commit`: which the version was found at before; undefined: the one its tag names now. */
  goMod(version: Version, signal: AbortSignal, commit?: string): Promise<Buffer>;
  /** Writes the module zip to `file`. `commit` as for `goMod`. */
  zip(version: Version, file: string, signal: AbortSignal, commit?: string): Promise<void>;
}

/** Modules of repositories that are not of Git: go-command/. */
export interface OtherModules {
  /** Asks for nothing yet. Throws VcsError `refused` where the version control system is not allowed. */
  open(place: RepositoryPlace, path: ModulePath): ModuleAnswers;
  close(): Promise<void>;
}

/** `infoOf` writes the JSON of a revision. */
export function answersOf(
  module: RepositoryModule,
  infoOf: (revision: ModuleRevision) => string,
): ModuleAnswers {
  return {
    list: (signal) => module.versions(signal),
    latest: async (signal) => infoOf(await module.latest(signal)),
    info: async (query, signal) => infoOf(await module.revision(query, signal)),
    goMod: (version, signal, commit) => module.goMod(version, signal, commit),
    zip: (version, file, signal, commit) => module.zip(version, file, signal, commit),
  };
}

/** Tells of good answers; an empty list is none, since every path below a repository has one. */
export function noting(answers: ModuleAnswers, onFound: () => void): ModuleAnswers {
  const told = async <Result>(promise: Promise<Result>): Promise<Result> => {
    const result = await promise;
    onFound();
    return result;
  };
  return {
    async list(signal) {
      const versions = await answers.list(signal);
      if (versions.length > 0) onFound();
      return versions;
    },
    latest: (signal) => told(answers.latest(signal)),
    info: (query, signal) => told(answers.info(query, signal)),
    goMod: (version, signal, commit) => told(answers.goMod(version, signal, commit)),
    zip: (version, file, signal, commit) => told(answers.zip(version, file, signal, commit)),
  };
}
