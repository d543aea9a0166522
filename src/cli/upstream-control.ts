/**
 * Orders of an operator that stay in force until they are taken back: through a running process, else noted in the
 * data folder for the next start. Every process on the folder follows within a second.
 */

import type { Controls } from '../health/types.ts';
import { orderInFolder } from '../service/controls-file.ts';
import type { CliContext } from './context.ts';
import { noteAudit } from './note-audit.ts';
import type { Running } from './running.ts';

/** As JSON carries it. */
export type ControlsAnswer = { readonly [Key in keyof Controls]: Controls[Key] | null } & Pick<
  Controls,
  'mode' | 'takenOut' | 'isFrozen'
>;

/** Without an order the controls in force are read. Rejects with CliError or ModferryError when it is refused. */
export async function orderControl(
  context: CliContext,
  running: Running,
  order: Readonly<Record<string, unknown>> | undefined,
): Promise<{ controls: ControlsAnswer; isRunning: boolean }> {
  const path = '/controls';
  const answers =
    order === undefined
      ? await running.askAll('GET', path)
      : // One process does it for all: the others read it from the folder.
        await firstOf(running, path, order);
  const [first] = answers;
  if (first !== undefined) return { controls: first as unknown as ControlsAnswer, isRunning: true };
  const controls = await orderInFolder(running.dataDir, context.clock, order);
  if (order !== undefined) {
    const action = order['action'] === 'mode' ? 'mode' : 'order';
    await noteAudit(context, running.dataDir, { action, data: order });
  }
  return { controls, isRunning: false };
}

async function firstOf(running: Running, path: string, order: object): Promise<Record<string, unknown>[]> {
  try {
    return [await running.ask('POST', path, order)];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'unavailable') return [];
    throw error;
  }
}
