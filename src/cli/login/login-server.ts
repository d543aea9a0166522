/** The server's side of a log-in, as the client sees it: `/-/v1/login`. */

import { isSafeUrl } from '../../access/oidc/issuer-options.ts';
import type { LoginGrant, LoginInfo } from '../../access/oidc/login-api.ts';
import { CliError } from '../cli-error.ts';
import { checkedUrl } from '../server-url.ts';
import { fieldOf, isHeaderToken, textOf } from './credentials-file.ts';
import type { Web, WebAnswer } from './web.ts';

const maxReasonLength = 300;

/** As credentials are kept under it. Throws CliError `usage` where a token would travel unencrypted. */
export function loginUrl(text: string): string {
  const url = checkedUrl(text);
  const { username, password } = new URL(url);
  if (username !== '' || password !== '') {
    throw new CliError('usage', 'the URL has a name or password in it; write it without, and log in');
  }
  if (!isSafeUrl(url)) {
    throw new CliError(
      'usage',
      `${url} is not encrypted: a token sent there could be read on the way; use its https URL`,
    );
  }
  return url;
}

/** Where to log in. Rejects with CliError `unavailable` or `failed`. */
export async function askLoginInfo(web: Web, server: string, signal: AbortSignal): Promise<LoginInfo> {
  const answer = await web.ask('GET', `${server}/-/v1/login`, undefined, signal);
  if (answer.status === 404) {
    throw new CliError(
      'failed',
      `${server} offers no log-in with a browser; use a token: modferry login --token`,
    );
  }
  const value = parsed(server, answer);
  const [issuer, clientId] = [textOf(fieldOf(value, 'issuer')), textOf(fieldOf(value, 'clientId'))];
  const scopes = fieldOf(value, 'scopes');
  if (issuer === undefined || clientId === undefined || !isTexts(scopes)) throw strange(server);
  if (!isSafeUrl(issuer)) {
    throw new CliError(
      'failed',
      `${server} names ${issuer} to log in at, which is not https; ask its operator`,
    );
  }
  return { issuer, clientId, scopes };
}

/** A login token for an ID token. Rejects with CliError `failed` or `unavailable`. */
export async function exchange(
  web: Web,
  server: string,
  idToken: string,
  signal: AbortSignal,
): Promise<LoginGrant> {
  const answer = await web.ask('POST', `${server}/-/v1/login`, idToken, signal);
  if (answer.status === 503)
    throw new CliError('unavailable', `${server} cannot check the log-in: ${shortened(answer.text)}`);
  const value = parsed(server, answer);
  const [token, name, expiresAt] = ['token', 'name', 'expiresAt'].map((each) => textOf(fieldOf(value, each)));
  const groups = fieldOf(value, 'groups');
  const isWhole = name !== undefined && expiresAt !== undefined && isTexts(groups);
  if (token === undefined || !isHeaderToken(token) || !isWhole) throw strange(server);
  if (Number.isNaN(Date.parse(expiresAt))) throw strange(server);
  return { token, name, groups, expiresAt };
}

/** Ends a login token. True: the server says that it is none any more. Rejects with CliError `unavailable`. */
export async function endLogin(
  web: Web,
  server: string,
  token: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { status } = await web.ask('DELETE', `${server}/-/v1/login`, token, signal);
  return (status >= 200 && status < 300) || status === 401 || status === 404;
}

function parsed(server: string, answer: WebAnswer): unknown {
  if (answer.status !== 200) {
    throw new CliError(
      'failed',
      `${server} refuses the log-in (${answer.status}): ${shortened(answer.text)}`,
    );
  }
  try {
    return JSON.parse(answer.text);
  } catch {
    throw strange(server);
  }
}

function strange(server: string): CliError {
  return new CliError('failed', `${server} answers as no modferry does; is this the right URL?`);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** One line without control characters: it goes to a terminal. */
function shortened(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return line === '' ? 'no reason given' : line.slice(0, maxReasonLength);
}
