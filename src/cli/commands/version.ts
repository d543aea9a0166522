/** `modferry version`: what is running, on what. */

import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { readVersion } from '../package-version.ts';

export interface VersionFlags {
  readonly json?: boolean;
}

export async function version(this: CliContext, flags: VersionFlags): Promise<void> {
  const { nodeVersion, platform, arch } = this.runtime;
  const modferry = await readVersion();
  if (flags.json === true)
    writeJsonLine(this.stdout, { version: modferry, node: nodeVersion, platform, arch });
  else this.stdout.write(`modferry ${modferry} (node ${nodeVersion}, ${platform}/${arch})\n`);
}
