/** Who asks, as far as the connection and two headers tell: what `access/` judges by. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { clientCertificateOf } from '../access/client-certificate.ts';
import type { Asker, ClientCertificate } from '../access/types.ts';

interface Connection {
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
}

/** No address that any list has: of a connection whose other side is gone. */
const unknownAddress = 'unknown';

/** By the socket of its requests. */
const connections = new WeakMap<Socket, Connection>();

/**
 * To be called for each new connection. False: the other side is gone already, and nobody knows who it was, so that
 * nothing may be answered on it.
 */
export function noteConnection(socket: Socket, isUnixSocket: boolean): boolean {
  // Only a server on a Unix socket may take "no address" for a local client.
  const address = isUnixSocket ? '' : socket.remoteAddress;
  if (address === undefined) return false;
  connections.set(socket, { address, certificate: certificateOf(socket) });
  return true;
}

/** Its client certificate counts no more: the authorities changed since it was looked at. */
export function forgetCertificate(socket: Socket): void {
  const known = connections.get(socket);
  if (known !== undefined) connections.set(socket, { ...known, certificate: undefined });
}

/** Cheap enough for each request: what belongs to the connection is read once. */
export function askerOf(request: IncomingMessage): Asker {
  const { socket, rawHeaders } = request;
  const known = connections.get(socket) ?? lateConnection(socket);
  let authorization: string | undefined;
  let forwardedFor: string | undefined;
  // `headers` would be parsed whole, for ready answers too.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length === 13) {
      // As Node does with headers that may stand once: the first counts.
      if (name.toLowerCase() === 'authorization') authorization ??= rawHeaders[index + 1];
    } else if (name.length === 15 && name.toLowerCase() === 'x-forwarded-for') {
      const value = rawHeaders[index + 1] ?? '';
      forwardedFor = forwardedFor === undefined ? value : `${forwardedFor}, ${value}`;
    }
  }
  return { authorization, address: known.address, forwardedFor, certificate: known.certificate };
}

/** Of a server that does not note its connections. */
function lateConnection(socket: Socket): Connection {
  const address = socket.remoteAddress ?? unknownAddress;
  const connection = { address, certificate: certificateOf(socket) };
  connections.set(socket, connection);
  return connection;
}

function certificateOf(socket: Socket): ClientCertificate | undefined {
  return socket instanceof TLSSocket ? clientCertificateOf(socket) : undefined;
}
