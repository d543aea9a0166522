/**
 * HTTP for `login`, `logout` and `goauth`: through the proxies of the environment, with the authorities of the system and
 * of a file, within a time. Redirects are not followed: what is sent is a secret, and meant for one server.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { getCACertificates } from 'node:tls';
import type { fetch as undiciFetch } from 'undici';
import { messageOf } from '../../lib/errors.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';

const timeoutMs = 15_000;
const maxBytes = 1024 * 1024;

export interface WebAnswer {
  readonly status: number;
  readonly text: string;
}

export interface Web {
  /** Rejects with CliError `unavailable` when there is no answer, and with the signal's reason. */
  ask(
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<WebAnswer>;
  /** The same way for a library that brings its own requests. */
  readonly fetch: typeof undiciFetch;
  close(): Promise<void>;
}

export type WebContext = Pick<CliContext, 'env' | 'cwd' | 'clock'>;

/** `caFile`: PEM, beside the system's. Rejects with CliError `failed` when it cannot be read. */
export async function openWeb(context: WebContext, caFile: string | undefined): Promise<Web> {
  // Only who goes to the network pays for it: go starts `goauth` for each command.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const own = caFile === undefined ? [] : [await readCa(resolve(context.cwd, caFile))];
  const env = (name: string): string =>
    context.env[name.toUpperCase()] ?? context.env[name.toLowerCase()] ?? '';
  const tls = { ca: [...getCACertificates('default'), ...getCACertificates('system'), ...own] };
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: env('http_proxy'),
    httpsProxy: env('https_proxy'),
    noProxy: ['localhost', '127.0.0.1', '[::1]', env('no_proxy')].filter((one) => one !== '').join(','),
    connect: tls,
    requestTls: tls,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: maxBytes,
  });
  const limited: typeof undiciFetch = (input, init) =>
    fetch(input, { ...init, redirect: 'manual', dispatcher });
  return {
    fetch: limited,
    async ask(method, url, token, signal) {
      const late = new AbortController();
      const timer = context.clock.setTimeout(() => late.abort(new Error('no answer in 15 s')), timeoutMs);
      try {
        const headers = {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        };
        const either = AbortSignal.any([signal, late.signal]);
        const answer = await limited(url, { method, headers, signal: either });
        return { status: answer.status, text: await answer.text() };
      } catch (error) {
        signal.throwIfAborted();
        throw new CliError('unavailable', `no answer from ${new URL(url).origin} (${reasonOf(error)})`, {
          cause: error,
        });
      } finally {
        timer.cancel();
      }
    },
    close: () => dispatcher.destroy(),
  };
}

/** A failed fetch hides its reason one step below. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error && error.cause instanceof Error
    ? reasonOf(error.cause)
    : messageOf(error, 200);
}

async function readCa(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (error) {
    throw new CliError('failed', `${file} cannot be read: ${messageOf(error)}; name a PEM file`, {
      cause: error,
    });
  }
  throw new CliError('failed', `${file} holds no certificate; name a file in PEM form`);
}
