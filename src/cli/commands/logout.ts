/** `modferry logout`: ends the log-in at the server and the issuer, and forgets it here. */
import { messageOf } from '../../lib/errors.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { CredentialsFile, type SavedLogin } from '../login/credentials-file.ts';
import { endLogin } from '../login/login-server.ts';
import { endRenewal } from '../login/provider.ts';
import { openWeb } from '../login/web.ts';
import { checkedUrl } from '../server-url.ts';

export interface LogoutFlags {
  readonly server?: string;
  readonly all?: boolean;
}

/**
 * It is forgotten here whatever the servers say. Rejects with CliError `usage` when it is not clear which, `failed` when
 * there is none or a server could not be told.
 */
export async function logout(this: CliContext, flags: LogoutFlags): Promise<void> {
  const file = new CredentialsFile(this);
  const ended: [string, SavedLogin][] = [];
  await file.update((logins) => {
    for (const server of chosen(flags, [...logins.keys()])) {
      const login = logins.get(server);
      if (login === undefined) continue;
      logins.delete(server);
      ended.push([server, login]);
    }
  });
  let isTold = true;
  for (const [server, login] of ended) {
    this.stdout.write(`logged out of ${server}\n`);
    // A static token was made elsewhere, and others may use it.
    if (login.kind === 'token') continue;
    for (const failure of await endEverywhere(this, server, login)) {
      isTold = false;
      this.stderr.write(`modferry: ${failure}\n`);
    }
  }
  if (!isTold)
    throw new CliError(
      'failed',
      'the log-in is forgotten here, but may still be good where it could not be ended',
    );
}

async function endEverywhere(context: CliContext, server: string, login: SavedLogin): Promise<string[]> {
  const abort = new AbortController();
  const unlisten = context.onSignal('SIGINT', () => abort.abort(new CliError('interrupted', 'interrupted')));
  const failures: string[] = [];
  const web = await openWeb(context, login.caFile);
  try {
    const { renewal } = login;
    const steps = [
      endLogin(web, server, login.token, abort.signal).then((isEnded) => {
        if (!isEnded) failures.push(`${server} did not end the log-in`);
      }),
      ...(renewal === undefined ? [] : [endRenewal(web, renewal)]),
    ];
    for (const step of await Promise.allSettled(steps)) {
      if (step.status === 'rejected') failures.push(messageOf(step.reason));
    }
    return failures;
  } finally {
    unlisten();
    await web.close();
  }
}

function chosen({ server, all }: LogoutFlags, known: readonly string[]): readonly string[] {
  if (all === true) return known;
  if (server !== undefined) {
    const url = checkedUrl(server);
    if (known.includes(url)) return [url];
    throw new CliError('failed', `nobody is logged in to ${url}`);
  }
  if (known.length > 1)
    throw new CliError('usage', `name one with --server, or all with --all: ${known.join(', ')}`);
  if (known.length === 0) throw new CliError('failed', 'nobody is logged in');
  return known;
}
