/**
 * The public keys of one issuer: found by discovery, kept in memory, fetched again when they are old or when a token
 * names one that is not among them. An issuer that is down does no harm for a day.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from 'jose';
import { raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError, messageOf } from '../../lib/errors.ts';
import { Dispatchers } from '../../outbound/dispatchers.ts';
import type { ProxyRule } from '../../outbound/proxy-rule.ts';
import { isSafeUrl } from './issuer-options.ts';

/** After this long they are fetched anew behind the answer, so that a withdrawn key goes out of use. */
const freshMs = 10 * 60_000;
/** Without a fetch that succeeds they are good for this long. */
const usableMs = 24 * 3_600_000;
/** Fetches are this far apart, whatever tokens name. */
const pauseMs = 30_000;
const fetchTimeoutMs = 5000;
const maxBytes = 1024 * 1024;
const maxKeys = 1000;

export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Undefined: by discovery. */
  readonly jwksUrl: string | undefined;
  readonly caFile: string | undefined;
  readonly proxy: ProxyRule;
  readonly clock: Clock;
}

interface Known {
  readonly keys: LocalJWKSet;
  readonly atMs: number;
}

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  readonly #dispatchers: Dispatchers;
  #known: Known | undefined;
  #fetching: Promise<void> | undefined;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  /** Why the last fetch failed; undefined when it did not. */
  #failure: string | undefined;

  /** Throws ModferryError `ca_file`. */
  constructor(options: IssuerKeysOptions) {
    this.#options = options;
    this.#dispatchers = new Dispatchers({
      base: new URL(options.jwksUrl ?? options.issuer),
      proxy: options.proxy,
      connectTimeoutMs: fetchTimeoutMs,
      maxConnections: 2,
      keepAliveMs: 1000,
      caFile: options.caFile,
      clientCertificate: undefined,
      clock: options.clock,
    });
  }

  /**
   * The key a token was signed with, for `jwtVerify`. Rejects with ModferryError `issuer_unavailable` when it cannot be
   * told whether there is such a key, with jose's errors when there is none, or with the signal's reason.
   */
  async keyOf(...[header, token]: Parameters<JWTVerifyGetKey>): ReturnType<LocalJWKSet> {
    const nowMs = this.#options.clock.monotonic();
    const known = this.#known;
    if (known !== undefined && nowMs - known.atMs < usableMs) {
      if (nowMs - known.atMs >= freshMs) void this.#refresh();
      try {
        return await known.keys(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      }
    }
    await this.#refresh();
    const now = this.#known;
    const isUsable = now !== undefined && this.#options.clock.monotonic() - now.atMs < usableMs;
    if (isUsable && (now !== known || this.#failure === undefined)) return await now.keys(header, token);
    throw new ModferryError(
      'issuer_unavailable',
      `the keys of ${this.#options.issuer} cannot be fetched (${this.#failure ?? 'not yet'}); try again later`,
    );
  }

  /** Fetches as `keyOf` needs it; ends early with the signal's reason. */
  for(signal: AbortSignal): JWTVerifyGetKey {
    return (header, token) => raceAbort(this.keyOf(header, token), signal);
  }

  async close(): Promise<void> {
    await this.#dispatchers.close();
  }

  /** Never rejects. One at a time, and none within 30 s of the last. */
  #refresh(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#triedAtMs < pauseMs) return Promise.resolve();
    this.#triedAtMs = nowMs;
    this.#fetching = this.#fetch()
      .then(
        (keys) => {
          this.#known = { keys, atMs: this.#options.clock.monotonic() };
          this.#failure = undefined;
        },
        (error: unknown) => {
          this.#failure = messageOf(error, 200);
        },
      )
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #fetch(): Promise<LocalJWKSet> {
    const { issuer, jwksUrl, clock } = this.#options;
    const late = new AbortController();
    const timer = clock.setTimeout(() => late.abort(new Error('it took too long')), fetchTimeoutMs);
    try {
      const url = jwksUrl ?? (await this.#discover(issuer, late.signal));
      const set = await this.#json(url, late.signal);
      const keys = Array.isArray(set['keys']) ? (set['keys'] as readonly unknown[]) : undefined;
      if (keys === undefined || keys.length > maxKeys) throw new Error(`${url} is no set of keys`);
      return createLocalJWKSet({ keys: keys.filter(isPublicKey) } as JSONWebKeySet);
    } finally {
      timer.cancel();
    }
  }

  async #discover(issuer: string, signal: AbortSignal): Promise<string> {
    const document = await this.#json(
      `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      signal,
    );
    if (document['issuer'] !== issuer) throw new Error('its discovery document is of another issuer');
    const url = document['jwks_uri'];
    if (typeof url !== 'string' || !isSafeUrl(url))
      throw new Error('its discovery document names no https jwks_uri');
    return url;
  }

  async #json(url: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#dispatchers.request(new URL(url), {
      headers: { accept: 'application/json' },
      signal,
      headersTimeoutMs: fetchTimeoutMs,
      bodyTimeoutMs: fetchTimeoutMs,
    });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    if (answer.statusCode !== 200) {
      answer.body.on('error', () => {}).destroy();
      throw new Error(`${url} answered ${answer.statusCode}`);
    }
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      // Leaving the loop closes the connection.
      if (sizeBytes > maxBytes) throw new Error(`${url} is larger than 1 MiB`);
      chunks.push(chunk);
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value !== 'object' || value === null) throw new Error(`${url} is no JSON object`);
    return value as Readonly<Record<string, unknown>>;
  }
}

/** Secrets have no place in a public set; a set that has one is not to be verified with. */
function isPublicKey(key: unknown): boolean {
  return (
    typeof key === 'object' &&
    key !== null &&
    'kty' in key &&
    key.kty !== 'oct' &&
    !('d' in key) &&
    !('k' in key)
  );
}
