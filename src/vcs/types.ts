/**
 * The border of `vcs/`: modules straight from their repositories, as `GOPROXY=direct` gives them. From outside it is
 * one more `Upstream` (direct-source.ts).
 * @see https://go.dev/ref/mod#vcs
 */
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';

export type Vcs = 'git' | 'hg' | 'svn' | 'fossil' | 'bzr';

/** Where the repository of a module is. */
export interface RepositoryPlace {
  readonly vcs: Vcs;
  /** https, http (only where allowed), ssh or (by a static rule alone) file; never with credentials. */
  readonly url: string;
  /** The module path that the root of the repository stands for. */
  readonly root: string;
  /** Sub-directory of the repository that stands for `root`; '' for its top. See https://go.dev/ref/mod#vcs-find. */
  readonly subdir: string;
}

/**
 * `absent`: there is no such repository, tag, revision or module in it: knowledge (404). `auth`: credentials are
 * missing, wrong or expired; `forbidden`: known, but not allowed; `refused`: modferry itself will not (SSRF, options,
 * protocols, sizes, bad content). The rest tell how far the connection came.
 */
export type VcsErrorCode =
  | 'absent'
  | 'auth'
  | 'forbidden'
  | 'refused'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'proxy'
  | 'timeout'
  | 'busy'
  | 'too_large'
  | 'failed'
  | 'aborted';

/** Message: one sentence for a person, without secrets or terminal control characters. */
export class VcsError extends ModferryError<VcsErrorCode> {}

/** Finds the repository of a module path. Rejects with VcsError or the signal's reason. */
export interface RepositoryFinder {
  find(path: ModulePath, signal: AbortSignal): Promise<RepositoryPlace>;
}

/** How git proves itself to one host. Secrets never stand in arguments, URLs, logs or error texts. */
export type GitCredential =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | {
      readonly kind: 'ssh';
      /** Absolute path of the private key. */
      readonly keyFile: string;
      /** Absolute path; undefined: the known hosts of the machine are used. Unknown hosts are always refused. */
      readonly knownHostsFile: string | undefined;
    };

export interface CredentialFinder {
  /**
   * For a repository URL (and the module path, where rules speak of it); undefined: none is configured. `isRetry`: the
   * last one was refused, so that what was cached must be had anew. Rejects with VcsError when a command, file or
   * GitHub App does not deliver one.
   */
  find(
    url: string,
    options: { readonly path?: string | undefined; readonly isRetry?: boolean; readonly signal: AbortSignal },
  ): Promise<GitCredential | undefined>;
}

/** A name in a repository and what it points to. */
export interface GitRef {
  /** `refs/tags/v1.0.0`, `refs/heads/main`, `HEAD`. */
  readonly name: string;
  /** Commit (a tag object is peeled), 40 or 64 lower-case hex digits. */
  readonly commit: string;
}

export interface GitCommit {
  readonly hash: string;
  /** Committer time, seconds since the epoch, as Go takes it. */
  readonly committedAtS: number;
}

/**
 * One repository, mirrored (ruling 27: history kept, blobs fetched when asked for where the server allows it). Methods
 * reject with VcsError or the signal's reason. Everything that names a revision takes a full commit hash from here.
 */
export interface GitRepository {
  readonly url: string;
  /**
   * Refs, not older than `maxAgeMs` (0: ask now). When the server cannot be reached it rejects; older ones are not
   * passed off as new.
   */
  refs(maxAgeMs: number, signal: AbortSignal): Promise<readonly GitRef[]>;
  /** A full or abbreviated (at least 7 digits) hash to the commit, fetched if need be. Undefined: there is none. */
  resolveHash(hash: string, signal: AbortSignal): Promise<GitCommit | undefined>;
  commit(hash: string, signal: AbortSignal): Promise<GitCommit>;
  /** Tags that are this commit or one of its ancestors, for pseudo-versions. Names without `refs/tags/`. */
  tagsBefore(commit: string, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * A file's bytes; of a symbolic link its target, for so Go reads go.mod and LICENSE (`git cat-file blob`). Undefined: it
   * is not there, or a directory or submodule. Too large: VcsError `too_large`.
   */
  readFile(commit: string, path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** True when `path` ('' is the top) is a directory in that commit. */
  isDirectory(commit: string, path: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Writes `git archive --format=zip` of the directory (`''`: all of it) of that commit to `file`, with the attributes
   * and line ends that Go asks for. Rejects with `too_large` once it is longer than `maxBytes`.
   */
  archive(
    commit: string,
    directory: string,
    file: string,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<void>;
}

export interface GitMirrors {
  /** The mirror of this repository, made when there is none. Cheap when it is there. */
  open(place: RepositoryPlace, path: ModulePath, signal: AbortSignal): Promise<GitRepository>;
  /** After a push: the next `refs` of that repository asks. False: it is not mirrored. */
  expire(url: string): boolean;
  close(): Promise<void>;
}

/** What a module's `.info` says, as the go command writes it for `direct`. */
export interface ModuleRevision {
  readonly version: Version;
  readonly commit: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** Full name of the ref it was found by, where there is one. */
  readonly ref: string | undefined;
}

/** One module in one repository, by Go's rules: sub-directories, `/vN`, prefixed tags, pseudo-versions, +incompatible. */
export interface RepositoryModule {
  /** Tagged versions, canonical, of this module, in semver order, retracted ones included. */
  versions(signal: AbortSignal): Promise<readonly Version[]>;
  /** As `go list -m PATH@latest` would have it. */
  latest(signal: AbortSignal): Promise<ModuleRevision>;
  /** A canonical version, branch, tag or commit prefix. VcsError `absent` when there is none. */
  revision(query: VersionQuery | Version, signal: AbortSignal): Promise<ModuleRevision>;
  /**
   * The go.mod, or the one Go makes up where there is none. `commit`: the full hash that `revision` gave, so that all
   * files of a version are of one commit even where its tag moved meanwhile; `absent` when it is gone.
   */
  goMod(version: Version, signal: AbortSignal, commit?: string): Promise<Buffer>;
  /** Writes the module zip to `file`: its `h1:` equals the go command's. `commit` as for `goMod`. */
  zip(version: Version, file: string, signal: AbortSignal, commit?: string): Promise<void>;
}
