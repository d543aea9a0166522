/**
 * This process's folder under `run/`: staging, dirty-list markers, a heartbeat. At opening and once a minute the
 * folders of processes that are provably dead are removed, after what they left undone was taken over.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { basename, join } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';
import { createFile, isErrno, makeFolders, namesIn, readTextIfAny, rename, statIfAny } from './files.ts';
import { isProcessIdentity, livenessOf, type ProcessIdentity, thisProcess } from './process-identity.ts';

const heartbeatMs = 5_000;
/** Another host's clock may be wrong and its network may be cut for long: a day is the proof there. */
const foreignSilenceMs = 24 * 3_600_000;
/** A restarted container has a new pid namespace: there silence of some heartbeats must do. */
const namespaceSilenceMs = 60_000;
const unfinishedMs = 3_600_000;
/** Every twelfth heartbeat looks for dead neighbours again. */
const sweepEvery = 12;

export interface InstanceEvents {
  /** Takes over the lists and claims a dead process left; its folder is removed when this resolves. */
  adopt(left: { readonly instance: string; readonly dirty: string }): Promise<void>;
}

export class Instance {
  readonly name: string;
  readonly folder: string;
  readonly staging: string;
  readonly dirty: string;
  readonly identity: ProcessIdentity;
  readonly #run: string;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #beats = 0;
  #sweeping: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(run: string, clock: Clock) {
    this.identity = thisProcess();
    const boot = this.identity.bootId.slice(0, 8) || 'noboot';
    this.name = `${this.identity.pid}-${boot}-${randomBytes(4).toString('hex')}`;
    this.#run = run;
    this.#clock = clock;
    this.folder = join(run, this.name);
    this.staging = join(this.folder, 'staging');
    this.dirty = join(this.folder, 'dirty');
  }

  /** Makes the folder. Rejects with the system's error. */
  static async create(run: string, clock: Clock): Promise<Instance> {
    const instance = new Instance(run, clock);
    await instance.#create();
    return instance;
  }

  /** Starts the heartbeat and the sweep for dead neighbours. */
  start(events: InstanceEvents): void {
    this.#sweeping = this.#sweep(events);
    this.#scheduleBeat(events);
  }

  /** Resolves when the running sweep is done. */
  swept(): Promise<void> {
    return this.#sweeping;
  }

  /**
   * Removes the folder. What is still open in staging loses its name only. With `keepMarkers` the folder stays for
   * the next process to adopt: some list could not be written.
   */
  async close(options: { keepMarkers: boolean }): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    await this.#sweeping;
    await removeFolder(options.keepMarkers ? this.staging : this.folder);
  }

  async #create(): Promise<void> {
    // Made under another name first: whoever sees the folder sees whose it is.
    const unfinished = `${this.folder}.new`;
    await makeFolders(join(unfinished, 'staging'));
    await makeFolders(join(unfinished, 'dirty'));
    const facts = { ...this.identity, startedAt: new Date(this.#clock.now()).toISOString() };
    await createFile(join(unfinished, 'instance.json'), `${JSON.stringify(facts)}\n`);
    await createFile(join(unfinished, 'heartbeat'), '');
    await rename(unfinished, this.folder);
  }

  #scheduleBeat(events: InstanceEvents): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => {
      const nowS = this.#clock.now() / 1000;
      this.#beats += 1;
      // A missed beat is no news: only a day without any is.
      fs.promises.utimes(join(this.folder, 'heartbeat'), nowS, nowS).catch(() => {});
      if (this.#beats % sweepEvery === 0) {
        this.#sweeping = this.#sweeping.then(() => this.#sweep(events));
      }
      this.#scheduleBeat(events);
    }, heartbeatMs);
  }

  async #sweep(events: InstanceEvents): Promise<void> {
    const names = await namesIn(this.#run).catch(() => []);
    for (const name of names) {
      if (this.#closed) return;
      const folder = join(this.#run, name);
      if (folder === this.folder) continue;
      try {
        if (!(await this.#isDead(folder))) continue;
        await events.adopt({ instance: name, dirty: join(folder, 'dirty') });
        await removeFolder(folder);
      } catch {
        // Tried again by the next sweep; leftovers cost space, not correctness.
      }
    }
  }

  async #isDead(folder: string): Promise<boolean> {
    const now = this.#clock.now();
    if (folder.endsWith('.new')) {
      const facts = await statIfAny(folder);
      return facts !== undefined && now - facts.modifiedAtMs > unfinishedMs;
    }
    const other = await readIdentity(folder);
    // Not one of ours, or unreadable: never touched.
    if (other === undefined) return false;
    const liveness = livenessOf(other, this.identity);
    if (liveness !== 'unknown') return liveness === 'dead';
    const heartbeat = await statIfAny(join(folder, 'heartbeat'));
    if (heartbeat === undefined) return false;
    const allowedMs = other.host === this.identity.host ? namespaceSilenceMs : foreignSilenceMs;
    return now - heartbeat.modifiedAtMs > allowedMs;
  }
}

/** Whose folder it is; undefined when it does not say. */
async function readIdentity(folder: string): Promise<ProcessIdentity | undefined> {
  if (!/^\d+-[0-9a-z]+-[0-9a-f]{8}$/.test(basename(folder))) return undefined;
  const text = await readTextIfAny(join(folder, 'instance.json'));
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    return isProcessIdentity(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function removeFolder(folder: string): Promise<void> {
  try {
    await fs.promises.rm(folder, { recursive: true, force: true });
  } catch (error) {
    // Two processes may remove one leftover at once.
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}
