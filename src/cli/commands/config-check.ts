/** `modferry config check`: every fault of file, environment and secrets, one line each. */
import { ConfigError } from '../../config/fault.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural, writeJsonLine } from '../format.ts';
import { configFileOf, loadSettings } from '../settings.ts';

export interface ConfigCheckFlags {
  readonly json?: boolean;
}

/** Faults go to stdout, because they are what was asked for. Throws CliError `config` when there are any. */
export async function configCheck(this: CliContext, flags: ConfigCheckFlags, given?: string): Promise<void> {
  const file = await configFileOf(this, given);
  const what = file ?? 'environment and defaults (there is no modferry.yaml here)';
  try {
    await loadSettings(this, given);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (flags.json === true) writeJsonLine(this.stdout, { file: file ?? null, faults: error.faults });
    else this.stdout.write(`${error.message}\n`);
    throw new CliError('config', `${plural(error.faults.length, 'fault')} in ${file ?? 'the environment'}`);
  }
  if (flags.json === true) writeJsonLine(this.stdout, { file: file ?? null, faults: [] });
  else this.stdout.write(`${what}: no faults\n`);
}
