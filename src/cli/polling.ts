/** What commands with `--follow` do: look again and again until the user has seen enough. */
import type { CliContext } from './context.ts';

/** Calls `look` every so often until SIGINT or SIGTERM. Rejects as `look` does. */
export async function pollUntilSignal(
  context: Pick<CliContext, 'clock' | 'onSignal'>,
  everyMs: number,
  look: () => Promise<void>,
): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const unlisten = [
    context.onSignal('SIGINT', stopped.resolve),
    context.onSignal('SIGTERM', stopped.resolve),
  ];
  let isOver = false;
  const over = stopped.promise.then(() => {
    isOver = true;
  });
  try {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = context.clock.setTimeout(resolve, everyMs);
      await Promise.race([promise, over]);
      timer.cancel();
      if (isOver) return;
      await look();
    }
  } finally {
    for (const each of unlisten) each();
  }
}
