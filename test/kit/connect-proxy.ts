/**
 * A forward HTTP proxy for tests, in the clear or in TLS: tunnels for CONNECT, forwards requests for plain http, wants
 * credentials, and commits faults. Every name leads to 127.0.0.1, or where `ports` says.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { joinTo, listenOn } from './tcp-server.ts';

export type ProxyFault =
  | { readonly kind: 'status'; readonly status: number } // refuses with it
  | { readonly kind: 'hang' } // accepts and never answers
  | { readonly kind: 'cut' } // closes instead of answering
  | { readonly kind: 'bytes'; readonly text: string }; // answers with these

export interface ConnectProxyOptions {
  /** Wanted as Basic credentials; 407 without. Default: nobody is asked. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Where `host:port` leads instead of that port of 127.0.0.1. */
  readonly ports?: Readonly<Record<string, number>>;
  /** TLS to the proxy itself. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly fault?: ProxyFault;
}

/** One request as it came. */
export interface ProxyRequest {
  readonly method: string;
  /** `host:port` of a tunnel, the whole URL of a forwarded request. */
  readonly target: string;
  readonly authorization: string | undefined;
}

export interface ConnectProxy extends AsyncDisposable {
  /** Without credentials and without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly ProxyRequest[];
  /** From the next request on; undefined: well again. */
  setFault(fault: ProxyFault | undefined): void;
  readonly close: () => Promise<void>;
}

export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const { credentials, ports = {}, tls } = options;
  const requests: ProxyRequest[] = [];
  let { fault } = options;
  const server = tls === undefined ? createServer() : createTlsServer({ cert: tls.cert, key: tls.key });

  /** Notes the request; the status to refuse with, undefined when it may go on, 'done' when the fault has it. */
  function admit(request: IncomingMessage, socket: Socket): number | 'done' | undefined {
    const authorization = request.headers['proxy-authorization'];
    requests.push({ method: request.method ?? '', target: request.url ?? '', authorization });
    if (fault?.kind === 'hang') return 'done';
    if (fault?.kind === 'cut' || fault?.kind === 'bytes') {
      socket.end(fault.kind === 'bytes' ? fault.text : '');
      return 'done';
    }
    if (fault?.kind === 'status') return fault.status;
    return isAdmitted(authorization, credentials) ? undefined : 407;
  }

  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => {});
    // What the client sent without waiting belongs to the tunnel.
    if (head.length > 0) socket.unshift(head);
    const refused = admit(request, socket);
    if (refused === 'done') return;
    if (refused !== undefined) {
      socket.end(`HTTP/1.1 ${refused} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    joinTo(
      portOf(request.url ?? '', ports),
      socket,
      () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'),
      () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'),
    );
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const refused = admit(request, request.socket);
    if (refused === 'done') return;
    if (refused !== undefined) {
      response.writeHead(refused).end();
      return;
    }
    forward(request, response, ports);
  });

  const { port, close } = await listenOn(server);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    setFault: (next) => {
      fault = next;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isAdmitted(given: string | undefined, wanted: ConnectProxyOptions['credentials']): boolean {
  if (wanted === undefined) return true;
  const pair = Buffer.from(`${wanted.username}:${wanted.password}`).toString('base64');
  return given === `Basic ${pair}`;
}

function portOf(target: string, ports: Readonly<Record<string, number>>): number {
  return ports[target] ?? Number(/:(\d+)$/.exec(target)?.[1] ?? 80);
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  ports: Readonly<Record<string, number>>,
): void {
  const url = new URL(request.url ?? '');
  const target = `${url.hostname}:${url.port === '' ? 80 : url.port}`;
  const { 'proxy-authorization': _credentials, ...headers } = request.headers;
  const onward = httpRequest(
    { port: portOf(target, ports), path: `${url.pathname}${url.search}`, method: request.method, headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  onward.end();
}
