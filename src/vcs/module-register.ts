/**
 * Which modules were asked of which repository: what a webhook's push is about. Kept in a small JSON file beside the
 * mirrors, so that a push right after a restart is understood. A lost file costs a few refreshed lists, nothing more.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LRUCache } from 'lru-cache';
import { isModulePath } from '../gomod/module-path.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { removeLeftovers } from '../lib/leftovers.ts';
import { subdirFault } from './find/repository-rule.ts';
import type { RepositoryPlace } from './types.ts';

/** A repository that modules were taken from. */
export interface KnownRepository {
  /** As `GitMirrors` knows it. */
  readonly url: string;
  /** Module path that its root, or `subdir`, stands for. */
  readonly root: string;
  readonly subdir: string;
  readonly paths: readonly ModulePath[];
}

interface Entry {
  readonly url: string;
  readonly root: string;
  readonly subdir: string;
  readonly paths: Set<ModulePath>;
}

const maxRepositories = 10_000;
/** A repository with more is nobody's; the oldest are forgotten first. */
const maxPaths = 1_000;
const maxPathsInAll = 50_000;
const maxFileBytes = 32 * 1024 * 1024;
const saveAfterMs = 1_000;

export class ModuleRegister {
  readonly #file: string;
  readonly #clock: Clock;
  /** By URL, root and sub-directory. */
  readonly #entries = new LRUCache<string, Entry>({
    max: maxRepositories,
    maxSize: maxPathsInAll,
    sizeCalculation: ({ paths }) => Math.max(1, paths.size),
  });
  #loaded: Promise<void> | undefined;
  #timer: Timer | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  /** Reads the file once. Never rejects: what cannot be read is as good as empty. */
  load(): Promise<void> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  /** After a module was really found there: names that somebody makes up do not count. */
  note({ url, root, subdir }: RepositoryPlace, path: ModulePath): void {
    if (this.#add({ url, root, subdir }, [path])) this.#saveSoon();
  }

  /** By any address that a forge calls the repository by: web page, https, ssh, scp's form. */
  find(url: string): readonly KnownRepository[] {
    const wanted = repositoryKey(url);
    if (wanted === undefined) return [];
    return [...this.#entries.values()]
      .filter((entry) => repositoryKey(entry.url) === wanted)
      .map(({ paths, ...entry }) => ({ ...entry, paths: [...paths] }));
  }

  /** Writes what is not written yet. Never rejects. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      this.#timer.cancel();
      this.#timer = undefined;
      this.#save();
    }
    await this.#saving;
  }

  /** True when something is new. */
  #add(place: Omit<Entry, 'paths'>, paths: readonly ModulePath[]): boolean {
    const key = `${place.url}\n${place.root}\n${place.subdir}`;
    const known = this.#entries.get(key)?.paths;
    const fresh = paths.filter((path) => known?.has(path) !== true);
    if (known !== undefined && fresh.length === 0) return false;
    const all = new Set([...(known ?? []), ...fresh].slice(-maxPaths));
    this.#entries.set(key, { ...place, paths: all });
    return true;
  }

  #saveSoon(): void {
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#save();
    }, saveAfterMs);
  }

  #save(): void {
    this.#saving = this.#saving.then(() => this.#write()).catch(() => {});
  }

  async #write(): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    // Another process on the folder may have learned something, too. What both lose is learned again.
    await this.#read();
    const repositories = [...this.#entries.values()].map(({ paths, ...place }) => ({
      ...place,
      paths: [...paths],
    }));
    const temporary = `${this.#file}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, `${JSON.stringify({ repositories })}\n`, { mode: 0o600 });
      await rename(temporary, this.#file);
    } finally {
      await rm(temporary, { force: true });
    }
    await removeLeftovers(this.#file, this.#clock);
  }

  async #read(): Promise<void> {
    try {
      if ((await stat(this.#file)).size > maxFileBytes) return;
      const value: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      for (const { paths, ...place } of readEntries(value)) this.#add(place, paths);
    } catch {
      // None yet, or damaged: learned again.
    }
  }
}

function readEntries(value: unknown): (Omit<Entry, 'paths'> & { readonly paths: readonly ModulePath[] })[] {
  if (typeof value !== 'object' || value === null || !('repositories' in value)) return [];
  const { repositories } = value;
  if (!Array.isArray(repositories)) return [];
  return repositories.slice(0, maxRepositories).flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) return [];
    const { url, root, subdir, paths } = one as Record<string, unknown>;
    if (typeof url !== 'string' || typeof root !== 'string' || typeof subdir !== 'string') return [];
    if (!Array.isArray(paths) || !URL.canParse(url) || subdirFault(subdir) !== undefined) return [];
    const good = paths.filter((path): path is ModulePath => typeof path === 'string' && isModulePath(path));
    return [{ url, root, subdir, paths: good.slice(-maxPaths) }];
  });
}

/**
 * What all addresses of one repository have in common: host and path, lower case (forges do not tell the cases apart),
 * without user, port, `.git` and slashes at the end. Undefined for what is no address.
 */
export function repositoryKey(address: string): string | undefined {
  if (address.length > 2048) return undefined;
  const [, scpHost, scpPath] = /^(?:[^@/:\s]+@)?([^@/:\s]+):(?!\/\/)\/?([^\s]+)$/.exec(address) ?? [];
  const text = scpHost === undefined ? address : `ssh://${scpHost}/${scpPath ?? ''}`;
  if (!URL.canParse(text)) return undefined;
  const { hostname, pathname } = new URL(text);
  const path = pathname
    .toLowerCase()
    .replace(/\/+$/, '')
    .replace(/\.git$/, '');
  return path === '' ? undefined : `${hostname.toLowerCase().replace(/\.$/, '')}${path}`;
}
