/**
 * Claims: which process fills which artifact, as files under `meta/claims` made exclusively. They only save work
 * (ruling 24): whoever loses one, or meets a dead holder, may fill as well, and publishing settles it.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/sleep.ts';
import type { Claim } from '../store.ts';
import {
  createFile,
  isErrno,
  link,
  namesIn,
  readTextIfAny,
  rename,
  statIfAny,
  unlinkIfAny,
} from './files.ts';
import type { Instance } from './instance.ts';
import { parseObject } from './json-object.ts';
import { keyHash, type Layout } from './layout.ts';
import { isProcessIdentity, livenessOf, type ProcessIdentity } from './process-identity.ts';

const firstPollMs = 20;
const lastPollMs = 200;
/** A stale claim may be fought for; after this many rounds filling without the claim is the better answer. */
const maxTries = 5;

/** What a claim file says. */
interface Holder {
  readonly token: string;
  readonly instance: string;
  readonly process: ProcessIdentity;
  /** The staged file, relative to the data folder: other hosts mount it elsewhere. */
  readonly staged: string;
}

export interface ClaimsOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly instance: Instance;
  readonly stallMs: number;
  readonly hardLinks: boolean;
}

export class Claims {
  readonly #options: ClaimsOptions;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** Rejects with the system's error. */
  async claim(key: ArtifactKey): Promise<Claim> {
    const file = this.#options.layout.claim(key);
    for (let tries = 0; tries < maxTries; tries++) {
      const token = randomBytes(12).toString('hex');
      if (await this.#create(file, key, token)) {
        return { holder: 'us', release: () => this.#remove(file, token).then(() => {}) };
      }
      const holder = await this.#read(file);
      if (holder === 'none') continue;
      if (holder !== 'unreadable' && (await this.#isGone(holder))) {
        await this.#remove(file, holder.token);
        continue;
      }
      return { holder: 'other', wait: (signal) => this.#wait(key, file, signal) };
    }
    return { holder: 'us', release: () => Promise.resolve() };
  }

  /** Removes what a dead process still claims, so that claims nobody asks for again do not pile up. */
  async removeAllOf(instance: string): Promise<void> {
    for (const name of await namesIn(this.#options.layout.claims)) {
      const file = join(this.#options.layout.claims, name);
      const holder = await this.#read(file);
      if (typeof holder === 'object' && holder.instance === instance) await this.#remove(file, holder.token);
    }
  }

  async #wait(
    key: ArtifactKey,
    file: string,
    signal: AbortSignal,
  ): Promise<'published' | 'released' | 'stalled'> {
    const { layout, clock, stallMs } = this.#options;
    const artifact = layout.artifact(key);
    let token: string | undefined;
    let sizeBytes = -1;
    let movedAtMs = clock.monotonic();
    for (let delayMs = firstPollMs; ; delayMs = Math.min(delayMs * 2, lastPollMs)) {
      signal.throwIfAborted();
      // The claim first: a holder publishes before it releases, so a claim that is gone leaves the artifact to see.
      const holder = await this.#read(file);
      if ((await statIfAny(artifact)) !== undefined) return 'published';
      if (holder === 'none') return 'released';
      const heldBy = holder === 'unreadable' ? '' : holder.token;
      token ??= heldBy === '' ? undefined : heldBy;
      if (token !== undefined && heldBy !== '' && heldBy !== token) return 'released';
      if (holder !== 'unreadable' && (await this.#isGone(holder))) return await this.#stalled(file, heldBy);
      const nowBytes = holder === 'unreadable' ? 0 : await this.#stagedBytes(holder);
      if (nowBytes !== sizeBytes) {
        sizeBytes = nowBytes;
        movedAtMs = clock.monotonic();
      } else if (clock.monotonic() - movedAtMs >= stallMs) return await this.#stalled(file, heldBy);
      await sleep(clock, delayMs, signal);
    }
  }

  /** Frees a stalled claim, so that of those who ask again exactly one gets it. */
  async #stalled(file: string, token: string): Promise<'stalled'> {
    await this.#remove(file, token);
    return 'stalled';
  }

  async #stagedBytes(holder: Holder): Promise<number> {
    const facts = await statIfAny(join(this.#options.layout.data, holder.staged));
    return facts?.sizeBytes ?? 0;
  }

  /** The process is provably dead, or closed its store and left the claim. */
  async #isGone(holder: Holder): Promise<boolean> {
    const { instance, layout } = this.#options;
    if (holder.instance === instance.name) return false;
    if (livenessOf(holder.process, instance.identity) === 'dead') return true;
    return (await statIfAny(join(layout.run, holder.instance))) === undefined;
  }

  async #create(file: string, key: ArtifactKey, token: string): Promise<boolean> {
    const { instance } = this.#options;
    const holder: Holder = {
      token,
      instance: instance.name,
      process: instance.identity,
      staged: join('run', instance.name, 'staging', stagedName(key)),
    };
    try {
      await this.#createWhole(file, JSON.stringify(holder));
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw error;
    }
  }

  /** As exclusive as O_EXCL, and a kill in between leaves no empty claim that others must wait for. */
  async #createWhole(file: string, text: string): Promise<void> {
    const { hardLinks } = this.#options;
    if (!hardLinks) return await createFile(file, text);
    const temporary = this.#temporary();
    await createFile(temporary, text);
    try {
      await link(temporary, file);
    } finally {
      await unlinkIfAny(temporary);
    }
  }

  #temporary(): string {
    return join(this.#options.instance.staging, `claim-${randomBytes(8).toString('hex')}`);
  }

  /** `unreadable` is one that is being written this moment, or was left empty by a crash. */
  async #read(file: string): Promise<Holder | 'none' | 'unreadable'> {
    const text = await readTextIfAny(file);
    return text === undefined ? 'none' : (parseHolder(text) ?? 'unreadable');
  }

  /**
   * Removes the claim only if it holds this token (empty: only if unreadable). It is renamed away first and looked
   * at then, because between reading and unlinking another process may have taken it over.
   */
  async #remove(file: string, token: string): Promise<boolean> {
    const current = await this.#read(file).catch(() => 'none' as const);
    if (!carries(current, token)) return false;
    const aside = this.#temporary();
    try {
      await rename(file, aside);
      const taken = await this.#read(aside);
      const right = carries(taken, token);
      if (!right) await link(aside, file).catch(() => {});
      await unlinkIfAny(aside);
      return right;
    } catch {
      // Somebody was quicker, or the disk refuses: a claim left behind ends by stalling.
      return false;
    }
  }
}

/** The name a fill's staged file has while no other of the same key is staged in the same process. */
export function stagedName(key: ArtifactKey): string {
  return `${keyHash(key)}.${key.ext}`;
}

function carries(holder: Holder | 'none' | 'unreadable', token: string): boolean {
  if (holder === 'none') return false;
  return holder === 'unreadable' ? token === '' : holder.token === token;
}

function parseHolder(text: string): Holder | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const { token, instance, process, staged } = value;
  if (typeof token !== 'string' || typeof instance !== 'string' || typeof staged !== 'string')
    return undefined;
  // A claim comes from a shared folder: it must not lead the eye anywhere else.
  if (!/^[\w-]+$/.test(instance)) return undefined;
  if (!/^run\/[\w-]+\/staging\/[\w.-]+$/.test(staged.replaceAll('\\', '/'))) return undefined;
  return isProcessIdentity(process) ? { token, instance, process, staged } : undefined;
}
