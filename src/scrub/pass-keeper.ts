/**
 * The right to scrub a folder, and the progress of the pass under way: one process at a time has it, and tells that it
 * lives by a heartbeat in the shared state. Progress is written with it, every 5 s and every 256 MiB.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import {
  noCounts,
  type ScrubCounts,
  type ScrubCursor,
  type ScrubPass,
  type ScrubProgress,
  type ScrubReport,
  type ScrubState,
} from './types.ts';

export const heartbeatMs = 5_000;
const writeBytes = 256 * 1024 * 1024;
/** Whoever has not been heard of for this long is dead. */
const staleMs = 60_000;

export interface PassKeeperDeps {
  readonly clock: Clock;
  readonly state: ScrubState;
  /** Names this process among those on the folder. */
  readonly instance: string;
  /** Told at each heartbeat. */
  onBeat?(counts: ScrubCounts): void;
}

export class PassKeeper {
  readonly #deps: PassKeeperDeps;
  /** What another holder said last, and when we saw it first: its clock may not be ours. */
  #seen: { instance: string; heartbeatAtMs: number; atMs: number } | undefined;
  #pass: ScrubPass | undefined;
  #onLost: () => void = () => {};
  #writtenBytes = 0;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: PassKeeperDeps) {
    this.#deps = deps;
  }

  /**
   * The pass to go on with, or a new one; undefined while another process holds the right, or when `isDue` says there
   * is nothing to do. `onLost` is called when another takes over, which only happens to a process that was asleep.
   */
  async claim(
    isDue: (progress: ScrubProgress) => boolean,
    onLost: () => void,
  ): Promise<{ pass: ScrubPass; isResumed: boolean } | undefined> {
    const { clock, state, instance } = this.#deps;
    let isResumed = false;
    let pass: ScrubPass | undefined;
    await state.update((before) => {
      pass = undefined;
      if (this.#isHeldByOther(before) || (before.pass === undefined && !isDue(before))) return undefined;
      isResumed = before.pass !== undefined;
      pass = before.pass ?? { startedAtMs: clock.now(), counts: noCounts };
      return { ...before, pass, holder: { instance, heartbeatAtMs: clock.now() } };
    });
    if (pass === undefined) return undefined;
    this.#pass = pass;
    this.#onLost = onLost;
    this.#writtenBytes = pass.counts.bytes;
    this.#arm();
    return { pass, isResumed };
  }

  /** A version is done. Resolves at once, or when progress was written because so much was done. */
  async advance(cursor: ScrubCursor, counts: ScrubCounts): Promise<void> {
    if (this.#pass === undefined) return;
    this.#pass = { ...this.#pass, cursor, counts };
    if (counts.bytes - this.#writtenBytes >= writeBytes) await this.#write();
  }

  /** The pass came to its end. Rejects as the state does. */
  async finish(report: ScrubReport): Promise<void> {
    const { clock } = this.#deps;
    await this.#end(() => ({ last: { ...report, finishedAtMs: clock.now() } }));
  }

  /** Gives the right up; whoever comes next goes on from here. Rejects as the state does. */
  async release(): Promise<void> {
    await this.#end(({ pass, last }) => ({
      ...(pass === undefined ? {} : { pass }),
      ...(last === undefined ? {} : { last }),
    }));
  }

  async #end(change: (before: ScrubProgress) => ScrubProgress): Promise<void> {
    const pass = this.#pass;
    this.#pass = undefined;
    this.#timer?.cancel();
    if (pass === undefined) return;
    await this.#writing;
    await this.#deps.state.update((before) =>
      this.#isOurs(before) ? change({ ...before, pass }) : undefined,
    );
  }

  #arm(): void {
    this.#timer = this.#deps.clock.setTimeout(() => {
      void this.#write().then(() => {
        if (this.#pass !== undefined) this.#arm();
      });
    }, heartbeatMs);
  }

  /** Never rejects: progress that cannot be written costs work later, and no more. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNow());
    return this.#writing;
  }

  async #writeNow(): Promise<void> {
    const { clock, state, instance } = this.#deps;
    const pass = this.#pass;
    if (pass === undefined) return;
    this.#writtenBytes = pass.counts.bytes;
    this.#deps.onBeat?.(pass.counts);
    let isLost = false;
    try {
      await state.update((before) => {
        isLost = !this.#isOurs(before);
        if (isLost) return undefined;
        return { ...before, pass, holder: { instance, heartbeatAtMs: clock.now() } };
      });
    } catch {
      return;
    }
    if (!isLost || this.#pass === undefined) return;
    this.#pass = undefined;
    this.#timer?.cancel();
    this.#onLost();
  }

  /** A state that was lost or removed is nobody's, so it is still ours. */
  #isOurs({ holder }: ScrubProgress): boolean {
    return holder === undefined || holder.instance === this.#deps.instance;
  }

  #isHeldByOther({ holder }: ScrubProgress): boolean {
    if (holder === undefined || holder.instance === this.#deps.instance) return false;
    const { clock } = this.#deps;
    if (clock.now() - holder.heartbeatAtMs > staleMs) return false;
    const { instance, heartbeatAtMs } = holder;
    if (this.#seen?.instance !== instance || this.#seen.heartbeatAtMs !== heartbeatAtMs) {
      this.#seen = { instance, heartbeatAtMs, atMs: clock.monotonic() };
    }
    return clock.monotonic() - this.#seen.atMs <= staleMs;
  }
}
