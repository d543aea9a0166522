/** `modferry login`: a log-in with the browser, or a token made elsewhere, kept for `modferry goauth`. */
import { resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import { goauthValue } from '../client-settings.ts';
import type { CliContext } from '../context.ts';
import { CredentialsFile, isHeaderToken, type SavedLogin } from '../login/credentials-file.ts';
import { askLoginInfo, exchange, loginUrl } from '../login/login-server.ts';
import { openBrowser } from '../login/open-browser.ts';
import { logInWithBrowser } from '../login/provider.ts';
import { openWeb, type Web } from '../login/web.ts';
import { loadSettings, localUrlOf } from '../settings.ts';

export interface LoginFlags {
  readonly server?: string;
  readonly token?: boolean;
  readonly noBrowser?: boolean;
  readonly caFile?: string;
  readonly config?: string;
}

const patienceMs = 5 * 60_000;
const maxTokenInputBytes = 16 * 1024;

/** Rejects with CliError: `usage`, `failed` (refused), `unavailable` (server or issuer is silent), `interrupted`. */
export async function login(this: CliContext, flags: LoginFlags): Promise<void> {
  const server = loginUrl(flags.server ?? (await configuredUrl(this, flags.config)));
  const file = new CredentialsFile(this);
  const caFile = flags.caFile === undefined ? undefined : resolve(this.cwd, flags.caFile);
  const saved =
    flags.token === true ? await staticLogin(this, caFile) : await browserLogin(this, flags, server, caFile);
  await file.update((logins) => {
    logins.set(server, saved);
  });
  const until = saved.expiresAtMs === undefined ? '' : `, until ${new Date(saved.expiresAtMs).toISOString()}`;
  const whose = saved.kind === 'browser' ? ` as ${saved.name}` : ' with a token';
  this.stdout.write(`logged in to ${server}${whose}${until}\n`);
  if (server.startsWith('https:'))
    this.stderr.write(`modferry: let go use it: go env -w 'GOAUTH=${goauthValue}'\n`);
  else this.stderr.write('modferry: go sends credentials over https only, so it will not use this log-in\n');
}

async function browserLogin(
  context: CliContext,
  flags: LoginFlags,
  server: string,
  caFile: string | undefined,
): Promise<SavedLogin> {
  const abort = new AbortController();
  const unlisten = context.onSignal('SIGINT', () =>
    abort.abort(new CliError('interrupted', 'interrupted; nobody is logged in')),
  );
  const timer = context.clock.setTimeout(
    () => abort.abort(new CliError('failed', 'nobody logged in within 5 minutes; run it again')),
    patienceMs,
  );
  let web: Web | undefined;
  try {
    web = await openWeb(context, caFile);
    const info = await askLoginInfo(web, server, abort.signal);
    const show = (page: string): void => {
      context.stderr.write(`Log in here:\n${page}\n`);
      if (flags.noBrowser !== true) openBrowser(context, page);
    };
    const { idToken, refreshToken } = await logInWithBrowser(web, info, show, abort.signal);
    const grant = await exchange(web, server, idToken, abort.signal);
    const { issuer, clientId } = info;
    return {
      token: grant.token,
      name: grant.name,
      expiresAtMs: Date.parse(grant.expiresAt),
      savedAtMs: context.clock.now(),
      kind: 'browser',
      renewal: refreshToken === undefined ? undefined : { issuer, clientId, refreshToken },
      caFile,
    };
  } finally {
    timer.cancel();
    unlisten();
    await web?.close();
  }
}

/** From standard input: on the command line every user of the machine could read it. */
async function staticLogin(context: CliContext, caFile: string | undefined): Promise<SavedLogin> {
  if (context.stdin.isTty) context.stderr.write('Paste the token, then press Enter:\n');
  let text = '';
  for await (const chunk of context.stdin) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > maxTokenInputBytes || text.trimStart().includes('\n')) break;
  }
  const token = text.trim();
  if (token === '') throw new CliError('usage', 'no token came; pipe it in: modferry login --token < FILE');
  if (!isHeaderToken(token)) throw new CliError('usage', 'this is no token: it has spaces, or is too long');
  const { clock } = context;
  return {
    token,
    name: 'token',
    expiresAtMs: undefined,
    savedAtMs: clock.now(),
    kind: 'token',
    renewal: undefined,
    caFile,
  };
}

async function configuredUrl(context: CliContext, configFlag: string | undefined): Promise<string> {
  const { config } = await loadSettings(context, configFlag);
  const found = localUrlOf(config);
  if ('url' in found) return found.url;
  throw new CliError('usage', `cannot tell where modferry listens: ${found.fault}; give it with --server`);
}
