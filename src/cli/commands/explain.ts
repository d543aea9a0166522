/** `modferry explain`: for one artifact, whom the running process would ask and why, what came of it last time. */
import type { CliContext } from '../context.ts';
import { type ExplainAnswer, explainText } from '../explain-text.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';

export interface ExplainFlags extends FolderFlags {
  readonly json?: boolean;
}

/** Asks no upstream. Rejects with CliError `usage` or `unavailable`. */
export async function explain(this: CliContext, flags: ExplainFlags, argument: string): Promise<void> {
  const { path, version } = parseModuleArgument(argument);
  const running = await findRunning(this, flags);
  const query = new URLSearchParams({ module: path, ...(version === undefined ? {} : { version }) });
  const answer = await running.ask('GET', `/explain?${query.toString()}`);
  if (flags.json === true) this.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else this.stdout.write(explainText(answer as unknown as ExplainAnswer, this.clock.now()));
}
