/**
 * The operator's orders in the data folder, `meta/controls.json`: they survive a restart, and every process on the
 * folder reads them within a second.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { activeControls, parseControls } from '../health/controls-state.ts';
import { type Controls, noControls } from '../health/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { applyOrder } from './controls-order.ts';

const pollEveryMs = 1_000;

function fileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'controls.json');
}

async function read(file: string, nowMs: number): Promise<Controls> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return noControls;
  try {
    return parseControls(JSON.parse(text), nowMs);
  } catch {
    // A torn or foreign file must not keep the server from starting; the next order writes it anew.
    return noControls;
  }
}

async function write(file: string, controls: Controls): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(temporary, `${JSON.stringify(controls, null, 2)}\n`);
    await rename(temporary, file);
  } catch (error) {
    throw new ModferryError(
      'controls_file',
      `the order holds for this process only: ${file} cannot be written (${messageOf(error)})`,
      { cause: error },
    );
  }
}

/** Carries out an order (none: just reads) where no process runs. Rejects with ModferryError for a bad order. */
export async function orderInFolder(
  dataDir: string,
  clock: Clock,
  order: Readonly<Record<string, unknown>> | undefined,
): Promise<Controls> {
  const file = fileIn(dataDir);
  const before = await read(file, clock.now());
  if (order === undefined) return before;
  await stat(dataDir).catch(() => {
    throw new ModferryError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  const controls = applyOrder(before, order, { nowMs: clock.now(), names: undefined });
  await write(file, controls);
  return controls;
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
  async order(order: Readonly<Record<string, unknown>>, names: readonly string[]): Promise<Controls> {
    const controls = applyOrder(this.current, order, { nowMs: this.#clock.now(), names });
    this.#set(controls);
    await write(this.#file, controls);
    return controls;
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

  async #poll(): Promise<void> {
    const facts = await stat(this.#file).catch(() => undefined);
    const seen = facts === undefined ? '' : `${facts.ino} ${facts.mtimeMs}`;
    if (seen !== this.#seen && !this.#closed) {
      this.#seen = seen;
      const controls = await read(this.#file, this.#clock.now());
      // Reading takes time, and a mode may have ended meanwhile.
      this.#set(activeControls(controls, this.#clock.now()));
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
