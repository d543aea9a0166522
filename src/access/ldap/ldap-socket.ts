/**
 * One connection to an LDAP server, up to and including TLS. The StartTLS exchange is made here, on the bare socket:
 * whatever a listener in between appends to the server's answer would otherwise wait in the client's buffer and be
 * taken for what the server says under TLS.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { reasonOf } from '../../lib/abort.ts';
import { bareHost } from '../../outbound/network-address.ts';

export interface LdapSocketOptions {
  readonly url: URL;
  readonly startTls: boolean;
  readonly secureContext: () => SecureContext;
  readonly signal: AbortSignal;
}

/** Resolves to an open socket, encrypted where the options say so. Rejects with the system's error or the signal's reason. */
export async function openLdapSocket(options: LdapSocketOptions): Promise<Socket> {
  const { url, startTls, signal } = options;
  const isTls = url.protocol === 'ldaps:';
  const host = bareHost(url.hostname);
  const socket = connectTcp({ host, port: Number(url.port || (isTls ? 636 : 389)) });
  // Between two steps nobody else listens; the step that comes next finds the socket closed.
  socket.on('error', () => {});
  await settled(socket, 'connect', signal);
  socket.setNoDelay(true);
  if (!isTls && !startTls) return socket;
  if (!isTls) await askForTls(socket, signal);
  const secured = connectTls({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    secureContext: options.secureContext(),
  });
  secured.on('error', () => {});
  try {
    await settled(secured, 'secureConnect', signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return secured;
}

/** Waits for one event of a socket. Destroys it when it fails or the asker leaves. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    function end(failure: Error | undefined): void {
      signal.removeEventListener('abort', onAbort);
      socket.off(event, onDone).off('close', onClose).off('error', end);
      if (failure === undefined) {
        resolve();
        return;
      }
      socket.destroy();
      reject(failure);
    }
    const onDone = (): void => end(undefined);
    const onClose = (): void => end(new Error('the server closed the connection'));
    const onAbort = (): void => end(reasonOf(signal));
    socket.once(event, onDone).once('close', onClose).once('error', end);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

const startTlsOid = '1.3.6.1.4.1.1466.20037';
const maxAnswerBytes = 4096;

/** RFC 4511, 4.14: an extended request with the name alone; message 1. */
const startTlsRequest = Buffer.concat([
  Buffer.from([
    0x30,
    5 + startTlsOid.length + 2,
    0x02,
    1,
    1,
    0x77,
    startTlsOid.length + 2,
    0x80,
    startTlsOid.length,
  ]),
  Buffer.from(startTlsOid),
]);

function askForTls(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    function end(failure: Error | undefined): void {
      signal.removeEventListener('abort', onAbort);
      socket.pause();
      socket.off('data', onData).off('close', onClose).off('error', end);
      if (failure === undefined) {
        resolve();
        return;
      }
      socket.destroy();
      reject(failure);
    }
    function onData(chunk: Buffer): void {
      received = Buffer.concat([received, chunk]);
      const verdict = startTlsVerdict(received);
      if (verdict !== 'more') end(verdict === 'yes' ? undefined : new Error(verdict));
    }
    const onClose = (): void => end(new Error('the server closed the connection'));
    const onAbort = (): void => end(reasonOf(signal));
    socket.on('data', onData).once('close', onClose).once('error', end);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else socket.write(startTlsRequest);
  });
}

/** `yes`, `more` (bytes are needed), or why not. Exactly one whole answer is accepted, and not a byte behind it. */
export function startTlsVerdict(received: Buffer): 'yes' | 'more' | (string & {}) {
  const garbled = 'the server answered StartTLS with something that is no LDAP';
  if (received.length > maxAnswerBytes || (received.length > 0 && received[0] !== 0x30)) return garbled;
  const message = element(received, 0);
  if (message === undefined) return 'more';
  if (message.end > maxAnswerBytes) return garbled;
  if (received.length < message.end) return 'more';
  if (received.length > message.end)
    return 'somebody sent more behind the answer to StartTLS; the connection is not safe';
  const id = element(received, message.start);
  const answer = id === undefined ? undefined : element(received, id.end);
  const result = answer === undefined ? undefined : element(received, answer.start);
  if (id === undefined || answer === undefined || result === undefined) return garbled;
  const isOurs = received[message.start] === 0x02 && id.end - id.start === 1 && received[id.start] === 1;
  const isAnswer =
    received[id.end] === 0x78 && received[answer.start] === 0x0a && result.end - result.start === 1;
  if (!isOurs || !isAnswer || answer.end > message.end || result.end > answer.end) return garbled;
  const code = received[result.start] ?? -1;
  return code === 0 ? 'yes' : `the server refuses StartTLS (result code ${code})`;
}

/** Where the content of the BER element at `at` starts and ends; undefined when its head is not there yet. */
function element(bytes: Buffer, at: number): { readonly start: number; readonly end: number } | undefined {
  const first = bytes[at + 1];
  if (first === undefined) return undefined;
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) return { start: at + 2, end: Number.POSITIVE_INFINITY };
  if (bytes.length < at + 2 + count) return undefined;
  const start = at + 2 + count;
  return { start, end: start + bytes.readUIntBE(at + 2, count) };
}
