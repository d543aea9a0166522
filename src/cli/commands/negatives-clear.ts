/** `modferry negatives clear`: forgets remembered 404s of a module, so that the next request asks again. */
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural, writeJsonLine } from '../format.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';

export interface NegativesFlags extends FolderFlags {
  readonly json?: boolean;
}

/** In every process on the folder. Rejects with CliError `usage` or `unavailable`. */
export async function negativesClear(
  this: CliContext,
  flags: NegativesFlags,
  argument: string,
): Promise<void> {
  const { path, version } = parseModuleArgument(argument);
  if (version !== undefined) {
    throw new CliError('usage', `all negative answers of a module go together; write ${path}`);
  }
  const running = await findRunning(this, flags);
  const answers = await running.askAll('POST', '/negatives/clear', { module: path });
  if (answers.length === 0) throw new CliError('unavailable', `no modferry is running on ${running.dataDir}`);
  const cleared = answers.reduce((sum, answer) => sum + Number(answer['cleared'] ?? 0), 0);
  if (flags.json === true) writeJsonLine(this.stdout, { module: path, cleared });
  else this.stdout.write(`forgot ${plural(cleared, 'negative answer')} of ${path}\n`);
}
