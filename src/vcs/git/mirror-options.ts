/** What the mirrors can be told. The composition root maps the configuration to it. */
import type { MirrorSpace } from './mirror-space.ts';

export interface GitMirrorOptions {
  /** Absolute path of the folder that holds them, e.g. DATA/vcs/git. Made when it is not there. */
  readonly dir: string;
  /** Of one mirror on the disk; a repository that outgrows it is refused and removed. Default 4 GiB. */
  readonly maxRepositoryBytes?: number | undefined;
  /** Bounds all mirrors together, those of other folders too. Default: nothing does. */
  readonly space?: MirrorSpace | undefined;
  /** For `git fetch`, a first one as well. Default 600,000. */
  readonly fetchTimeoutMs?: number | undefined;
  /** For `git ls-remote`. Default 60,000. */
  readonly listTimeoutMs?: number | undefined;
  /** For `git archive`. Default 600,000. */
  readonly archiveTimeoutMs?: number | undefined;
  /** How many mirrors are known in memory; the others stay on the disk and cost one more `ls-remote`. Default 512. */
  readonly maxOpen?: number | undefined;
  /** Memory for what the servers listed, of all mirrors; beyond it the oldest are asked for anew. Default 128 MiB. */
  readonly maxListingsBytes?: number | undefined;
  /**
   * Whether a full hash that no branch and no tag leads to may be fetched from servers that allow it. Default false, as
   * in the go command: GitHub and Gerrit give every commit of every fork and pull request under the name of the main
   * repository, and none of those may pass for a version of it.
   */
  readonly fetchUnlistedCommits?: boolean | undefined;
  /** Told when a tag points elsewhere than before, also over restarts. What it throws is ignored. */
  readonly onTagMoved?: ((moved: MovedTag) => void) | undefined;
}

export interface MovedTag {
  readonly url: string;
  /** Without `refs/tags/`. */
  readonly tag: string;
  readonly from: string;
  readonly to: string;
}

/** As in `GitMirrorOptions`, with the defaults filled in. */
export interface MirrorLimits {
  /** Rejects with VcsError when nothing may be fetched onto the disk. */
  requireDisk(): Promise<void>;
  readonly maxRepositoryBytes: number;
  readonly fetchTimeoutMs: number;
  readonly listTimeoutMs: number;
  readonly archiveTimeoutMs: number;
  readonly fetchUnlistedCommits: boolean;
}

export function limitsOf(options: GitMirrorOptions): MirrorLimits {
  return {
    requireDisk: async () => await options.space?.requireDisk(),
    maxRepositoryBytes: options.maxRepositoryBytes ?? 4 * 2 ** 30,
    fetchTimeoutMs: options.fetchTimeoutMs ?? 600_000,
    listTimeoutMs: options.listTimeoutMs ?? 60_000,
    archiveTimeoutMs: options.archiveTimeoutMs ?? 600_000,
    fetchUnlistedCommits: options.fetchUnlistedCommits ?? false,
  };
}
