/**
 * Asks a running modferry for artifacts over HTTP, so that single flight, verification and the store are its own.
 * Bodies are counted and dropped as they come.
 */
import { Agent, type Dispatcher, request } from 'undici';
import { escapePath } from '../gomod/module-path.ts';
import type { ArtifactExt, ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { escapeVersion, isCanonical } from '../gomod/version.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { CliError } from './cli-error.ts';
import type { WarmItem } from './warm-input.ts';

/** The server waits up to 10 minutes for a source that fetches on demand (ruling 19); we wait for the server. */
const headersTimeoutMs = 11 * 60_000;
const bodyTimeoutMs = 2 * 60_000;
const maxReasonBytes = 4096;
const maxReasonLines = 3;
const maxInfoBytes = 64 * 1024;

export type WarmOutcome =
  | { readonly outcome: 'stored' }
  | { readonly outcome: 'fetched'; readonly fetchedBytes: number }
  | {
      readonly outcome: 'failed';
      readonly artifact: string;
      readonly status: number | undefined;
      readonly reason: string;
    };

export class WarmClient {
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #headers: Record<string, string>;

  /** `url` is the server's base; `connections` is how many are open at most. */
  constructor(url: string, connections: number) {
    this.#base = new URL(url);
    const { username, password } = this.#base;
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#headers =
      username === '' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
    this.#base.username = '';
    this.#base.password = '';
    this.#agent = new Agent({ connections, headersTimeout: headersTimeoutMs, bodyTimeout: bodyTimeoutMs });
  }

  /** Resolves when something answers there. Rejects with CliError `unavailable`. */
  async probe(signal: AbortSignal): Promise<void> {
    try {
      await (await this.#ask('GET', '/healthz', {}, signal)).body.dump();
    } catch (error) {
      signal.throwIfAborted();
      throw new CliError(
        'unavailable',
        `no modferry answers at ${this.#base.href.replace(/\/$/, '')} (${reasonOf(error)}); ` +
          'start one with `modferry serve`, or name a running one with --url',
        { cause: error },
      );
    }
  }

  /**
   * Has every artifact of the item in the store when it resolves to `stored` or `fetched`. Rejects with CliError
   * `unavailable` when the server is gone, or with the signal's reason.
   */
  async warm(item: WarmItem, signal: AbortSignal): Promise<WarmOutcome> {
    let artifact = item.isQuery ? 'query' : '';
    try {
      const version = item.isQuery ? await this.#resolve(item, signal) : item.version;
      if (typeof version !== 'string') return { ...version, artifact };
      let fetchedBytes: number | undefined;
      for (const ext of item.exts) {
        artifact = `.${ext}`;
        const target = artifactTarget(item.path, version, ext);
        if (await this.#isStored(target, signal)) continue;
        const answer = await this.#ask('GET', target, {}, signal);
        if (answer.statusCode !== 200) return await failed(answer, artifact);
        fetchedBytes = (fetchedBytes ?? 0) + (await drain(answer.body));
      }
      return fetchedBytes === undefined ? { outcome: 'stored' } : { outcome: 'fetched', fetchedBytes };
    } catch (error) {
      signal.throwIfAborted();
      if (errnoOf(error) === 'ECONNREFUSED' || errnoOf(error) === 'ENOENT') {
        const advice = 'start it again and run the same command: what is stored is skipped';
        throw new CliError('unavailable', `the server went away; ${advice}`, { cause: error });
      }
      return { outcome: 'failed', artifact, status: undefined, reason: reasonOf(error) };
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** The canonical version behind `latest`, a branch and the like; the failure when there is none. */
  async #resolve(item: WarmItem, signal: AbortSignal): Promise<string | Failed> {
    const path = escapePath(item.path);
    const isLatest = item.version === 'latest';
    const target = isLatest ? `/${path}/@latest` : `/${path}/@v/${escapedText(item.version)}.info`;
    const answer = await this.#ask('GET', target, {}, signal);
    if (answer.statusCode !== 200) return await failed(answer, 'query');
    const info: unknown = JSON.parse(await readStart(answer.body, maxInfoBytes));
    const named = typeof info === 'object' && info !== null && 'Version' in info ? info.Version : undefined;
    if (typeof named === 'string' && isCanonical(named)) return named;
    return {
      outcome: 'failed',
      artifact: 'query',
      status: 200,
      reason: 'the answer names no canonical version',
    };
  }

  /** `Disable-Module-Fetch` makes the server answer from its store alone. */
  async #isStored(target: string, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#ask('HEAD', target, { 'disable-module-fetch': 'true' }, signal);
    await answer.body.dump();
    return answer.statusCode === 200;
  }

  async #ask(
    method: 'GET' | 'HEAD',
    target: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const url = `${this.#base.href.replace(/\/$/, '')}${target}`;
    const sent = { ...this.#headers, ...headers };
    return await request(url, { method, headers: sent, dispatcher: this.#agent, signal });
  }
}

type Failed = Extract<WarmOutcome, { outcome: 'failed' }>;

function artifactTarget(path: ModulePath, version: string, ext: ArtifactExt): string {
  return `/${escapePath(path)}/@v/${escapedText(version)}.${ext}`;
}

/** Versions were checked when they were read; what a server's answer names is escaped all the same. */
function escapedText(version: string): string {
  return encodeURIComponent(escapeVersion(version as Version | VersionQuery)).replaceAll('%2B', '+');
}

async function failed(answer: Dispatcher.ResponseData, artifact: string): Promise<Failed> {
  const text = await readStart(answer.body, maxReasonBytes);
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const reason = lines.slice(0, maxReasonLines).join('; ').slice(0, 500);
  return { outcome: 'failed', artifact, status: answer.statusCode, reason: reason || 'no reason given' };
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<number> {
  let sizeBytes = 0;
  for await (const chunk of body) sizeBytes += chunk.length;
  return sizeBytes;
}

/** The text of the first `maxBytes`; the rest is dropped with the connection. */
async function readStart(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

/** A refused connection to a name with two addresses has an empty message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0], 200);
  return messageOf(error, 200);
}
