/**
 * The listening side: sockets with bounds on everything a slow or hostile client can hold, and a drain that lets
 * transfers under way finish.
 */

import { lookup } from 'node:dns/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { errnoOf, ModferryError } from '../lib/errors.ts';

export interface ServerLimits {
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  /** Time for a whole request (they have no body worth waiting for). */
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxHeaderBytes: number;
  /** A socket on which nothing moves for this long is closed, unless a miss is being answered on it. */
  readonly idleMs: number;
}

/** `in_use`, `not_permitted`, `bad_address`: each with what to do. */
export class ListenError extends ModferryError<'in_use' | 'not_permitted' | 'bad_address'> {}

export interface Listening {
  /** `http://HOST:PORT` of each socket, in the order given. */
  readonly urls: readonly string[];
  /** Addresses as `HOST:PORT`. */
  readonly addresses: readonly ListenTarget[];
  /** Stops accepting; resolves when the last request has ended. Transfers under way go on. */
  drain(): Promise<void>;
  /** Cuts every connection. */
  destroy(): void;
}

export interface ListenTarget {
  /** Name or address; '' is every address of the machine. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** Opens every address of every `HOST:PORT`, or none. Rejects with ListenError. */
export async function listen(
  targets: readonly ListenTarget[],
  limits: ServerLimits,
  handler: RequestListener,
): Promise<Listening> {
  let draining = false;
  const counting: RequestListener = (request, response) => {
    // While draining each connection ends with the answer under way.
    if (draining) response.shouldKeepAlive = false;
    else {
      response.once('finish', () => {
        // A connection that was busy when the drain began is idle from here on.
        if (draining) setImmediate(() => servers.forEach((server) => server.closeIdleConnections()));
      });
    }
    handler(request, response);
  };
  const servers: Server[] = [];
  const urls: string[] = [];
  const addresses: ListenTarget[] = [];
  try {
    for (const target of targets) {
      const { host, port } = target;
      let opened = 0;
      for (const [index, address] of (await addressesOf(host)).entries()) {
        const server = makeServer(limits, counting);
        // With port 0 the second address of a name takes the port that the first one was given.
        const wanted = port === 0 && opened > 0 ? (addresses.at(-1)?.port ?? 0) : port;
        try {
          await open(server, address, wanted);
        } catch (error) {
          // `localhost` names ::1 on hosts that have no IPv6: one working address is enough.
          const missing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errnoOf(error) ?? '');
          if (missing && (index > 0 || opened > 0)) continue;
          throw listenError(error, `${host}:${port}`);
        }
        opened += 1;
        servers.push(server);
        const bound = server.address() as AddressInfo;
        addresses.push({ host: bound.address, port: bound.port });
        if (opened === 1) urls.push(`http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`);
      }
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    urls,
    addresses,
    drain: async () => {
      draining = true;
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise<void>((resolve) => {
            server.close(() => resolve());
          });
          server.closeIdleConnections();
          return closed;
        }),
      );
    },
    destroy() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

function makeServer(limits: ServerLimits, handler: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    },
    handler,
  );
  // A failed accept (no descriptors left) is one lost connection, not the end of the server.
  server.on('error', () => {});
  server.maxConnections = limits.maxConnections;
  server.timeout = limits.idleMs;
  server.on('clientError', (error, socket) => {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const tooLarge = errnoOf(error) === 'HPE_HEADER_OVERFLOW';
    const late = errnoOf(error) === 'ERR_HTTP_REQUEST_TIMEOUT';
    const status = tooLarge
      ? '431 Request Header Fields Too Large'
      : late
        ? '408 Request Timeout'
        : '400 Bad Request';
    const text = tooLarge
      ? 'the request headers are too large'
      : late
        ? 'the request took too long'
        : 'not a valid HTTP request';
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n` +
        `Content-Length: ${text.length + 1}\r\n\r\n${text}\n`,
    );
  });
  return server;
}

/** Every address of a name, IPv4 first; '' listens on all. */
async function addressesOf(host: string): Promise<string[]> {
  if (host === '') return ['0.0.0.0'];
  if (isIP(host) !== 0) return [host];
  // The resolver of some systems knows `localhost` by one family only; clients may try the other.
  if (host === 'localhost') return ['127.0.0.1', '::1'];
  try {
    const found = await lookup(host, { all: true, order: 'ipv4first' });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    throw new ListenError('bad_address', `cannot listen on ${host}: the name does not resolve`, {
      cause: error,
    });
  }
}

function open(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function listenError(error: unknown, target: string): ListenError {
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return new ListenError(
        'in_use',
        `${target} is in use by another process; stop that one or choose another address with --listen HOST:PORT`,
        { cause: error },
      );
    case 'EACCES':
      return new ListenError(
        'not_permitted',
        `this user may not listen on ${target}; choose a port above 1023 with --listen`,
        { cause: error },
      );
    default:
      return new ListenError(
        'bad_address',
        `cannot listen on ${target} (${errnoOf(error) ?? 'unknown error'})`,
        {
          cause: error,
        },
      );
  }
}
