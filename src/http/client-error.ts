/** What a connection gets that sent no request: a plain answer where that is possible, else its end. */
import { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errnoOf } from '../lib/errors.ts';

/** How long a client may take to read such an answer. */
const lingerMs = 2_000;

/** The listener of `clientError`, for servers with TLS and without. */
export function answerClientError(error: Error, socket: Duplex): void {
  const code = errnoOf(error) ?? '';
  if (code === 'ERR_SSL_HTTP_REQUEST') {
    answerPlain(socket);
    return;
  }
  // In the middle of a handshake an answer would wait for its end, perhaps for ever.
  if (!socket.writable || isAnswering(socket) || !/^(?:HPE_|ERR_HTTP_)/.test(code)) {
    socket.destroy();
    return;
  }
  const [status, text] = statusOf(code);
  socket.end(answer(status, text));
}

/** An answer has begun: another one would be taken for a part of it, or for that to the next request. */
function isAnswering(socket: Duplex): boolean {
  // As Node's own listener, which has no public way either.
  const message: unknown = Reflect.get(socket, '_httpMessage');
  return message instanceof ServerResponse && message.headersSent;
}

function statusOf(code: string): readonly [string, string] {
  if (code === 'HPE_HEADER_OVERFLOW')
    return ['431 Request Header Fields Too Large', 'the request headers are too large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['408 Request Timeout', 'the request took too long'];
  return ['400 Bad Request', 'not a valid HTTP request'];
}

/** Plain HTTP where TLS is spoken: told in plain HTTP, below the TLS that never began. */
function answerPlain(socket: Duplex): void {
  // Node has no public way from a TLS socket to the one below.
  const below: unknown = Reflect.get(socket, '_parent');
  if (!(below instanceof Socket) || !below.writable) {
    socket.destroy();
    return;
  }
  below.setTimeout(lingerMs, () => below.destroy());
  below.on('error', () => below.destroy());
  below.end(answer('400 Bad Request', 'this port speaks HTTPS only: write https:// in GOPROXY'));
}

function answer(status: string, text: string): string {
  return (
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n` +
    `Content-Length: ${text.length + 1}\r\n\r\n${text}\n`
  );
}
