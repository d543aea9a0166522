/** Which server, and who we are to it: flags first, then the environment, then what `modferry login` keeps. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { getCACertificates } from 'node:tls';
import { isSafeUrl } from '../../access/oidc/issuer-options.ts';
import { messageOf } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { CredentialsFile, isHeaderToken, type SavedLogin } from '../login/credentials-file.ts';
import { checkedUrl } from '../server-url.ts';
import { loadSettings, localUrlOf } from '../settings.ts';
import { PublishClient, type ServerAnswer } from './publish-client.ts';

export interface ServerFlags {
  readonly server?: string;
  readonly token?: string;
  readonly caFile?: string;
  readonly config?: string;
}

/** Rejects with CliError. */
export async function openClient(context: CliContext, flags: ServerFlags): Promise<PublishClient> {
  const server =
    flags.server === undefined ? await configuredUrl(context, flags.config) : checkedUrl(flags.server);
  const { username, password } = new URL(server);
  if (username !== '' || password !== '') {
    throw new CliError(
      'usage',
      'the URL has a name or password in it; write it without, and use --token or modferry login',
    );
  }
  const given = flags.token ?? context.env['MODFERRY_TOKEN'] ?? '';
  const saved = given === '' ? await savedLogin(context, server) : undefined;
  const token = given === '' ? saved?.token : given.trim();
  if (token !== undefined && !isHeaderToken(token)) {
    throw new CliError('usage', 'the token has characters that no token has; is it the whole line?');
  }
  if (token !== undefined && !isSafeUrl(server)) {
    throw new CliError(
      'usage',
      `${server} is not encrypted: a token sent there could be read on the way; use its https URL`,
    );
  }
  const caFile = flags.caFile === undefined ? saved?.caFile : resolve(context.cwd, flags.caFile);
  return new PublishClient({
    server,
    token: token === undefined ? undefined : new Secret(token),
    ca:
      caFile === undefined
        ? undefined
        : [...getCACertificates('default'), ...getCACertificates('system'), await readCa(caFile)],
    env: context.env,
    clock: context.clock,
  });
}

async function savedLogin(context: CliContext, server: string): Promise<SavedLogin | undefined> {
  const { HOME, USERPROFILE, XDG_CONFIG_HOME } = context.env;
  // Without a home there is no log-in: a CI job may have neither.
  if ((HOME ?? USERPROFILE ?? XDG_CONFIG_HOME ?? '') === '') return undefined;
  const login = (await new CredentialsFile(context).read()).get(server);
  if (login?.expiresAtMs !== undefined && login.expiresAtMs <= context.clock.now()) {
    throw new CliError(
      'failed',
      `your log-in at ${server} has expired; run: modferry login --server ${server}`,
    );
  }
  return login;
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError('usage', `cannot read the CA file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function configuredUrl(context: CliContext, configFlag: string | undefined): Promise<string> {
  const { config } = await loadSettings(context, configFlag);
  const found = localUrlOf(config);
  if ('url' in found) return checkedUrl(found.url);
  throw new CliError('usage', `cannot tell where modferry listens: ${found.fault}; give it with --server`);
}

/** What a refusal says. `doing` completes "could not be …". */
export function refusalOf({ status, text }: ServerAnswer, what: string): CliError {
  const said = printable(text);
  const hint =
    status === 401
      ? '; give a token with --token or MODFERRY_TOKEN, or run modferry login'
      : status === 405 || (status >= 300 && status < 400)
        ? '; is this the address of a modferry?'
        : '';
  return new CliError('failed', `${what}: ${said === '' ? `the server answered ${status}` : said}${hint}`, {
    fields: { status },
  });
}

/** The first lines, without what a terminal would obey. */
function printable(text: string): string {
  return text
    .split('\n')
    .slice(0, 5)
    .join('\n')
    .replaceAll(/[^\P{C}\n]/gu, '?')
    .slice(0, 2000)
    .trim();
}
