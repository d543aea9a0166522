/**
 * The tokens of a modferry elsewhere, through its HTTP API. The admin token travels over https, or to this machine only.
 */
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { isSafeUrl } from '../access/oidc/issuer-options.ts';
import { messageOf } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './context.ts';
import { CredentialsFile, isHeaderToken, type SavedLogin } from './login/credentials-file.ts';
import { checkedUrl } from './server-url.ts';

const timeoutMs = 30_000;
const maxAnswerBytes = 32 * 1024 * 1024;

export interface RemoteFlags {
  readonly server?: string;
  readonly token?: string;
  readonly caFile?: string;
}

export interface TokenClient {
  /** Rejects with CliError `unavailable` without an answer, `failed` with what the server says. */
  ask(method: 'GET' | 'POST' | 'DELETE', rest: string, body?: object): Promise<Record<string, unknown>>;
}

/** Rejects with CliError. */
export async function openTokenClient(
  context: CliContext,
  flags: RemoteFlags & { readonly server: string },
): Promise<TokenClient> {
  const server = checkedUrl(flags.server);
  const { username, password } = new URL(server);
  if (username !== '' || password !== '') {
    throw new CliError('usage', 'the URL has a login in it; write it without, and use MODFERRY_TOKEN');
  }
  if (!isSafeUrl(server)) {
    throw new CliError(
      'usage',
      `${server} is not encrypted: a token sent there could be read on the way; use its https URL`,
    );
  }
  const given = (flags.token ?? context.env['MODFERRY_TOKEN'] ?? '').trim();
  const saved = given === '' ? await savedLogin(context, server) : undefined;
  const token = given === '' ? saved?.token : given;
  if (token === undefined || !isHeaderToken(token)) {
    throw new CliError(
      'usage',
      'an admin token is needed; give it in MODFERRY_TOKEN, or log in with modferry login',
    );
  }
  const caFile = flags.caFile === undefined ? saved?.caFile : resolve(context.cwd, flags.caFile);
  const ca = caFile === undefined ? undefined : [...rootCertificates, await readCa(caFile)];
  const secret = new Secret(token);
  return { ask: (method, rest, body) => ask({ server, secret, ca }, method, rest, body) };
}

async function savedLogin(context: CliContext, server: string): Promise<SavedLogin | undefined> {
  const { HOME, USERPROFILE, XDG_CONFIG_HOME } = context.env;
  if ((HOME ?? USERPROFILE ?? XDG_CONFIG_HOME ?? '') === '') return undefined;
  return (await new CredentialsFile(context).read()).get(server);
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError('usage', `cannot read the CA file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

interface Place {
  readonly server: string;
  readonly secret: Secret;
  readonly ca: string[] | undefined;
}

async function ask(
  { server, secret, ca }: Place,
  method: string,
  rest: string,
  body: object | undefined,
): Promise<Record<string, unknown>> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const { status, said } = await exchange({ server, secret, ca }, method, rest, text).catch(
    (error: unknown): never => {
      throw new CliError('unavailable', `no answer from the modferry at ${server} (${messageOf(error)})`, {
        cause: error,
      });
    },
  );
  const json = parsed(said);
  if (status >= 200 && status < 300 && json !== undefined) return json;
  const { error } = json ?? {};
  const message =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : said;
  // What a terminal would obey is not passed on.
  const line = message
    .replaceAll(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 500);
  throw new CliError('failed', `${server}: ${line === '' ? `the server answered ${status}` : line}`, {
    fields: { status },
  });
}

function exchange(
  { server, secret, ca }: Place,
  method: string,
  rest: string,
  text: string,
): Promise<{ status: number; said: string }> {
  const url = `${server}/-/v1/tokens${rest}`;
  const headers = {
    authorization: `Bearer ${secret.reveal()}`,
    ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  return new Promise((resolveAnswer, reject) => {
    const options = { method, headers, agent: false, timeout: timeoutMs } as const;
    const sent = server.startsWith('https:')
      ? httpsRequest(url, ca === undefined ? options : { ...options, ca })
      : httpRequest(url, options);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > maxAnswerBytes) sent.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolveAnswer({ status: response.statusCode ?? 0, said: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.on('error', reject);
    sent.end(text);
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
