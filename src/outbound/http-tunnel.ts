/** CONNECT (RFC 9110, 9.3.6): asks an HTTP proxy for a tunnel to one host and port. */
import type { Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { ConnectError } from './connect-error.ts';
import { exchange, type StepLimit } from './connect-steps.ts';
import { hostPort, type OutboundProxy, proxyAuthorization } from './proxy-address.ts';

const maxHeadBytes = 16 * 1024;

/** Resolves when the socket is the tunnel. Rejects with ConnectError `proxy` or `proxy_auth`; the socket is then gone. */
export async function openHttpTunnel(
  socket: Socket,
  target: { readonly host: string; readonly port: number },
  proxy: OutboundProxy,
  limit: StepLimit,
): Promise<void> {
  const authority = hostPort(target.host, target.port);
  const authorization = proxyAuthorization(proxy);
  const head = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  let status: number | undefined;
  try {
    const send = `${head.join('\r\n')}\r\n\r\n`;
    status = await exchange(socket, { send, read: readHead, maxBytes: maxHeadBytes }, limit);
  } catch (error) {
    const text = `the outbound proxy ${proxy.shown} ${messageOf(error)}`;
    throw new ConnectError('proxy', text, { cause: error, isProxyDown: true });
  }
  if (status !== undefined && status >= 200 && status < 300) return;
  socket.destroy();
  throw refusal(status, authority, proxy);
}

function refusal(status: number | undefined, authority: string, proxy: OutboundProxy): ConnectError {
  const who = `the outbound proxy ${proxy.shown}`;
  if (status === undefined) {
    return new ConnectError('proxy', `${who} does not speak HTTP`, { isProxyDown: true });
  }
  if (status === 407) return authenticationFault(proxy);
  const what =
    status === 502 || status === 503 || status === 504 ? 'could not reach' : 'refused the tunnel to';
  return new ConnectError('proxy', `${who} ${what} ${authority}: status ${status}`);
}

/** 407, for a tunnel or a forwarded request. */
export function authenticationFault(proxy: OutboundProxy): ConnectError {
  const what =
    proxy.credentials === undefined
      ? 'wants credentials (407); write them into its address, http://USER:PASSWORD@HOST:PORT'
      : 'does not accept these credentials (407); correct those in its address';
  return new ConnectError('proxy_auth', `the outbound proxy ${proxy.shown} ${what}`);
}

/** The status; undefined when it is no HTTP. Interim answers are skipped. */
function readHead(
  received: Buffer,
): { readonly reply: number | undefined; readonly usedBytes: number } | undefined {
  let startByte = 0;
  for (;;) {
    const text = received.toString('latin1', startByte);
    if (text.length >= 9 && !/^HTTP\/1\.[01] /.test(text)) {
      return { reply: undefined, usedBytes: received.length };
    }
    const end = /\r?\n\r?\n/.exec(text);
    if (end === null) return undefined;
    const status = /^HTTP\/1\.[01] (\d{3})(?:[ \r\n]|$)/.exec(text)?.[1];
    const nextByte = startByte + end.index + end[0].length;
    if (status?.startsWith('1') !== true) {
      return { reply: status === undefined ? undefined : Number(status), usedBytes: nextByte };
    }
    startByte = nextByte;
  }
}
