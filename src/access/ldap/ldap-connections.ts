/**
 * The connections to LDAP servers: which server is asked, how many connections there are, and the time each use may
 * take. A connection has no state between uses: whoever takes one binds first.
 */
import type { Socket } from 'node:net';
import { Client } from 'ldapts';
import { raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError, messageOf } from '../../lib/errors.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import { openLdapSocket } from './ldap-socket.ts';

/** Unused connections are closed after this long: servers close them too, and tell nobody. */
const keepMs = 30_000;
const maxKept = 4;
/** A server that could not be reached is asked after the others for this long. */
const avoidMs = 30_000;
const maxWaiting = 256;

export interface ConnectionOptions {
  readonly urls: readonly string[];
  readonly startTls: boolean;
  readonly caFile: string | undefined;
  readonly timeoutMs: number;
  readonly maxConnections: number;
  readonly clock: Clock;
}

/** Thrown by `work` to say that this server cannot answer and another one may. */
export class ServerFault extends Error {}

interface Kept {
  readonly url: string;
  readonly client: Client;
  readonly socket: Socket;
  readonly sinceMs: number;
}

export class LdapConnections {
  readonly #options: ConnectionOptions;
  readonly #tls: TlsFiles;
  readonly #places: Semaphore;
  readonly #kept: Kept[] = [];
  readonly #avoidedUntilMs = new Map<string, number>();
  #isClosed = false;

  /** Throws ModferryError `ca_file`. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#tls = new TlsFiles({ caFile: options.caFile, clientCertificate: undefined, clock: options.clock });
    this.#places = new Semaphore(options.maxConnections, maxWaiting);
  }

  /**
   * Runs `work` on a connection to the first server that can be reached. `work` is run again at the next server when it
   * throws ServerFault or the connection fails. Rejects with ModferryError `ldap_unavailable` when none is left, with
   * `ldap_busy` when too many wait, or with the signal's reason.
   */
  async use<Result>(work: (client: Client) => Promise<Result>, signal: AbortSignal): Promise<Result> {
    const release = await this.#places.acquire(signal);
    if (release === undefined) {
      throw new ModferryError(
        'ldap_busy',
        'too many log-ins wait for the LDAP server; try again in a moment',
      );
    }
    try {
      const failures: string[] = [];
      for (const url of this.#inOrder()) {
        try {
          return await this.#useServer(url, work, signal);
        } catch (error) {
          if (signal.aborted) throw error;
          this.#avoidedUntilMs.set(url, this.#options.clock.monotonic() + avoidMs);
          failures.push(`${url}: ${messageOf(error, 200)}`);
        }
      }
      throw new ModferryError(
        'ldap_unavailable',
        `no LDAP server can tell who this is; try again later (${failures.join('; ')})`,
        { fields: { failures } },
      );
    } finally {
      release();
    }
  }

  /** Ends the connections that are not in use; those in use end with their work. */
  close(): void {
    this.#isClosed = true;
    for (const { socket } of this.#kept.splice(0)) socket.destroy();
  }

  #inOrder(): string[] {
    const nowMs = this.#options.clock.monotonic();
    const isAvoided = (url: string): boolean => (this.#avoidedUntilMs.get(url) ?? 0) > nowMs;
    const { urls } = this.#options;
    return [...urls.filter((url) => !isAvoided(url)), ...urls.filter(isAvoided)];
  }

  async #useServer<Result>(
    url: string,
    work: (client: Client) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { timeoutMs, clock } = this.#options;
    const late = new AbortController();
    const timer = clock.setTimeout(
      () => late.abort(new Error(`no answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const either = AbortSignal.any([signal, late.signal]);
    let kept: Kept | undefined;
    let isSound = false;
    try {
      const known = this.#take(url);
      if (known !== undefined) {
        try {
          const result = await raceAbort(work(known.client), either);
          kept = known;
          isSound = true;
          return result;
        } catch (error) {
          known.socket.destroy();
          // One that was closed while it was not used says nothing of the server.
          if (either.aborted || error instanceof ServerFault || known.client.isConnected) throw error;
        }
      }
      kept = await this.#open(url, either);
      const result = await raceAbort(work(kept.client), either);
      isSound = true;
      return result;
    } finally {
      timer.cancel();
      if (kept !== undefined) this.#giveBack(kept, isSound);
    }
  }

  async #open(url: string, signal: AbortSignal): Promise<Kept> {
    const socket = await openLdapSocket({
      url: new URL(url),
      startTls: this.#options.startTls,
      secureContext: () => this.#tls.context(true),
      signal,
    });
    let isHandedOver = false;
    const client = new Client({
      // The socket is open and encrypted already: the library must neither connect nor encrypt.
      url: 'ldap://localhost',
      // It would connect again by itself, unencrypted, when the server closed the connection, and send the password.
      createConnection: () => {
        if (isHandedOver) throw new Error('the server closed the connection');
        isHandedOver = true;
        return socket;
      },
    });
    return { url, client, socket, sinceMs: this.#options.clock.monotonic() };
  }

  #take(url: string): Kept | undefined {
    const nowMs = this.#options.clock.monotonic();
    for (;;) {
      const at = this.#kept.findLastIndex((one) => one.url === url);
      const [found] = at < 0 ? [] : this.#kept.splice(at, 1);
      if (found === undefined) return undefined;
      if (found.client.isConnected && nowMs - found.sinceMs < keepMs) return found;
      found.socket.destroy();
    }
  }

  #giveBack(used: Kept, isSound: boolean): void {
    if (!isSound || this.#isClosed || !used.client.isConnected) {
      used.socket.destroy();
      return;
    }
    this.#kept.push({ ...used, sinceMs: this.#options.clock.monotonic() });
    // A kept connection must not keep the process alive.
    used.socket.unref();
    while (this.#kept.length > maxKept) this.#kept.shift()?.socket.destroy();
  }
}
