/**
 * The listening side: plain HTTP, HTTPS and Unix sockets side by side, with bounds on everything a slow or hostile client
 * can hold, and a drain that lets transfers under way finish.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { forgetCertificate, noteConnection } from './asker.ts';
import { endUnread, watchBody } from './body-timeout.ts';
import { answerClientError } from './client-error.ts';
import { addressesOf, type ListenTarget, listenError, type TlsSettings } from './listen-target.ts';
import { type CertificateEvent, type CertificateState, ServerCertificate } from './server-certificate.ts';
import { openUnixSocket } from './unix-socket.ts';

export interface ServerLimits {
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  /** Time for a whole request; 0: none. Uploads have limits of their own. */
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxHeaderBytes: number;
  /** A socket on which nothing moves for this long is closed, unless a miss is being answered on it. */
  readonly idleMs: number;
  /** For a TLS handshake. Default 10,000. */
  readonly handshakeTimeoutMs?: number | undefined;
}

export interface ListenDeps {
  readonly clock: Clock;
  /** What became of certificate files. */
  readonly onCertificate?: ((event: CertificateEvent) => void) | undefined;
}

export interface Listening {
  /** `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH` of each target, in the order given. */
  readonly urls: readonly string[];
  /** What is listened on, one for each address of a name. */
  readonly addresses: readonly ListenTarget[];
  /** Of each pair of files that is in use. */
  certificates(): readonly CertificateState[];
  /** Looks at the certificate files now; they are looked at every 5 s anyway. Never rejects. */
  reloadCertificates(): Promise<void>;
  /** Stops accepting; resolves when the last request has ended. Transfers under way go on. */
  drain(): Promise<void>;
  /** Cuts every connection. */
  destroy(): void;
}

const defaultHandshakeTimeoutMs = 10_000;

type AnyServer = Server | TlsServer;

/** Opens every address of every target, or none. Rejects with ListenError. */
export async function listen(
  targets: readonly ListenTarget[],
  limits: ServerLimits,
  handler: RequestListener,
  deps: ListenDeps = { clock: systemClock },
): Promise<Listening> {
  const sockets = new Sockets(limits, handler, deps);
  try {
    for (const target of targets) {
      if (target.socket === undefined) await sockets.openAddresses(target);
      else await sockets.openUnix(target, target.socket);
    }
  } catch (error) {
    sockets.abandon();
    throw error;
  }
  return sockets;
}

class Sockets implements Listening {
  readonly urls: string[] = [];
  readonly addresses: ListenTarget[] = [];
  readonly #limits: ServerLimits;
  readonly #handler: RequestListener;
  readonly #deps: ListenDeps;
  readonly #servers: AnyServer[] = [];
  /** Accepted connections, those before and during the handshake too. */
  readonly #open = new Set<{ destroy(): unknown }>();
  /** By settings: several addresses share one. */
  readonly #certificates = new Map<string, ServerCertificate>();
  /** Connections of clients whose certificate other authorities signed than those of now. */
  readonly #outdated = new WeakSet<object>();
  #isDraining = false;

  constructor(limits: ServerLimits, handler: RequestListener, deps: ListenDeps) {
    this.#limits = limits;
    this.#handler = handler;
    this.#deps = deps;
  }

  certificates(): readonly CertificateState[] {
    return [...this.#certificates.values()].map(({ state }) => state);
  }

  async reloadCertificates(): Promise<void> {
    await Promise.all([...this.#certificates.values()].map((each) => each.check()));
  }

  async openAddresses(target: ListenTarget): Promise<void> {
    const { host, port, tls } = target;
    let opened = 0;
    for (const [index, address] of (await addressesOf(host)).entries()) {
      const server = await this.#make(target);
      // With port 0 the second address of a name takes the port that the first one was given.
      const wanted = port === 0 && opened > 0 ? (this.addresses.at(-1)?.port ?? 0) : port;
      try {
        await open(server, address, wanted);
      } catch (error) {
        // `localhost` names ::1 on hosts that have no IPv6: one working address is enough.
        const missing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errnoOf(error) ?? '');
        if (missing && (index > 0 || opened > 0)) continue;
        throw listenError(error, `${host}:${port}`);
      }
      opened += 1;
      this.#servers.push(server);
      const bound = server.address() as AddressInfo;
      this.addresses.push({ host: bound.address, port: bound.port, tls });
      const scheme = tls === undefined ? 'http' : 'https';
      if (opened === 1)
        this.urls.push(`${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound.port}`);
    }
  }

  async openUnix(target: ListenTarget, path: string): Promise<void> {
    const server = await this.#make(target);
    try {
      await openUnixSocket(server, path);
    } catch (error) {
      server.close();
      throw listenError(error, `unix:${path}`);
    }
    this.#servers.push(server);
    this.addresses.push({ host: '', port: 0, socket: path, tls: target.tls });
    this.urls.push(`unix:${path}`);
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const certificate of this.#certificates.values()) certificate.close();
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        server.closeIdleConnections();
        return closed;
      }),
    );
  }

  destroy(): void {
    for (const certificate of this.#certificates.values()) certificate.close();
    for (const server of this.#servers) server.closeAllConnections();
    // A handshake under way is no connection of HTTP yet.
    for (const socket of this.#open) socket.destroy();
  }

  /** Before anything was answered: not all could be opened. */
  abandon(): void {
    for (const server of this.#servers) server.close();
    this.destroy();
  }

  async #make({ tls, socket }: ListenTarget): Promise<AnyServer> {
    const { maxConnections, idleMs } = this.#limits;
    const server = tls === undefined ? this.#plain() : await this.#secure(tls);
    // A failed accept (no descriptors left) is one lost connection, not the end of the server.
    server.on('error', () => {});
    server.maxConnections = maxConnections;
    server.timeout = idleMs;
    server.on('clientError', answerClientError);
    // Whether a body may come is for the handler to say; without this, Node says yes.
    server.on('checkContinue', this.#counting);
    server.on('connection', (connection) => {
      this.#open.add(connection);
      connection.once('close', () => this.#open.delete(connection));
    });
    server.on(tls === undefined ? 'connection' : 'secureConnection', (connection) => {
      // A handshake that ends while draining comes too late.
      const isLate = tls !== undefined && this.#isDraining;
      if (isLate || !noteConnection(connection, socket !== undefined)) connection.destroy();
    });
    return server;
  }

  #plain(): Server {
    return createServer(this.#httpOptions(), this.#counting);
  }

  async #secure(tls: TlsSettings): Promise<TlsServer> {
    const certificate = await this.#certificateFor(tls);
    const server = createTlsServer(
      {
        ...this.#httpOptions(),
        ...certificate.context,
        requestCert: tls.clientAuth !== 'none',
        rejectUnauthorized: tls.clientAuth === 'required',
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: this.#limits.handshakeTimeoutMs ?? defaultHandshakeTimeoutMs,
      },
      this.#counting,
    );
    const clients = new Set<Socket>();
    server.on('secureConnection', (connection) => {
      clients.add(connection);
      connection.once('close', () => clients.delete(connection));
    });
    let authorities = String(certificate.context.ca);
    certificate.onChange((context) => {
      server.setSecureContext(context);
      if (String(context.ca) === authorities) return;
      authorities = String(context.ca);
      this.#retire(clients, server);
    });
    return server;
  }

  /** What is under way goes on without its certificate, and what is idle ends: TLS looks at certificates only once. */
  #retire(clients: ReadonlySet<Socket>, server: TlsServer): void {
    for (const client of clients) {
      forgetCertificate(client);
      this.#outdated.add(client);
    }
    server.closeIdleConnections();
  }

  async #certificateFor(tls: TlsSettings): Promise<ServerCertificate> {
    const key = JSON.stringify(tls);
    const known = this.#certificates.get(key);
    if (known !== undefined) return known;
    const { clock, onCertificate } = this.#deps;
    const made = await ServerCertificate.load(tls, { clock, onEvent: (event) => onCertificate?.(event) });
    this.#certificates.set(key, made);
    return made;
  }

  #httpOptions(): object {
    const { maxHeaderBytes, headersTimeoutMs, keepAliveMs } = this.#limits;
    return {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      // Of bodies, `watchBody` has the limit: Node's knows no exception for uploads.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    };
  }

  readonly #counting: RequestListener = (request, response) => {
    // A request that is destroyed loses it.
    const { socket } = request;
    watchBody(request, response, this.#limits.requestTimeoutMs, this.#deps.clock);
    // While draining each connection ends with the answer under way.
    if (this.#isDraining || this.#outdated.has(socket)) response.shouldKeepAlive = false;
    else {
      response.once('finish', () => {
        endUnread(request, socket, this.#limits.requestTimeoutMs, this.#deps.clock);
        if (this.#outdated.has(socket)) setImmediate(() => socket.destroySoon());
        // A connection that was busy when the drain began is idle from here on.
        if (this.#isDraining)
          setImmediate(() => this.#servers.forEach((each) => each.closeIdleConnections()));
      });
    }
    this.#handler(request, response);
  };
}

function open(server: AnyServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
