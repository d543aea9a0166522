/** Time as an argument: nothing below the composition root reads the real clock or sets a real timer. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for what is stored or shown. */
  now(): number;
  /** Monotonic milliseconds: for measuring and deadlines. */
  monotonic(): number;
  setTimeout(callback: () => void, delayMs: number): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The real one. Its timers keep no process alive: a server lives by its sockets. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, delayMs) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** As `systemClock`, but a process that waits for one of its timers stays alive: for commands. */
export const attendedClock: Clock = {
  ...systemClock,
  setTimeout(callback, delayMs) {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};
