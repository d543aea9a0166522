/** SOCKS version 5 (RFC 1928) with user and password (RFC 1929). Names are sent as they are: the proxy resolves them. */
import { isIP, type Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { ConnectError } from './connect-error.ts';
import { exchange, type StepLimit } from './connect-steps.ts';
import { hostPort, type OutboundProxy } from './proxy-address.ts';

const version = 5;
const noMethod = 0xff;
const byPassword = 2;

const replies: Readonly<Record<number, string>> = {
  1: 'general failure',
  2: 'not allowed by its rules',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'time to live expired',
  7: 'command not supported',
  8: 'kind of address not supported',
};

/**
 * Resolves when the socket leads to the target. Rejects with ConnectError `proxy`, `proxy_auth`, or `connect` when
 * the proxy says that the target cannot be reached; the socket is then gone.
 */
export async function openSocks5(
  socket: Socket,
  target: { readonly host: string; readonly port: number },
  proxy: OutboundProxy,
  limit: StepLimit,
): Promise<void> {
  const who = `the outbound proxy ${proxy.shown}`;
  let reply: number;
  try {
    await greet(socket, proxy, limit);
    const send = connectCommand(target.host, target.port);
    reply = await exchange(socket, { send, read: readReply, maxBytes: 300 }, limit);
  } catch (error) {
    socket.destroy();
    if (error instanceof ConnectError) throw error;
    const text = `${who} ${messageOf(error)}`;
    throw new ConnectError('proxy', text, { cause: error, isProxyDown: true });
  }
  if (reply === 0) return;
  socket.destroy();
  const reason = `${replies[reply] ?? 'unknown reply'} (${reply})`;
  if (reply >= 3 && reply <= 6) throw new ConnectError('connect', `no connection: ${reason}, says ${who}`);
  const text = `${who} refused ${hostPort(target.host, target.port)}: ${reason}`;
  throw new ConnectError('proxy', text, { isProxyDown: reply === 7 });
}

async function greet(socket: Socket, proxy: OutboundProxy, limit: StepLimit): Promise<void> {
  const { credentials } = proxy;
  const methods = credentials === undefined ? [0] : [0, byPassword];
  const send = Buffer.from([version, methods.length, ...methods]);
  const method = await exchange(socket, { send, read: twoBytes(version), maxBytes: 2 }, limit);
  if (method === 0) return;
  if (method === byPassword && credentials !== undefined) {
    const username = Buffer.from(credentials.username);
    const password = Buffer.from(credentials.password.reveal());
    const login = Buffer.concat([
      Buffer.from([1, username.length]),
      username,
      Buffer.from([password.length]),
      password,
    ]);
    if ((await exchange(socket, { send: login, read: twoBytes(1), maxBytes: 2 }, limit)) === 0) return;
  } else if (method !== noMethod) {
    throw new Error(`chose a way to log in that was not offered (${method})`);
  }
  const what =
    credentials === undefined
      ? 'wants credentials; write them into its address, socks5://USER:PASSWORD@HOST:PORT'
      : 'does not accept these credentials; correct those in its address';
  throw new ConnectError('proxy_auth', `the outbound proxy ${proxy.shown} ${what}`);
}

type Read<Reply> = { readonly reply: Reply; readonly usedBytes: number } | undefined;

/** Both answers of the greeting: a version, then the value. */
function twoBytes(expectedVersion: number): (received: Buffer) => Read<number> {
  return (received) => {
    const [first, second] = received;
    if (first !== undefined && first !== expectedVersion) throw new Error('does not speak SOCKS5');
    return second === undefined ? undefined : { reply: second, usedBytes: 2 };
  };
}

function connectCommand(host: string, port: number): Buffer {
  return Buffer.concat([Buffer.from([version, 1, 0]), addressOf(host), Buffer.from([port >> 8, port & 255])]);
}

/** Kind and bytes of an address. */
function addressOf(host: string): Buffer {
  const family = isIP(host);
  if (family === 4) return Buffer.from([1, ...host.split('.').map(Number)]);
  if (family === 6) return Buffer.concat([Buffer.from([4]), ipv6Bytes(host)]);
  const name = Buffer.from(host);
  if (name.length > 255) throw new ConnectError('connect', 'no connection: its name is too long for SOCKS5');
  return Buffer.concat([Buffer.from([3, name.length]), name]);
}

/** Of an address as URLs have it: hex groups, at most one `::`. */
function ipv6Bytes(address: string): Buffer {
  const [left = '', right] = address.split('::');
  const groupsOf = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const head = groupsOf(left);
  const tail = right === undefined ? [] : groupsOf(right);
  const gap = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return Buffer.from([...head, ...gap, ...tail].flatMap((group) => [group >> 8, group & 255]));
}

function readReply(received: Buffer): Read<number> {
  const [first, code, , kind, nameBytes] = received;
  if (first !== undefined && first !== version) throw new Error('does not speak SOCKS5');
  if (code === undefined) return undefined;
  // Some end with the code when they refuse: the address behind it says nothing then.
  if (code !== 0) return { reply: code, usedBytes: received.length };
  if (kind === undefined || nameBytes === undefined) return undefined;
  const addressBytes = kind === 1 ? 4 : kind === 4 ? 16 : kind === 3 ? nameBytes + 1 : undefined;
  if (addressBytes === undefined) throw new Error('sent an unknown kind of address');
  const usedBytes = 4 + addressBytes + 2;
  return received.length < usedBytes ? undefined : { reply: 0, usedBytes };
}
