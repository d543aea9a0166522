/**
 * Modules of Mercurial, Subversion, Fossil and Bazaar repositories, through an installed `go` command: it knows them,
 * and they are too rare for code of our own. Off unless the operator allows each of them.
 * @see https://go.dev/ref/mod#vcs
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { maxGoModBytes } from '../../gomod/go-mod-file.ts';
import type { ModulePath, Version, VersionQuery } from '../../gomod/types.ts';
import { parseCanonicalVersion } from '../../gomod/version.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import type { ModuleAnswers, OtherModules } from '../module-answers.ts';
import { type RepositoryPlace, type Vcs, VcsError } from '../types.ts';
import { type GoModuleAnswer, readGoAnswer } from './go-answer.ts';
import {
  environmentFolders,
  type GoEnvironmentOptions,
  goEnvironment,
  telemetryFile,
} from './go-environment.ts';
import { runGo } from './run-go.ts';

export interface GoModulesOptions {
  /** Those that may be used. Default: none. */
  readonly allowed?: readonly Exclude<Vcs, 'git'>[];
  /** Setting that names them, for texts. Default `direct.other_vcs`. */
  readonly setting?: string;
  /** Default `go`. */
  readonly command?: string;
  readonly environment: GoEnvironmentOptions;
  /** Absolute path of a folder of its own, for module caches and checkouts. */
  readonly folder: string;
  readonly clock: Clock;
  /** Of one command. Default 5 min. */
  readonly timeoutMs?: number;
  /** Commands at once. Default 2: each may run a version control system with all it does. */
  readonly maxConcurrent?: number;
  /** How long a repository's working folder is kept for the next question. Default 10 min. */
  readonly keepMs?: number;
  /** Default 500 MiB, Go's own limit. */
  readonly maxZipBytes?: number;
}

/** A folder in which go knows one module. */
interface Workspace {
  readonly folder: string;
  readonly ready: Promise<void>;
  /** go locks its caches, and hg what it works on: one at a time. */
  readonly turn: Semaphore;
  users: number;
  isDropped: boolean;
  timer: Timer | undefined;
}

const maxWorkspaces = 16;
const maxOutputBytes = 4 * 1024 * 1024;
const leftForMs = 24 * 3_600_000;

export function createGoModules(options: GoModulesOptions): OtherModules & { start(): Promise<void> } {
  return new GoModules(options);
}

class GoModules implements OtherModules {
  readonly #options: GoModulesOptions;
  readonly #places: Semaphore;
  readonly #workspaces = new Map<string, Workspace>();
  readonly #removing = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: GoModulesOptions) {
    this.#options = options;
    this.#places = new Semaphore(options.maxConcurrent ?? 2, 64);
  }

  /** Removes what processes that were killed left behind for a day. Never rejects. */
  async start(): Promise<void> {
    const { folder, clock } = this.#options;
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const facts = await stat(path).catch(() => undefined);
      const isOld = facts !== undefined && clock.now() - facts.mtimeMs > leftForMs;
      if (/^go-[0-9a-f]{12}$/.test(name) && isOld) await removeTree(path);
    }
  }

  open(place: RepositoryPlace, path: ModulePath): ModuleAnswers {
    const { allowed = [], setting = 'direct.other_vcs' } = this.#options;
    const { vcs } = place;
    if (vcs === 'git' || !allowed.includes(vcs)) {
      throw new VcsError(
        'refused',
        `${path} is in a repository of ${vcs}, which is not allowed; the setting ${setting} allows it`,
      );
    }
    const list = (query: string, signal: AbortSignal): Promise<GoModuleAnswer> =>
      this.#ask(
        path,
        vcs,
        ['list', '-m', '-versions', '-json', `${path}@${query}`],
        signal,
        async (one) => one,
      );
    return {
      list: async (signal) => (await list('latest', signal)).versions,
      latest: async (signal) => infoText(await list('latest', signal)),
      info: async (query, signal) => infoText(await list(checkedQuery(query), signal)),
      goMod: async (version, signal) =>
        await this.#ask(path, vcs, ['mod', 'download', '-json', versionOf(path, version)], signal, readGoMod),
      zip: async (version, file, signal) =>
        await this.#ask(path, vcs, ['mod', 'download', '-json', versionOf(path, version)], signal, (one) =>
          this.#copyZip(one, file),
        ),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(new VcsError('aborted', 'modferry is stopping'));
    for (const [key, workspace] of this.#workspaces) this.#drop(key, workspace);
    await Promise.all(this.#removing);
  }

  async #ask<Result>(
    path: ModulePath,
    vcs: Vcs,
    args: readonly string[],
    asker: AbortSignal,
    read: (answer: GoModuleAnswer) => Promise<Result>,
  ): Promise<Result> {
    const { command = 'go', environment, clock, timeoutMs = 300_000 } = this.#options;
    const signal = AbortSignal.any([asker, this.#closing.signal]);
    signal.throwIfAborted();
    const workspace = this.#workspace(`${vcs} ${path}`);
    const releases: (() => void)[] = [];
    try {
      for (const semaphore of [workspace.turn, this.#places]) {
        const release = await semaphore.acquire(signal);
        if (release === undefined) throw new VcsError('busy', 'too many go commands are waiting');
        releases.push(release);
      }
      await workspace.ready;
      const { folder } = workspace;
      const output = await runGo({
        command,
        args,
        cwd: join(folder, 'cwd'),
        env: goEnvironment(folder, vcs, environment),
        timeoutMs,
        maxOutputBytes,
        clock,
        signal,
      });
      return await read(readGoAnswer(`${path} (${vcs})`, output));
    } finally {
      for (const release of releases.toReversed()) release();
      this.#leave(`${vcs} ${path}`, workspace);
    }
  }

  #workspace(key: string): Workspace {
    const known = this.#workspaces.get(key);
    if (known !== undefined) {
      known.timer?.cancel();
      known.users += 1;
      return known;
    }
    const idle = [...this.#workspaces].find(([, { users }]) => users === 0);
    if (this.#workspaces.size >= maxWorkspaces) {
      if (idle === undefined)
        throw new VcsError('busy', 'too many repositories are looked at by go commands');
      this.#drop(...idle);
    }
    const folder = join(this.#options.folder, `go-${randomBytes(6).toString('hex')}`);
    const ready = makeWorkspace(folder);
    ready.catch(() => {});
    const turn = new Semaphore(1, 64);
    const made: Workspace = { folder, ready, turn, users: 1, isDropped: false, timer: undefined };
    this.#workspaces.set(key, made);
    return made;
  }

  #leave(key: string, workspace: Workspace): void {
    workspace.users -= 1;
    if (workspace.users > 0) return;
    if (workspace.isDropped) this.#remove(workspace);
    else {
      const { clock, keepMs = 600_000 } = this.#options;
      workspace.timer = clock.setTimeout(() => this.#drop(key, workspace), keepMs);
    }
  }

  #drop(key: string, workspace: Workspace): void {
    workspace.timer?.cancel();
    workspace.isDropped = true;
    if (this.#workspaces.get(key) === workspace) this.#workspaces.delete(key);
    if (workspace.users === 0) this.#remove(workspace);
  }

  #remove({ folder, ready }: Workspace): void {
    const removing = ready.catch(() => {}).then(() => removeTree(folder));
    this.#removing.add(removing);
    removing.finally(() => this.#removing.delete(removing)).catch(() => {});
  }

  async #copyZip({ zipFile }: GoModuleAnswer, file: string): Promise<void> {
    const { maxZipBytes = 500 * 1024 * 1024 } = this.#options;
    if (zipFile === undefined) throw new VcsError('failed', 'the go command made no zip');
    const { size } = await stat(zipFile);
    if (size > maxZipBytes) throw new VcsError('too_large', `the module zip is over ${maxZipBytes} bytes`);
    await copyFile(zipFile, file);
  }
}

async function makeWorkspace(folder: string): Promise<void> {
  for (const each of environmentFolders(folder)) await mkdir(each, { recursive: true, mode: 0o700 });
  await writeFile(...telemetryFile(folder));
}

/** Never rejects: what stays costs space, and is removed at a later start. */
async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 }).catch(() => {});
}

/** `Version`, `Time` and `Origin` as they stand in the `.info` of go's own cache. */
function infoText({ version, time, origin }: GoModuleAnswer): string {
  return JSON.stringify({
    Version: version,
    ...(time === undefined ? {} : { Time: time }),
    ...(origin === undefined ? {} : { Origin: origin }),
  });
}

async function readGoMod({ goModFile }: GoModuleAnswer): Promise<Buffer> {
  if (goModFile === undefined) throw new VcsError('failed', 'the go command gave no go.mod');
  const { size } = await stat(goModFile);
  if (size > maxGoModBytes) throw new VcsError('too_large', `the go.mod is over ${maxGoModBytes} bytes`);
  return await readFile(goModFile);
}

function versionOf(path: ModulePath, version: Version): string {
  if (parseCanonicalVersion(path, version) === undefined) {
    throw new VcsError('absent', `${path} cannot have the version ${JSON.stringify(version.slice(0, 60))}`);
  }
  return `${path}@${version}`;
}

/** go hands a query on to the version control system: nothing that could be an option or an expression there. */
function checkedQuery(query: VersionQuery | Version): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$/.test(query) && !words.has(query)) return query;
  throw new VcsError(
    'refused',
    `${JSON.stringify(query.slice(0, 60))} is no branch, tag or revision that is handed to another version control system`,
  );
}

/** They mean something else to go itself. */
const words = new Set(['upgrade', 'patch', 'none', 'all']);
