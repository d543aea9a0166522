/**
 * Where a PAC script comes from: a file, read again when it changes, or a URL, fetched straight and again from time
 * to time. A copy that was once good stays in use when a later one cannot be had. Nothing happens until it is asked.
 */
import { open, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Dispatchers } from './dispatchers.ts';
import { bareUrl } from './network-address.ts';
import { PacError } from './pac-answer.ts';
import { directRule } from './proxy-rule.ts';

export interface PacText {
  readonly script: string;
  /** Another number: another text. */
  readonly version: number;
}

export interface PacSource {
  /** Names it in errors; without credentials. */
  readonly shown: string;
  /** Rejects with PacError while there is no good copy. */
  text(): Promise<PacText>;
}

export interface PacSourceOptions {
  readonly clock: Clock;
  /** PEM file with further certificate authorities, for an https URL. */
  readonly caFile: string | undefined;
}

const maxBytes = 1024 * 1024;
const fileCheckMs = 60_000;
const refetchMs = 10 * 60_000;
/** After a failure, with a good copy in hand or without. */
const retryMs = { withCopy: 60_000, without: 10_000 };
const fetchTimeoutMs = 5000;

/** A path, a `file:` URL or an http(s) URL; a user and password in it are sent to that server alone. */
export function pacSource(location: string, options: PacSourceOptions): PacSource {
  if (/^https?:\/\//i.test(location)) {
    const url = new URL(location);
    const shown = bareUrl(url).href;
    return new KeptSource(shown, options.clock, refetchMs, () => fetchScript(url, shown, options));
  }
  const file = /^file:\/\//i.test(location) ? fileURLToPath(location) : location;
  return new KeptSource(file, options.clock, fileCheckMs, fileReader(file));
}

/** Resolves to undefined when it is still the same. */
type Read = () => Promise<string | undefined>;

class KeptSource implements PacSource {
  readonly shown: string;
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #read: Read;
  #kept: PacText | undefined;
  #fault: PacError | undefined;
  #nextMs = 0;
  #reading: Promise<void> | undefined;

  constructor(shown: string, clock: Clock, everyMs: number, read: Read) {
    this.shown = shown;
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#read = read;
  }

  async text(): Promise<PacText> {
    const isDue = (this.#kept ?? this.#fault) === undefined || this.#clock.monotonic() >= this.#nextMs;
    if (isDue) {
      this.#reading ??= this.#refresh().finally(() => {
        this.#reading = undefined;
      });
    }
    // A copy in hand is not kept waiting for a server.
    if (this.#kept === undefined && this.#reading !== undefined) await this.#reading;
    if (this.#kept !== undefined) return this.#kept;
    throw this.#fault ?? new PacError(`the PAC script ${this.shown} could not be read`);
  }

  async #refresh(): Promise<void> {
    try {
      const script = await this.#read();
      if (script !== undefined) {
        this.#kept = { script: checked(script, this.shown), version: (this.#kept?.version ?? 0) + 1 };
      }
      this.#fault = undefined;
      this.#nextMs = this.#clock.monotonic() + this.#everyMs;
    } catch (error) {
      this.#fault =
        error instanceof PacError
          ? error
          : new PacError(`the PAC script ${this.shown} cannot be read: ${messageOf(error, 200)}`, {
              cause: error,
            });
      const pauseMs = this.#kept === undefined ? retryMs.without : retryMs.withCopy;
      this.#nextMs = this.#clock.monotonic() + pauseMs;
    }
  }
}

function checked(script: string, shown: string): string {
  const text = script.replace(/^\uFEFF/, '');
  if (/^\s*</.test(text)) {
    throw new PacError(`${shown} is a page, not a PAC script; name the script itself`);
  }
  if (text.trim() === '') throw new PacError(`the PAC script ${shown} is empty`);
  return text;
}

function fileReader(file: string): Read {
  let stamp: string | undefined;
  return async () => {
    const { mtimeMs, size, ino } = await stat(file);
    const found = `${mtimeMs}-${size}-${ino}`;
    if (found === stamp) return undefined;
    const handle = await open(file, 'r');
    try {
      const buffer = Buffer.alloc(maxBytes + 1);
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, bytes, buffer.length - bytes, bytes);
        bytes += bytesRead;
        if (bytes > maxBytes) throw tooLarge(file);
        if (bytesRead === 0) break;
      }
      stamp = found;
      return buffer.toString('utf8', 0, bytes);
    } finally {
      await handle.close();
    }
  };
}

async function fetchScript(url: URL, shown: string, options: PacSourceOptions): Promise<string> {
  const { clock, caFile } = options;
  const controller = new AbortController();
  const timer = clock.setTimeout(() => {
    const time = `${fetchTimeoutMs / 1000} s`;
    controller.abort(new PacError(`the PAC script ${shown} did not come within ${time}`));
  }, fetchTimeoutMs);
  const dispatchers = new Dispatchers({
    base: url,
    proxy: directRule,
    connectTimeoutMs: fetchTimeoutMs,
    maxConnections: 1,
    keepAliveMs: 1000,
    caFile,
    clientCertificate: undefined,
    clock,
  });
  try {
    const { statusCode, body } = await dispatchers.request(url, {
      headers: { accept: '*/*', 'accept-encoding': 'identity', ...authorization(url) },
      signal: controller.signal,
      headersTimeoutMs: fetchTimeoutMs,
      bodyTimeoutMs: fetchTimeoutMs,
    });
    if (statusCode !== 200) {
      throw new PacError(`the PAC script ${shown} cannot be fetched: status ${statusCode}`);
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(shown);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    timer.cancel();
    await dispatchers.close();
  }
}

function authorization(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function tooLarge(shown: string): PacError {
  return new PacError(`the PAC script ${shown} is larger than 1 MiB; name a smaller one`);
}
