/**
 * Makes the connections of one upstream: straight, through a tunnel of an HTTP proxy, or through SOCKS5. Each is a
 * sequence of steps; which of them failed is what the error says.
 */
import type { LookupFunction, Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { buildConnector } from 'undici';
import { ConnectError } from './connect-error.ts';
import { dial, type StepLimit, secure } from './connect-steps.ts';
import { openHttpTunnel } from './http-tunnel.ts';
import { bareHost } from './network-address.ts';
import { hostPort, type OutboundProxy } from './proxy-address.ts';
import { openSocks5 } from './socks5.ts';
import type { TlsFiles } from './tls-files.ts';

export interface ConnectorOptions extends StepLimit {
  readonly tls: TlsFiles;
}

/** Where to, and who is there. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** The upstream's own server: shown the client certificate. */
  readonly isOwn: boolean;
}

export class Connector {
  readonly #options: ConnectorOptions;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new LRUCache<string, Buffer>({ max: 32 });

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  straight(isOwn: boolean, lookup: LookupFunction): buildConnector.connector {
    return this.#connector(isOwn, async (target) => {
      const socket = await this.#dial({ ...target, lookup });
      return target.isTls ? await this.#secure(socket, target) : socket;
    });
  }

  /** Through the proxy to the target. */
  through(proxy: OutboundProxy, isOwn: boolean, lookup: LookupFunction): buildConnector.connector {
    return this.#connector(isOwn, async (target) => {
      const socket = await this.#reach(proxy, lookup);
      const open = proxy.kind === 'socks5' ? openSocks5 : openHttpTunnel;
      await open(socket, target, proxy, this.#options);
      if (!target.isTls) return socket;
      try {
        return await this.#secure(socket, target);
      } catch (error) {
        throw behindProxy(error, proxy);
      }
    });
  }

  /** To an HTTP proxy itself, which forwards requests for plain http. */
  toProxy(proxy: OutboundProxy, lookup: LookupFunction): buildConnector.connector {
    return this.#connector(false, () => this.#reach(proxy, lookup));
  }

  /** Ends every connection, those that are being made too. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #connector(isOwn: boolean, make: (target: Target) => Promise<Socket>): buildConnector.connector {
    return ({ hostname, port, protocol }, callback) => {
      const isTls = protocol === 'https:';
      const host = bareHost(hostname);
      const target = { host, port: port === '' ? (isTls ? 443 : 80) : Number(port), isTls, isOwn };
      make(target).then(
        (socket) => callback(null, socket),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    };
  }

  #dial(where: { host: string; port: number; lookup: LookupFunction }): Promise<Socket> {
    return dial(where, this.#options, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** A connection to the proxy, in TLS where it wants that. All its faults are the proxy's. */
  async #reach(proxy: OutboundProxy, lookup: LookupFunction): Promise<Socket> {
    const { host, port } = proxy;
    try {
      const socket = await this.#dial({ host, port, lookup });
      if (proxy.kind !== 'https') return socket;
      return await this.#secure(socket, { host, port, isTls: true, isOwn: false });
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      const text = `the outbound proxy ${proxy.shown} cannot be used: ${error.message}`;
      throw new ConnectError('proxy', text, { cause: error.cause, isProxyDown: true });
    }
  }

  async #secure(socket: Socket, target: Target): Promise<Socket> {
    const { tls } = this.#options;
    const context = tls.context(target.isOwn);
    const key = `${tls.generation} ${target.isOwn} ${hostPort(target.host, target.port)}`;
    const step = {
      host: target.host,
      context,
      session: this.#sessions.get(key),
      onSession: (session: Buffer) => this.#sessions.set(key, session),
    };
    try {
      return await secure(socket, step, this.#options);
    } catch (error) {
      this.#sessions.delete(key);
      if (tls.fault === undefined || !(error instanceof ConnectError)) throw error;
      const text = `${error.message}; the changed files are not in use: ${tls.fault}`;
      throw new ConnectError(error.code, text, { cause: error.cause });
    }
  }
}

/** Proxies that open TLS and put in a certificate of their own are the usual cause of such a fault. */
function behindProxy(error: unknown, proxy: OutboundProxy): unknown {
  if (!(error instanceof ConnectError)) return error;
  const text = `${error.message}, through the outbound proxy ${proxy.shown}`;
  return new ConnectError(error.code, text, { cause: error.cause });
}
