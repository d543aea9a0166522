/** `modferry env`: the settings for clients of this modferry, for the place they are needed in. */
import type { Config } from '../../config/snapshot.ts';
import { decideUpstreams } from '../../upstream/decide-upstreams.ts';
import { askGo } from '../../upstream/machine-settings.ts';
import { CliError } from '../cli-error.ts';
import {
  clientSettings,
  type EnvFormat,
  netrcHint,
  plainHttpWarning,
  renderComment,
  renderSettings,
} from '../client-settings.ts';
import type { CliContext } from '../context.ts';
import { CredentialsFile } from '../login/credentials-file.ts';
import { checkedUrl } from '../server-url.ts';
import { loadSettings, localUrlOf } from '../settings.ts';

export interface EnvFlags {
  readonly url?: string;
  readonly format?: EnvFormat;
  readonly login?: boolean;
  readonly config?: string;
}

/** Throws CliError `usage` for a URL that go could not use, `failed` when the configuration does not say the port. */
export async function env(this: CliContext, flags: EnvFlags): Promise<void> {
  const { config } = await loadSettings(this, flags.config);
  const url = flags.url === undefined ? urlOfConfig(config) : checkedUrl(flags.url);
  const goEnv = await askGo({ env: this.env });
  const machine = decideUpstreams({ env: this.env, goEnv, ownAddresses: [], lastGood: undefined });
  const routed = config.routes.flatMap((route) => (route.isPrivate ? route.patterns : []));
  const patterns = [
    ...config.privatePatterns,
    ...routed,
    ...machine.privatePatterns,
    ...machine.noSumdbPatterns,
  ];
  const named = patterns.filter((pattern) => pattern !== '' && pattern !== 'none');
  const format = flags.format ?? 'sh';
  const hasLogin = flags.login ?? (asksForLogin(config) || (await isLoggedIn(this, url)));
  const settings = clientSettings(url, [...new Set(named)], { hasLogin });
  this.stdout.write(
    `${hasLogin ? renderComment(netrcHint(url), format) : ''}${renderSettings(settings, format)}`,
  );
  const warning = hasLogin ? plainHttpWarning(url) : undefined;
  if (warning !== undefined) this.stderr.write(`modferry: ${warning}\n`);
}

/** Its configuration names people or jobs who prove who they are. */
function asksForLogin({ access }: Config): boolean {
  return (
    access.htpasswdFile !== undefined ||
    access.ldap.urls.length > 0 ||
    access.oidc.issuer !== undefined ||
    access.jwt.length > 0
  );
}

/** Whoever logged in to it wants to use that. A damaged file is for `login` to tell of. */
async function isLoggedIn(context: CliContext, url: string): Promise<boolean> {
  try {
    return (await new CredentialsFile(context).read()).has(url);
  } catch {
    return false;
  }
}

function urlOfConfig(config: Parameters<typeof localUrlOf>[0]): string {
  const found = localUrlOf(config);
  if ('url' in found) return found.url;
  throw new CliError('failed', `cannot tell the URL: ${found.fault}; give it with --url`);
}
