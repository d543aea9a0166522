/**
 * `modferry serve`. The machine's Go is asked for its settings before the service is even loaded: it answers in a
 * process of its own while this one reads its code.
 */
import { askGo } from '../../upstream/machine-settings.ts';
import type { CliContext } from '../context.ts';
import type { ServeFlags } from './serve-flags.ts';

export async function serve(this: CliContext, flags: ServeFlags): Promise<void> {
  const goEnv = askGo({ env: this.env });
  const { runServe } = await import('./serve-run.ts');
  await runServe.call(this, flags, goEnv);
}
