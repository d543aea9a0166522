/** All mirrors of one data folder: which are open, where each lies, which URLs are let in. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import {
  type CredentialFinder,
  type GitMirrors,
  type GitRepository,
  type RepositoryPlace,
  VcsError,
} from '../types.ts';
import { checkedUrl } from './git-argument.ts';
import { GitCaller } from './git-caller.ts';
import { GitRunner } from './git-command.ts';
import { GitMirror } from './git-mirror.ts';
import type { GitProtocol, GitRunnerOptions } from './git-options.ts';
import { ListingMemory } from './listing-memory.ts';
import { type GitMirrorOptions, limitsOf } from './mirror-options.ts';
import { RunningGits } from './running-gits.ts';

const defaultMaxOpen = 512;
const defaultProtocols: readonly GitProtocol[] = ['https', 'ssh'];

export interface GitMirrorsParts {
  readonly git: GitRunnerOptions;
  readonly mirrors: GitMirrorOptions;
  readonly credentials: CredentialFinder;
  readonly clock: Clock;
}

/** The mirrors as `GitMirrors`. Touches nothing until one is opened. */
export class GitMirrorFolder implements GitMirrors {
  readonly #parts: GitMirrorsParts;
  readonly #caller: GitCaller;
  /** By URL; least recently used first. */
  readonly #open = new Map<string, GitMirror>();
  readonly #listings: ListingMemory;
  readonly #running: RunningGits;
  #isClosed = false;
  #ready: Promise<void> | undefined;

  constructor(parts: GitMirrorsParts) {
    this.#parts = parts;
    const { git, credentials, clock, mirrors } = parts;
    this.#listings = new ListingMemory(mirrors.maxListingsBytes);
    this.#running = new RunningGits(mirrors.dir, clock);
    this.#caller = new GitCaller(new GitRunner(git, clock), credentials, git.transport);
  }

  async open(place: RepositoryPlace, path: ModulePath, signal: AbortSignal): Promise<GitRepository> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new VcsError('aborted', 'modferry is stopping');
    if (place.vcs !== 'git') {
      throw new VcsError('refused', `${path} is kept in ${place.vcs}, which is not mirrored; only Git is`);
    }
    checkedUrl(place.url, this.#parts.git.transport?.protocols ?? defaultProtocols);
    this.#ready ??= this.#prepare();
    await this.#ready;
    await this.#parts.mirrors.space?.opened(this.#gitDirOf(place.url));
    const mirror = this.#open.get(place.url) ?? this.#make(place.url);
    this.#open.delete(place.url);
    this.#open.set(place.url, mirror);
    this.#forgetOldest();
    mirror.openedFor(path);
    return mirror;
  }

  /** Finds it also where the URL that was pushed to is written otherwise (`.git`, upper case, a slash at its end). */
  expire(url: string): boolean {
    const key = plainUrl(url);
    let isMirrored = ['', '.git'].some((suffix) => existsSync(this.#gitDirOf(`${key}${suffix}`)));
    for (const mirror of this.#open.values()) {
      if (plainUrl(mirror.url) !== key) continue;
      mirror.expire();
      isMirrored = true;
    }
    return isMirrored;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open.values()].map((mirror) => mirror.close()));
  }

  /** Also takes away what was being removed when a process ended, and ends the gits that it left. */
  async #prepare(): Promise<void> {
    const { dir } = this.#parts.mirrors;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      for (const name of await readdir(dir)) {
        if (/\.gone-[\da-f]+$/.test(name)) await rm(join(dir, name), { recursive: true, force: true });
      }
      await this.#running.endOrphans();
    } catch (error) {
      this.#ready = undefined;
      throw new VcsError('failed', `the folder of the mirrors cannot be used (${errnoOf(error)})`, {
        cause: error,
      });
    }
  }

  #make(url: string): GitMirror {
    const { clock, mirrors } = this.#parts;
    return new GitMirror({
      url,
      gitDir: this.#gitDirOf(url),
      caller: this.#caller,
      clock,
      limits: limitsOf(mirrors),
      running: this.#running,
      listings: this.#listings,
      onTagMoved: mirrors.onTagMoved,
    });
  }

  #forgetOldest(): void {
    const { maxOpen = defaultMaxOpen } = this.#parts.mirrors;
    for (const [url, mirror] of this.#open) {
      if (this.#open.size <= maxOpen) return;
      // Two objects for one mirror would fetch twice; a busy one stays until it is done.
      if (!mirror.isIdle) continue;
      this.#open.delete(url);
      mirror.forgotten();
    }
  }

  #gitDirOf(url: string): string {
    return join(
      this.#parts.mirrors.dir,
      `${createHash('sha256').update(url).digest('hex').slice(0, 32)}.git`,
    );
  }
}

/** One spelling for URLs that lead to the same repository on every forge. */
function plainUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return url;
  const path = parsed.pathname.replace(/\/+$/, '').replace(/\.git$/, '');
  const user = parsed.username === '' ? '' : `${parsed.username}@`;
  return `${parsed.protocol}//${user}${parsed.host.toLowerCase()}${path}`;
}
