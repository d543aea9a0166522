/** `modferry upstreams out|in|pin|unpin|freeze|unfreeze|clear`: the operator's hand on the order of upstreams. */
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural, writeJsonLine } from '../format.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';
import { orderControl } from '../upstream-control.ts';

export interface OrderFlags extends FolderFlags {
  readonly json?: boolean;
}

type Order = 'out' | 'in' | 'pin' | 'unpin' | 'freeze' | 'unfreeze';

const done: Readonly<Record<Order, (name: string) => string>> = {
  out: (name) => `${name} is taken out: it is not asked until modferry upstreams in ${name}`,
  in: (name) => `${name} is back`,
  pin: (name) => `${name} is pinned: it is asked first whatever its health, until modferry upstreams unpin`,
  unpin: () => 'nothing is pinned',
  freeze: () => 'the order is frozen: no automatic change until modferry upstreams unfreeze',
  unfreeze: () => 'the order follows health again',
};

/** Makes the command for one order. It rejects with CliError `failed` for an unknown upstream. */
export function orderCommand(order: Order) {
  return async function command(this: CliContext, flags: OrderFlags, name?: string): Promise<void> {
    const running = await findRunning(this, flags);
    const { controls, isRunning } = await orderControl(this, running, {
      action: order,
      upstream: name,
    });
    if (flags.json === true) writeJsonLine(this.stdout, controls);
    else
      this.stdout.write(
        `${done[order](name ?? '')}${isRunning ? '' : ' (no modferry is running; noted for its start)'}\n`,
      );
  };
}

/** Closes the breaker of one upstream or of all, and forgets suspicion, pauses and avoided modules. */
export async function clear(this: CliContext, flags: OrderFlags, name?: string): Promise<void> {
  const running = await findRunning(this, flags);
  const answers = await running.askAll(
    'POST',
    '/upstreams/clear',
    name === undefined ? {} : { upstream: name },
  );
  if (answers.length === 0) throw new CliError('unavailable', `no modferry is running on ${running.dataDir}`);
  const cleared = Math.max(...answers.map((answer) => Number(answer['cleared'] ?? 0)));
  if (flags.json === true) writeJsonLine(this.stdout, { cleared, processes: answers.length });
  else
    this.stdout.write(
      `cleared ${plural(cleared, 'upstream')}: breakers closed, suspicion and pauses forgotten\n`,
    );
}
