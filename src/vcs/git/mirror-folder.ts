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

/** As the go command has it: the archive of a commit must not depend on which git made it, or on the branches. */
const attributes = '* -export-subst -export-ignore\n';

export interface MirrorMarker {
  readonly url: string;
  /** False: the server does not bear partial fetches, and the mirror holds everything. */
  readonly isPartial: boolean;
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
      return typeof url === 'string' && typeof isPartial === 'boolean' ? { url, isPartial } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Anew, in place of what is there. Its marker comes last: without it the folder counts as none. */
  async make(
    caller: GitCaller,
    marker: MirrorMarker,
    objectFormat: string,
    signal: AbortSignal,
  ): Promise<void> {
    await this.remove();
    await mkdir(this.gitDir, { recursive: true, mode: 0o700 });
    const init = ['init', '--quiet', '--bare', '--template=', `--object-format=${objectFormat}`];
    await this.#run(caller, init, signal);
    await this.#run(caller, ['config', '--local', 'remote.origin.url', marker.url], signal);
    await mkdir(join(this.gitDir, 'info'), { recursive: true });
    await writeFile(join(this.gitDir, 'info', 'attributes'), attributes);
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
    const packs = join(this.gitDir, 'objects', 'pack');
    for (const name of await names(packs)) {
      if (!name.startsWith('tmp_')) continue;
      const file = join(packs, name);
      const seen = await stat(file).catch(() => undefined);
      if (seen !== undefined && this.#clock.now() - seen.mtimeMs > deadAfterMs)
        await unlink(file).catch(() => {});
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
    const packs = join(this.gitDir, 'objects', 'pack');
    let sum = 0;
    for (const name of await names(packs))
      sum += (await stat(join(packs, name)).catch(() => undefined))?.size ?? 0;
    return sum;
  }

  async packs(): Promise<number> {
    return (await names(join(this.gitDir, 'objects', 'pack'))).filter((name) => name.endsWith('.pack'))
      .length;
  }

  get #markerFile(): string {
    return join(this.gitDir, 'modferry.json');
  }

  async #run(caller: GitCaller, args: readonly string[], signal: AbortSignal): Promise<void> {
    const { exitCode, stderr } = await caller.local(args, { gitDir: this.gitDir, signal });
    if (exitCode !== 0) throw gitError({ exitCode, stderr });
  }
}

async function names(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}
