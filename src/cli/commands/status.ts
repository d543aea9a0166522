/** `modferry status`: how the running process and its upstreams are; with `--watch` again and again. */
import type { CliContext } from '../context.ts';
import { findRunning, type Running } from '../running.ts';
import type { FolderFlags } from '../settings.ts';
import { type StatusAnswer, statusText } from '../status-table.ts';

export interface StatusFlags extends FolderFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const watchEveryMs = 2_000;
const clearScreen = '\u001b[H\u001b[2J';

/** Rejects with CliError `unavailable` when nothing runs on the folder. With `--watch` it ends by Ctrl-C. */
export async function status(this: CliContext, flags: StatusFlags): Promise<void> {
  const running = await findRunning(this, flags);
  if (flags.watch !== true) {
    await show(this, running, flags);
    return;
  }
  const stopped = Promise.withResolvers<void>();
  const unlisten = [this.onSignal('SIGINT', stopped.resolve), this.onSignal('SIGTERM', stopped.resolve)];
  let isOver = false;
  const over = stopped.promise.then(() => {
    isOver = true;
  });
  try {
    while (!isOver) {
      await show(this, running, flags);
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = this.clock.setTimeout(resolve, watchEveryMs);
      await Promise.race([promise, over]);
      timer.cancel();
    }
  } finally {
    for (const each of unlisten) each();
  }
}

async function show(context: CliContext, running: Running, flags: StatusFlags): Promise<void> {
  const answer = await running.ask('GET', '/status');
  if (flags.json === true) {
    context.stdout.write(`${JSON.stringify(answer, null, flags.watch === true ? undefined : 2)}\n`);
  } else {
    const clear = flags.watch === true && context.stdout.isTty ? clearScreen : '';
    context.stdout.write(`${clear}${statusText(answer as unknown as StatusAnswer, context.clock.now())}`);
  }
  await context.stdout.drained();
}
