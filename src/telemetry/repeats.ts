/**
 * Joins events that are alike: of the same kind and upstream, with the same message but for numbers and the module.
 * The first few are told as they come, the rest of ten seconds as one with a count.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { NewEvent } from './history-types.ts';

const windowMs = 10_000;
const maxInWindow = 10;

/** Windows open at once; more than this many kinds of trouble at once are told one by one. */
const maxWindows = 500;

interface Window {
  told: number;
  held: number;
  last: NewEvent;
  readonly timer: Timer;
}

export class Repeats {
  readonly #clock: Clock;
  readonly #tell: (event: NewEvent, count: number) => void;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, tell: (event: NewEvent, count: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(event: NewEvent): void {
    const key = shapeOf(event);
    const window = this.#windows.get(key);
    if (window === undefined) {
      if (this.#windows.size < maxWindows) {
        const timer = this.#clock.setTimeout(() => this.#end(key), windowMs);
        this.#windows.set(key, { told: 1, held: 0, last: event, timer });
      }
    } else if (window.told < maxInWindow) {
      window.told += 1;
    } else {
      window.held += 1;
      window.last = event;
      return;
    }
    this.#tell(event, 1);
  }

  /** Tells what is held back. */
  flush(): void {
    for (const key of this.#windows.keys()) this.#end(key);
  }

  #end(key: string): void {
    const window = this.#windows.get(key);
    if (window === undefined) return;
    window.timer.cancel();
    this.#windows.delete(key);
    if (window.held > 0) this.#tell(window.last, window.held);
  }
}

function shapeOf({ kind, upstream = '', module, message }: NewEvent): string {
  const general = module === undefined ? message : message.replaceAll(module, '…');
  return `${kind} ${upstream} ${general.replaceAll(/\d+(?:\.\d+)?/g, '0')}`;
}
