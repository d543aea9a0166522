/** Waiting by an injected clock. */
import { reasonOf } from './abort.ts';
import type { Clock } from './clock.ts';

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(reasonOf(signal));
      return;
    }
    function onAbort(): void {
      timer.cancel();
      if (signal !== undefined) reject(reasonOf(signal));
    }
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
