/** `modferry env`: the settings for clients of this modferry, for the place they are needed in. */
import { decideUpstreams } from '../../upstream/decide-upstreams.ts';
import { askGo } from '../../upstream/machine-settings.ts';
import { CliError } from '../cli-error.ts';
import { clientSettings, type EnvFormat, renderSettings } from '../client-settings.ts';
import type { CliContext } from '../context.ts';
import { checkedUrl } from '../server-url.ts';
import { loadSettings, localUrlOf } from '../settings.ts';

export interface EnvFlags {
  readonly url?: string;
  readonly format?: EnvFormat;
  readonly config?: string;
}

/** Throws CliError `usage` for a URL that go could not use, `failed` when the configuration does not say the port. */
export async function env(this: CliContext, flags: EnvFlags): Promise<void> {
  const { config } = await loadSettings(this, flags.config);
  const url = flags.url === undefined ? urlOfConfig(config) : checkedUrl(flags.url);
  const goEnv = await askGo({ env: this.env });
  const machine = decideUpstreams({ env: this.env, goEnv, ownAddresses: [], lastGood: undefined });
  const patterns = [...config.privatePatterns, ...machine.privatePatterns, ...machine.noSumdbPatterns];
  const named = patterns.filter((pattern) => pattern !== '' && pattern !== 'none');
  this.stdout.write(renderSettings(clientSettings(url, [...new Set(named)]), flags.format ?? 'sh'));
}

function urlOfConfig(config: Parameters<typeof localUrlOf>[0]): string {
  const found = localUrlOf(config);
  if ('url' in found) return found.url;
  throw new CliError('failed', `cannot tell the URL: ${found.fault}; give it with --url`);
}
