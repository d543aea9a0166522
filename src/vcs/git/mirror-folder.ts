/** The folder of one mirror: made, measured, cleared of what dead gits left, removed. */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import type { GitCaller } from './git-caller.ts';
import { gitError } from './git-error.ts';
import { writeWhole } from './whole-file.ts';

/** A temporary pack that did not grow for so long belongs to nobody. */
const deadAfterMs = 15 * 60_000;

const incomingPrefix = 'incoming-';

/** As the go command has it: the archive of a commit must not depend on which git made it, or on the branches. */
const attributes = '* -export-subst -export-ignore\n';

export type ObjectFormat = 'sha1' | 'sha256';

export interface MirrorMarker {
  readonly url: string;
  /** False: the server does not bear partial fetches, and the mirror holds everything. */
  readonly isPartial: boolean;
  readonly objectFormat: ObjectFormat;
}

/**
 * The mirror as a repository without a server. `git archive` of one directory asks a server that it knows of for the
 * blobs of the whole commit (seen with 2.39); here it makes do with those it reads.
 */
export function archiveViewOf(gitDir: string): string {
  return join(gitDir, 'modferry-view');
}

export class MirrorFolder {
  readonly gitDir: string;
  readonly #clock: Clock;

  constructor(gitDir: string, clock: Clock) {
    this.gitDir = gitDir;
    this.#clock = clock;
  }

  /** Where the refs of the last complete fetch are written. */
  get fetchedFile(): string {
    return join(this.gitDir, 'modferry-fetched');
  }

  /** Undefined when the mirror is not there, or not whole. */
  async marker(): Promise<MirrorMarker | undefined> {
    try {
      const value: unknown = JSON.parse(await readFile(this.#markerFile, 'utf8'));
      if (typeof value !== 'object' || value === null || !('url' in value) || !('isPartial' in value))
        return undefined;
      const { url, isPartial } = value;
      const objectFormat = 'objectFormat' in value && value.objectFormat === 'sha256' ? 'sha256' : 'sha1';
      return typeof url === 'string' && typeof isPartial === 'boolean'
        ? { url, isPartial, objectFormat }
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** Anew, in place of what is there. Its marker comes last: without it the folder counts as none. */
  async make(caller: GitCaller, marker: MirrorMarker, signal: AbortSignal): Promise<void> {
    await this.remove();
    await mkdir(this.gitDir, { recursive: true, mode: 0o700 });
    const init = ['init', '--quiet', '--bare', '--template=', `--object-format=${marker.objectFormat}`];
    await this.#run(caller, init, signal);
    await this.#run(caller, ['config', '--local', 'remote.origin.url', marker.url], signal);
    await mkdir(join(this.gitDir, 'info'), { recursive: true });
    await writeFile(join(this.gitDir, 'info', 'attributes'), attributes);
    await this.#makeView(marker.objectFormat);
    await writeWhole(this.#markerFile, `${JSON.stringify(marker)}\n`);
  }

  /** At once for everybody who looks: under another name first. */
  async remove(): Promise<void> {
    const away = `${this.gitDir}.gone-${randomBytes(6).toString('hex')}`;
    try {
      await rename(this.gitDir, away);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    await rm(away, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Takes away packs that were never finished. */
  async sweep(): Promise<void> {
    for (const name of await names(this.#packs)) {
      const file = join(this.#packs, name);
      if (name.startsWith('tmp_') && (await this.#isDead([file]))) await unlink(file).catch(() => {});
    }
    for (const folder of await this.#incoming()) {
      const packs = join(folder, 'pack');
      const files = (await names(packs)).map((name) => join(packs, name));
      if (await this.#isDead([packs, ...files])) await rm(folder, { recursive: true, force: true });
    }
  }

  /**
   * An object folder for one fetch, which sees what the mirror has. What it brings becomes part of the mirror by `take`;
   * whoever made it removes it.
   */
  async makeIncoming(): Promise<string> {
    const folder = join(this.gitDir, `${incomingPrefix}${randomBytes(6).toString('hex')}`);
    await mkdir(join(folder, 'pack'), { recursive: true, mode: 0o700 });
    await mkdir(join(folder, 'info'));
    await writeFile(join(folder, 'info', 'alternates'), '../objects\n');
    return folder;
  }

  async take(incoming: string): Promise<void> {
    const found = await readdir(join(incoming, 'pack'));
    // A pack is found by its index, so that comes when all the rest is there.
    const isIndex = (name: string): boolean => name.endsWith('.idx');
    for (const name of [...found.filter((each) => !isIndex(each)), ...found.filter(isIndex)]) {
      if (name.startsWith('pack-')) await rename(join(incoming, 'pack', name), join(this.#packs, name));
    }
  }

  /** Takes away lock files. Only when git said that one stands in its way, and the mirror's own lock is held. */
  async removeLocks(): Promise<void> {
    const found = await readdir(this.gitDir, { recursive: true, withFileTypes: true });
    for (const entry of found) {
      if (entry.isFile() && entry.name.endsWith('.lock')) {
        await unlink(join(entry.parentPath, entry.name)).catch(() => {});
      }
    }
  }

  /** Of the packs, finished or not: there is nothing else that grows. */
  async sizeBytes(): Promise<number> {
    let sum = 0;
    for (const objects of [join(this.gitDir, 'objects'), ...(await this.#incoming())])
      sum += await packsBytes(objects);
    return sum;
  }

  async packs(): Promise<number> {
    return (await names(this.#packs)).filter((name) => name.endsWith('.pack')).length;
  }

  get #packs(): string {
    return join(this.gitDir, 'objects', 'pack');
  }

  async #incoming(): Promise<readonly string[]> {
    const found = (await names(this.gitDir)).filter((name) => name.startsWith(incomingPrefix));
    return found.map((name) => join(this.gitDir, name));
  }

  /** True when none of them changed for long. */
  async #isDead(paths: readonly string[]): Promise<boolean> {
    for (const path of paths) {
      const seen = await stat(path).catch(() => undefined);
      if (seen !== undefined && this.#clock.now() - seen.mtimeMs <= deadAfterMs) return false;
    }
    return true;
  }

  async #makeView(objectFormat: ObjectFormat): Promise<void> {
    const view = archiveViewOf(this.gitDir);
    for (const folder of ['refs', 'info', join('objects', 'info')])
      await mkdir(join(view, folder), { recursive: true });
    const version = objectFormat === 'sha1' ? 0 : 1;
    const config = `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n`;
    const extension = objectFormat === 'sha1' ? '' : `[extensions]\n\tobjectformat = ${objectFormat}\n`;
    await writeFile(join(view, 'config'), config + extension);
    await writeFile(join(view, 'objects', 'info', 'alternates'), '../../objects\n');
    await writeFile(join(view, 'info', 'attributes'), attributes);
    await writeFile(join(view, 'HEAD'), 'ref: refs/heads/main\n');
  }

  get #markerFile(): string {
    return join(this.gitDir, 'modferry.json');
  }

  async #run(caller: GitCaller, args: readonly string[], signal: AbortSignal): Promise<void> {
    const { exitCode, stderr } = await caller.local(args, { gitDir: this.gitDir, signal });
    if (exitCode !== 0) throw gitError({ exitCode, stderr });
  }
}

/** Size of the packs in an object folder, finished or not. */
export async function packsBytes(objectsDir: string): Promise<number> {
  const packs = join(objectsDir, 'pack');
  let sum = 0;
  for (const name of await names(packs))
    sum += (await stat(join(packs, name)).catch(() => undefined))?.size ?? 0;
  return sum;
}

async function names(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}
