/**
 * Uploads to a running modferry: a file with its length, sent when the server has said that it may come, so that a
 * refusal costs no upload. Redirects are not followed: what is sent is a secret, and meant for one server.
 */
import { createReadStream } from 'node:fs';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { escapePath } from '../../gomod/module-path.ts';
import { escapeVersion } from '../../gomod/version.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Secret } from '../../lib/secret.ts';
import { CliError } from '../cli-error.ts';
import type { ModuleName } from './build-zip.ts';

/** A server or a proxy before it that does not know `Expect` is sent the body all the same. */
const continueMs = 1_000;
/** From the last byte sent to the answer: the server checks and stores meanwhile. */
const answerMs = 10 * 60_000;
const maxAnswerBytes = 64 * 1024;

export interface ServerAnswer {
  readonly status: number;
  readonly text: string;
}

export interface PublishClientOptions {
  /** As `checkedUrl` writes it. */
  readonly server: string;
  readonly token: Secret | undefined;
  /** PEM; undefined: the system's authorities alone. */
  readonly ca: readonly string[] | undefined;
  /** `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are heeded. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

export class PublishClient {
  readonly #options: PublishClientOptions;
  readonly #agent: HttpAgent;

  constructor(options: PublishClientOptions) {
    this.#options = options;
    const name = (text: string): string => options.env[text] ?? options.env[text.toLowerCase()] ?? '';
    const proxyEnv = {
      HTTP_PROXY: name('HTTP_PROXY'),
      HTTPS_PROXY: name('HTTPS_PROXY'),
      NO_PROXY: ['localhost', '127.0.0.1', '[::1]', name('NO_PROXY')].filter((one) => one !== '').join(','),
    };
    this.#agent = options.server.startsWith('https:')
      ? new HttpsAgent({ proxyEnv, ...(options.ca === undefined ? {} : { ca: [...options.ca] }) })
      : new HttpAgent({ proxyEnv });
  }

  /** Uploads a zip. Rejects with CliError `unavailable` without an answer, or with the signal's reason. */
  async publish(
    name: ModuleName,
    zip: { readonly file: string; readonly sizeBytes: number },
    onSent: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    const headers = {
      'content-type': 'application/zip',
      'content-length': zip.sizeBytes,
      expect: '100-continue',
    };
    const sent = this.#request('PUT', name, headers, signal);
    const body = createReadStream(zip.file);
    body.on('data', (chunk) => onSent(chunk.length));
    body.pause();
    return await this.#answer(sent, signal, async () => {
      await this.#continued(sent);
      await pipeline(body, sent);
    });
  }

  /** Takes a version back. Rejects as `publish`. */
  async unpublish(name: ModuleName, reason: string, signal: AbortSignal): Promise<ServerAnswer> {
    // Headers carry bytes: Latin-1 on this side, UTF-8 on the wire.
    const headers = { 'x-modferry-reason': Buffer.from(reason).toString('latin1'), 'content-length': 0 };
    const sent = this.#request('DELETE', name, headers, signal);
    return await this.#answer(sent, signal, () => {
      sent.end();
      return Promise.resolve();
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #request(
    method: 'PUT' | 'DELETE',
    { path, version }: ModuleName,
    headers: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
  ): ClientRequest {
    const { server, token } = this.#options;
    const url = `${server}/${escapePath(path)}/@v/${escapeVersion(version)}.zip`;
    const make = server.startsWith('https:') ? httpsRequest : httpRequest;
    const login = token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` };
    return make(url, { method, headers: { ...headers, ...login }, agent: this.#agent, signal });
  }

  #continued(sent: ClientRequest): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimeout(resolve, continueMs);
      sent.once('continue', () => {
        timer.cancel();
        resolve();
      });
      sent.once('close', () => timer.cancel());
      sent.flushHeaders();
    });
  }

  /** The answer, which may come before all is sent. */
  async #answer(sent: ClientRequest, signal: AbortSignal, send: () => Promise<void>): Promise<ServerAnswer> {
    const answered = new Promise<ServerAnswer>((resolve, reject) => {
      sent.once('response', (response) => {
        readAnswer(response).then(resolve, reject);
      });
      sent.once('error', reject);
    });
    answered.catch(() => {});
    const { clock, server } = this.#options;
    let timer: ReturnType<Clock['setTimeout']> | undefined;
    let isOver = false;
    // A body that could not be sent to its end is told by the answer, or by the connection's end.
    void send().then(
      () => {
        // Often the answer is there before the sending is known to have ended.
        if (isOver) return;
        timer = clock.setTimeout(() => sent.destroy(new Error('no answer in 10 min')), answerMs);
      },
      (error: unknown) => {
        if (!sent.destroyed) sent.destroy(error instanceof Error ? error : undefined);
      },
    );
    try {
      return await answered;
    } catch (error) {
      signal.throwIfAborted();
      throw new CliError(
        'unavailable',
        `no answer from the modferry at ${server} (${messageOf(error)}); check the address, and give it with --server`,
        { cause: error },
      );
    } finally {
      isOver = true;
      timer?.cancel();
      sent.destroy();
    }
  }
}

async function readAnswer(response: IncomingMessage): Promise<ServerAnswer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response) {
    const bytes = chunk as Buffer;
    sizeBytes += bytes.length;
    if (sizeBytes > maxAnswerBytes) break;
    chunks.push(bytes);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}
