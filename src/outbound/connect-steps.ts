/**
 * The single steps of making a connection, each with its own time limit and its own fault: TCP, TLS, and one
 * exchange with a proxy. `connector.ts` puts them together.
 */
import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { ConnectError, seconds, tcpFault, tlsFault } from './connect-error.ts';

/** How long one step may take. */
export interface StepLimit {
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** A TCP connection. Rejects with ConnectError `dns`, `connect` or `inner_address`; the socket is then gone. */
export function dial(
  where: { readonly host: string; readonly port: number; readonly lookup: LookupFunction },
  limit: StepLimit,
  onSocket: (socket: Socket) => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let isResolved = isIP(where.host) !== 0;
    const socket = netConnect({
      host: where.host,
      port: where.port,
      lookup: (name, options, callback) => {
        where.lookup(name, options, (error, address, family) => {
          isResolved = true;
          callback(error, address, family);
        });
      },
    });
    onSocket(socket);
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    const timer = limit.clock.setTimeout(() => {
      const time = seconds(limit.timeoutMs);
      const late = isResolved
        ? new ConnectError('connect', `no connection within ${time}`)
        : new ConnectError('dns', `its name was not resolved within ${time}`);
      socket.destroy(late);
    }, limit.timeoutMs);
    // Stays for good: an error between two owners of the socket must not be uncaught.
    socket.on('error', (error) => {
      timer.cancel();
      reject(error instanceof ConnectError ? error : tcpFault(error));
    });
    socket.once('close', () => {
      timer.cancel();
      reject(new ConnectError('connect', 'no connection (closed)'));
    });
    socket.once('connect', () => {
      timer.cancel();
      resolve(socket);
    });
  });
}

export interface TlsStep {
  /** Without brackets: what the certificate must be for. */
  readonly host: string;
  readonly context: SecureContext;
  /** Of an earlier connection, to shorten the handshake. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
}

/** TLS over an open connection. Rejects with ConnectError `tls`; both sockets are then gone. */
export function secure(socket: Socket, step: TlsStep, limit: StepLimit): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tlsConnect({
      socket,
      host: step.host,
      ...(isIP(step.host) === 0 ? { servername: step.host } : {}),
      secureContext: step.context,
      ...(step.session === undefined ? {} : { session: step.session }),
      // HTTP/1.1 only: a stalled stream must not stall its neighbours on one connection.
      ALPNProtocols: ['http/1.1'],
    });
    const fail = (error: ConnectError): void => {
      timer.cancel();
      reject(error);
      secured.destroy();
      socket.destroy();
    };
    const timer = limit.clock.setTimeout(() => {
      fail(new ConnectError('tls', `TLS failed: no handshake within ${seconds(limit.timeoutMs)}`));
    }, limit.timeoutMs);
    secured.on('session', step.onSession);
    secured.on('error', (error) => fail(tlsFault(error)));
    secured.once('close', () => fail(new ConnectError('tls', 'TLS failed: the connection was closed')));
    secured.once('secureConnect', () => {
      timer.cancel();
      resolve(secured);
    });
  });
}

/** Why an exchange with a proxy failed, for a text that begins with the proxy. */
export class ExchangeError extends ModferryError<'closed' | 'late' | 'too_long'> {}

export interface Exchange<Reply> {
  readonly send: Buffer | string;
  /** The reply and how many bytes it took; undefined while more is needed. May throw. */
  readonly read: (received: Buffer) => { readonly reply: Reply; readonly usedBytes: number } | undefined;
  readonly maxBytes: number;
}

/** Sends and waits for one reply; bytes behind it go back to the socket. Rejects with ExchangeError or what `read` throws. */
export function exchange<Reply>(socket: Socket, what: Exchange<Reply>, limit: StepLimit): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const end = (): void => {
      timer.cancel();
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onEnd);
    };
    const fail = (error: unknown): void => {
      end();
      socket.destroy();
      reject(error);
    };
    const onEnd = (): void => fail(new ExchangeError('closed', 'closed the connection before it answered'));
    const onReadable = (): void => {
      for (let chunk: unknown = socket.read(); chunk !== null; chunk = socket.read()) {
        received = Buffer.concat([received, chunk as Buffer]);
        try {
          const answer = what.read(received);
          if (answer === undefined && received.length <= what.maxBytes) continue;
          if (answer === undefined) throw new ExchangeError('too_long', 'sent too long an answer');
          end();
          if (answer.usedBytes < received.length) socket.unshift(received.subarray(answer.usedBytes));
          resolve(answer.reply);
        } catch (error) {
          fail(error);
        }
        return;
      }
    };
    const timer = limit.clock.setTimeout(() => {
      fail(new ExchangeError('late', `did not answer within ${seconds(limit.timeoutMs)}`));
    }, limit.timeoutMs);
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onEnd);
    socket.write(what.send);
  });
}
