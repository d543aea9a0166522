/**
 * `modferry goauth`: what the go command runs to get credentials, see `go help goauth`. At first it is called without an
 * argument; after each answer 4xx, a plain 404 too, with the URL and that answer on stdin. Its stdout is go's to read.
 */
import { messageOf } from '../../lib/errors.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { CredentialsFile, type Logins, type SavedLogin } from '../login/credentials-file.ts';
import { exchange } from '../login/login-server.ts';
import { renew } from '../login/provider.ts';
import { openWeb } from '../login/web.ts';

/** A log-in that ends so soon is renewed: a build takes a while. */
const soonMs = 5 * 60_000;
/** One that is so new is not what the server refuses: go asks anew for every URL. */
const newMs = 30_000;
const maxResponseBytes = 64 * 1024;

/** Rejects with CliError `failed` when it has nothing to give and should have. */
export async function goauth(this: CliContext, _flags: object, url?: string): Promise<void> {
  const file = new CredentialsFile(this);
  const logins = overHttps(await file.read());
  const wanted = url === undefined ? [...logins] : [...logins].filter(([server]) => isBelow(url, server));
  const isRefused = url !== undefined && wanted.length > 0 && (await statusOf(this)) === 401;
  const faults: string[] = [];
  let given = 0;
  for (const [server, login] of wanted) {
    try {
      const usable = await usableLogin(this, file, server, login, isRefused);
      this.stdout.write(`${server}\n\nAuthorization: Bearer ${usable.token}\n\n`);
      given += 1;
    } catch (error) {
      faults.push(`${messageOf(error)}; run: modferry login --server ${server}`);
    }
  }
  // go shows stderr only of a command that fails, and then takes nothing of its stdout.
  if (given === 0 && faults.length > 0) throw new CliError('failed', faults.join('\n'));
  for (const fault of faults) this.stderr.write(`modferry: ${fault}\n`);
}

/** go itself sends nothing over plain http. */
function overHttps(logins: Logins): Logins {
  return new Map([...logins].filter(([server]) => server.startsWith('https://')));
}

/** By path elements: `https://host/go` has nothing to do with `https://host/gone`, nor `https://host` with `https://host.evil`. */
export function isBelow(url: string, server: string): boolean {
  if (!URL.canParse(url)) return false;
  const { href } = new URL(url);
  return href === server || href.startsWith(`${server}/`);
}

async function usableLogin(
  context: CliContext,
  file: CredentialsFile,
  server: string,
  login: SavedLogin,
  isRefused: boolean,
): Promise<SavedLogin> {
  if (isGood(context, login, isRefused)) return login;
  if (login.renewal === undefined) throw faultOf(context, login);
  let renewed: SavedLogin | undefined;
  await file.update(async (now) => {
    const current = now.get(server);
    if (current === undefined) throw new CliError('failed', 'the log-in has ended');
    // Another command may have been quicker while this one waited.
    const isQuicker = current.token !== login.token && isGood(context, current, isRefused);
    renewed = isQuicker ? current : await renewedLogin(context, server, current);
    now.set(server, renewed);
  });
  return renewed ?? login;
}

function isGood(
  { clock }: CliContext,
  { expiresAtMs, savedAtMs, renewal }: SavedLogin,
  isRefused: boolean,
): boolean {
  const nowMs = clock.now();
  if (isRefused && nowMs - savedAtMs >= newMs) return false;
  const enoughMs = renewal === undefined ? 0 : soonMs;
  return expiresAtMs === undefined || expiresAtMs - nowMs > enoughMs;
}

async function renewedLogin(context: CliContext, server: string, login: SavedLogin): Promise<SavedLogin> {
  const { renewal } = login;
  if (renewal === undefined) throw faultOf(context, login);
  const web = await openWeb(context, login.caFile);
  try {
    const { idToken, refreshToken = renewal.refreshToken } = await renew(web, renewal);
    const grant = await exchange(web, server, idToken, new AbortController().signal);
    return {
      ...login,
      token: grant.token,
      name: grant.name,
      expiresAtMs: Date.parse(grant.expiresAt),
      savedAtMs: context.clock.now(),
      renewal: { ...renewal, refreshToken },
    };
  } finally {
    await web.close();
  }
}

function faultOf({ clock }: CliContext, { expiresAtMs, kind }: SavedLogin): CliError {
  if (expiresAtMs !== undefined && expiresAtMs <= clock.now())
    return new CliError('failed', 'the log-in has expired');
  return new CliError(
    'failed',
    kind === 'token' ? 'the server refuses the token' : 'the server refuses the log-in',
  );
}

/** Of the answer that go writes to stdin; undefined when there is none. */
async function statusOf({ stdin }: CliContext): Promise<number | undefined> {
  if (stdin.isTty) return undefined;
  let text = '';
  let sizeBytes = 0;
  for await (const chunk of stdin) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxResponseBytes) break;
    text += Buffer.from(chunk).toString('latin1');
    if (text.includes('\n')) break;
  }
  const status = /^HTTP\/[\d.]+ (\d{3})\b/.exec(text)?.[1];
  return status === undefined ? undefined : Number(status);
}
