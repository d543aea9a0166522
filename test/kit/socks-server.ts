/**
 * A SOCKS5 server for tests: with or without user and password, refusing or hanging. It notes each target as the
 * client wrote it, so that a test sees who resolved a name. Every name leads to 127.0.0.1, or where `ports` says.
 */
import { createServer, type Socket } from 'node:net';
import { joinTo, listenOn } from './tcp-server.ts';

export type SocksFault =
  | { readonly kind: 'reply'; readonly code: number } // refuses the target
  | { readonly kind: 'hang'; readonly at: 'greeting' | 'login' | 'connect' }
  | { readonly kind: 'cut'; readonly at: 'greeting' | 'login' | 'connect' }
  | { readonly kind: 'bytes'; readonly text: string }; // instead of the greeting's answer

export interface SocksServerOptions {
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Where `host:port` leads instead of that port of 127.0.0.1. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly fault?: SocksFault;
}

export interface SocksTarget {
  readonly kind: 'ipv4' | 'name' | 'ipv6';
  /** IPv6 as eight groups. */
  readonly host: string;
  readonly port: number;
}

export interface SocksServer extends AsyncDisposable {
  /** `socks5://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly targets: readonly SocksTarget[];
  readonly close: () => Promise<void>;
}

export async function startSocksServer(options: SocksServerOptions = {}): Promise<SocksServer> {
  const targets: SocksTarget[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    serve(socket, options, targets).catch(() => socket.destroy());
  });
  const { port, close } = await listenOn(server);
  return { url: `socks5://127.0.0.1:${port}`, port, targets, close, [Symbol.asyncDispose]: close };
}

async function serve(socket: Socket, options: SocksServerOptions, targets: SocksTarget[]): Promise<void> {
  const { credentials, fault, ports = {} } = options;
  const take = reader(socket);
  /** True when the fault has taken over. */
  const fails = (at: string): boolean => {
    if (fault?.kind === 'cut' && fault.at === at) socket.end();
    return (fault?.kind === 'cut' || fault?.kind === 'hang') && fault.at === at;
  };

  const [, methodCount = 0] = await take(2);
  const methods = await take(methodCount);
  if (fault?.kind === 'bytes') return void socket.end(fault.text);
  if (fails('greeting')) return;
  const wanted = credentials === undefined ? 0 : 2;
  if (!methods.includes(wanted)) return void socket.end(Buffer.from([5, 0xff]));
  socket.write(Buffer.from([5, wanted]));
  if (credentials !== undefined) {
    const [, nameBytes = 0] = await take(2);
    const username = (await take(nameBytes)).toString();
    const [passwordBytes = 0] = await take(1);
    const password = (await take(passwordBytes)).toString();
    if (fails('login')) return;
    const isRight = username === credentials.username && password === credentials.password;
    if (!isRight) return void socket.end(Buffer.from([1, 1]));
    socket.write(Buffer.from([1, 0]));
  }
  const [, , , kind = 0] = await take(4);
  const target = await readTarget(kind, take);
  targets.push(target);
  if (fails('connect')) return;
  const reply = (code: number): Buffer => Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
  if (fault?.kind === 'reply') return void socket.end(reply(fault.code));
  const port = ports[`${target.host}:${target.port}`] ?? target.port;
  joinTo(
    port,
    socket,
    () => socket.write(reply(0)),
    () => socket.end(reply(5)),
  );
}

type Take = (bytes: number) => Promise<Buffer>;

async function readTarget(kind: number, take: Take): Promise<SocksTarget> {
  const lengthBytes = kind === 3 ? ((await take(1))[0] ?? 0) : kind === 4 ? 16 : 4;
  const address = await take(lengthBytes);
  const port = (await take(2)).readUInt16BE(0);
  if (kind === 3) return { kind: 'name', host: address.toString(), port };
  if (kind === 4) {
    const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(index * 2).toString(16));
    return { kind: 'ipv6', host: groups.join(':'), port };
  }
  return { kind: 'ipv4', host: address.join('.'), port };
}

/** Exactly so many bytes, never more than asked for: what follows belongs to the tunnel. */
function reader(socket: Socket): Take {
  return (bytes) =>
    new Promise((resolve, reject) => {
      const stop = (): void => void socket.off('readable', look).off('end', leave).off('close', leave);
      const leave = (): void => {
        stop();
        reject(new Error('closed'));
      };
      const look = (): void => {
        const found: unknown = bytes === 0 ? Buffer.alloc(0) : socket.read(bytes);
        if (found === null) return;
        stop();
        resolve(found as Buffer);
      };
      socket.on('readable', look).on('end', leave).on('close', leave);
      look();
    });
}
