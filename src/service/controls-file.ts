/**
 * The operator's orders in the data folder, `meta/controls.json`: they survive a restart, and every process on the
 * folder reads them within a second. An order is read, changed and written under a lock file, so that two orders at
 * once both hold.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { activeControls, parseControls } from '../health/controls-state.ts';
import { type Controls, noControls } from '../health/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';
import { type HeldLock, LockFile } from '../lib/lock-file.ts';
import { applyOrder } from './controls-order.ts';

const pollEveryMs = 1_000;

type Order = Readonly<Record<string, unknown>>;

function fileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'controls.json');
}

/**
 * None where there is no file, or one that nobody can understand: a torn file must not keep the server from
 * starting. Rejects with the system's error when the disk does not give it.
 */
async function read(file: string, nowMs: number): Promise<Controls> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return noControls;
    throw error;
  }
  const value = parsed(text);
  return value === undefined ? noControls : parseControls(value, nowMs);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function write(file: string, controls: Controls, held: HeldLock): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(temporary, `${JSON.stringify(controls, null, 2)}\n`);
    await held.check();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Reads, changes and writes as one step among all processes. Rejects as `change` does, with ModferryError `locked` or
 * `lock_lost`, or with the system's error.
 */
async function changeIn(
  file: string,
  clock: Clock,
  change: (before: Controls) => Controls,
): Promise<Controls> {
  await mkdir(dirname(file), { recursive: true });
  return await new LockFile(`${file}.lock`, clock).run(async (held) => {
    const controls = change(await read(file, clock.now()));
    await write(file, controls, held);
    return controls;
  });
}

/** Carries out an order (none: just reads) where no process runs. Rejects with ModferryError for a bad order. */
export async function orderInFolder(
  dataDir: string,
  clock: Clock,
  order: Order | undefined,
): Promise<Controls> {
  const file = fileIn(dataDir);
  if (order === undefined) return read(file, clock.now());
  await stat(dataDir).catch(() => {
    throw new ModferryError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  return changeIn(file, clock, (before) =>
    applyOrder(before, order, { nowMs: clock.now(), names: undefined }),
  );
}

/** The orders in force, as this process sees them. */
export class ControlsFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #onChange: (before: Controls, after: Controls) => void;
  #controls: Controls = noControls;
  #seen = '';
  #timer: Timer | undefined;
  #closed = false;

  /** `onChange` is called after each change, by whomever it was ordered, and when a mode has ended by itself. */
  constructor(dataDir: string, clock: Clock, onChange: (before: Controls, after: Controls) => void) {
    this.#file = fileIn(dataDir);
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get current(): Controls {
    const { modeUntilMs } = this.#controls;
    if (modeUntilMs !== undefined && modeUntilMs <= this.#clock.now()) this.#endMode();
    return this.#controls;
  }

  /** Reads the file and keeps an eye on it. */
  async open(): Promise<void> {
    await this.#poll();
    this.#arm();
  }

  /** Rejects with ModferryError: a bad order changes nothing; one that cannot be written holds here all the same. */
  async order(order: Order, names: readonly string[]): Promise<Controls> {
    const facts = { nowMs: this.#clock.now(), names };
    // Refused before anything is touched.
    const here = applyOrder(this.current, order, facts);
    try {
      const controls = await changeIn(this.#file, this.#clock, (before) => applyOrder(before, order, facts));
      this.#set(controls);
      return controls;
    } catch (error) {
      this.#set(here);
      throw new ModferryError(
        'controls_file',
        `the order holds for this process only: ${this.#file} cannot be written (${messageOf(error)})`,
        { cause: error },
      );
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => {
      void this.#poll().finally(() => this.#arm());
    }, pollEveryMs);
  }

  /** Never rejects. While the disk does not give the file, what is in force stays: offline must not end by itself. */
  async #poll(): Promise<void> {
    try {
      const facts = await stat(this.#file);
      const seen = `${facts.ino} ${facts.mtimeMs}`;
      if (seen !== this.#seen && !this.#closed) {
        const controls = await read(this.#file, this.#clock.now());
        this.#seen = seen;
        // Reading takes time, and a mode may have ended meanwhile.
        this.#set(activeControls(controls, this.#clock.now()));
      }
    } catch {
      // No file yet, or none for the moment.
    }
    // Ends a mode whose time is over even when nobody asks.
    void this.current;
  }

  #endMode(): void {
    this.#set({ ...this.#controls, mode: 'normal', modeUntilMs: undefined });
  }

  #set(controls: Controls): void {
    const before = this.#controls;
    this.#controls = controls;
    if (JSON.stringify(before) !== JSON.stringify(controls)) this.#onChange(before, controls);
  }
}
