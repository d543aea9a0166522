/**
 * A Git server for tests: the real `git http-backend` (smart HTTP) behind node:http(s) on 127.0.0.1, over a folder of
 * bare repositories (see `git-repo.ts`). It asks for credentials, refuses, redirects, stalls and cuts as a test says,
 * and keeps a record of every request. It does not import vitest, because the bench uses it too.
 *
 *     await using server = await startGitServer({ root: dir.path });
 *     await makeGitRepo(join(dir.path, 'team/lib.git'), [...]);
 *     // clone `${server.url}/team/lib.git` (or without `.git`)
 *     server.access = { kind: 'basic', username: 'u', password: 'p' };
 *     server.fault = { kind: 'cut', when: 'fetch', afterBytes: 1000 };
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import type { Gate } from './faults.ts';
import { signalGroup } from './process-group.ts';
import { listenOn } from './tcp-server.ts';
import type { Certificate } from './tls.ts';

/** Who may come in. `expired`: everybody gets 401, whatever they bring. */
export type GitAccess =
  | { readonly kind: 'open' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'expired' };

/** Which requests a fault hits: the advertisement, the list of refs, or packs (fetches of missing blobs too). */
export type GitRequestKind = 'advertise' | 'refs' | 'fetch';

export type GitFault = {
  /** Default: every request. */
  readonly when?: GitRequestKind;
} & (
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  /** To the same path on another server (`http://127.0.0.1:PORT`), or wherever `to` gives. */
  | { readonly kind: 'redirect'; readonly to: string | ((path: string) => string); readonly status?: number }
  /** Sends so much of the body (0: not even the status line), then nothing; `gate.reached` tells when. Ends when it opens. */
  | { readonly kind: 'stall'; readonly afterBytes: number; readonly gate?: Gate }
  /** Destroys the connection after so much of the body (0: before the status line). */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** So slow: sends this many bytes of the body at a time, with a pause of `pauseMs` behind each. */
  | { readonly kind: 'drip'; readonly bytes: number; readonly pauseMs: number }
);

export interface GitServerRequest {
  readonly method: string;
  /** As it was sent, with its query. */
  readonly url: string;
  /** Without its query. */
  readonly path: string;
  readonly kind: GitRequestKind;
  /** The header; undefined: none came. */
  readonly authorization: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Decoded. */
  readonly body: string;
  /** 0 until it is answered. */
  readonly status: number;
}

/** What a test answers by itself, e.g. `?go-get=1` pages. */
export interface GitServerAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface GitServerOptions {
  /** Folder of the bare repositories; a path in a URL is one in it. Repositories may come and go. */
  readonly root: string;
  readonly access?: GitAccess;
  /** Partial clones. Default true. */
  readonly allowFilter?: boolean;
  /** Whether any commit may be asked for by its hash, reachable or not. Default false, as most servers have it. */
  readonly allowAnyHash?: boolean;
  /** Speaks https with this certificate. */
  readonly tls?: Certificate;
  /** Asked before everything else, credentials too; undefined: go on as usual. */
  readonly answer?: (request: GitServerRequest) => GitServerAnswer | undefined;
}

export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** All of these may be changed at any time; they count from the next request on. */
  access: GitAccess;
  fault: GitFault | undefined;
  allowFilter: boolean;
  allowAnyHash: boolean;
  /** Oldest first. `requests.length = 0` forgets them. */
  readonly requests: GitServerRequest[];
  count(kind: GitRequestKind): number;
  /** Destroys all connections, ends its git processes and stops. Idempotent. */
  readonly close: () => Promise<void>;
}

/** Starts one. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const children = new Set<ReturnType<typeof spawn>>();
  const state = {
    access: options.access ?? { kind: 'open' },
    fault: undefined,
    allowFilter: options.allowFilter ?? true,
    allowAnyHash: options.allowAnyHash ?? false,
    requests: [],
  } as Pick<GitServer, 'access' | 'fault' | 'allowFilter' | 'allowAnyHash' | 'requests'>;

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch(() => response.destroy());
  };
  const server =
    options.tls === undefined
      ? createServer(onRequest)
      : createTlsServer({ cert: options.tls.cert, key: options.tls.key }, onRequest);
  const { port, close } = await listenOn(server);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await buffer(request);
    const record = recordOf(request, raw);
    state.requests.push(record);
    response.once('finish', () => Object.assign(record, { status: response.statusCode }));
    const own = options.answer?.(record);
    if (own !== undefined) {
      response.writeHead(own.status, own.headers ?? { 'Content-Type': 'text/html' }).end(own.body ?? '');
      return;
    }
    const fault = state.fault;
    const isHit = fault !== undefined && (fault.when === undefined || fault.when === record.kind);
    if (isHit && fault.kind === 'redirect') {
      const to = typeof fault.to === 'string' ? `${fault.to}${record.url}` : fault.to(record.url);
      response.writeHead(fault.status ?? 302, { Location: to }).end();
      return;
    }
    if (!isAllowed(state.access, record.authorization)) {
      const scheme = state.access.kind === 'bearer' ? 'Bearer' : 'Basic';
      response.writeHead(401, { 'WWW-Authenticate': `${scheme} realm="git"` }).end('no\n');
      return;
    }
    if (isHit && fault.kind === 'status') {
      response.writeHead(fault.status, { 'Content-Type': 'text/plain' }).end(fault.body ?? 'no\n');
      return;
    }
    await sendFaulty(response, await backend(record, request, raw), isHit ? fault : undefined);
  }

  /** One run of the CGI; its whole answer. */
  async function backend(record: GitServerRequest, request: IncomingMessage, raw: Buffer): Promise<Buffer> {
    const child = spawn('git', ['http-backend'], { env: cgiEnv(record, request, raw), detached: true });
    children.add(child);
    child.once('close', () => children.delete(child));
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    child.stdin.end(raw);
    child.stderr.resume();
    return await buffer(child.stdout);
  }

  function cgiEnv(record: GitServerRequest, request: IncomingMessage, raw: Buffer): NodeJS.ProcessEnv {
    const path = record.path;
    const repository = path.replace(/\/(?:info\/refs|git-upload-pack|git-receive-pack)$/, '');
    const hasSuffix = repository.endsWith('.git') || existsSync(join(options.root, repository));
    const config = {
      'uploadpack.allowFilter': String(state.allowFilter),
      'uploadpack.allowAnySHA1InWant': String(state.allowAnyHash),
      'safe.directory': '*',
    };
    return {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_COUNT: String(Object.keys(config).length),
      ...Object.fromEntries(
        Object.entries(config).flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
      GIT_PROJECT_ROOT: options.root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: hasSuffix ? path : `${repository}.git${path.slice(repository.length)}`,
      QUERY_STRING: record.url.includes('?') ? record.url.slice(record.url.indexOf('?') + 1) : '',
      REQUEST_METHOD: record.method,
      REMOTE_ADDR: '127.0.0.1',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: String(raw.length),
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    };
  }

  const closeAll = async (): Promise<void> => {
    for (const child of children) signalGroup(child, 'SIGKILL');
    await close();
  };
  return Object.assign(state, {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    count: (kind: GitRequestKind) => state.requests.filter((request) => request.kind === kind).length,
    close: closeAll,
    [Symbol.asyncDispose]: closeAll,
  });
}

function recordOf(request: IncomingMessage, raw: Buffer): GitServerRequest {
  const url = request.url ?? '/';
  const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
  const body = bytes.toString('latin1');
  return {
    method: request.method ?? '',
    url,
    path: url.replace(/\?.*$/, ''),
    kind: request.method !== 'POST' ? 'advertise' : body.includes('command=ls-refs') ? 'refs' : 'fetch',
    authorization: request.headers.authorization,
    headers: request.headers,
    body,
    status: 0,
  };
}

function isAllowed(access: GitAccess, authorization: string | undefined): boolean {
  if (access.kind === 'open') return true;
  if (access.kind === 'expired') return false;
  const expected =
    access.kind === 'bearer'
      ? `Bearer ${access.token}`
      : `Basic ${Buffer.from(`${access.username}:${access.password}`).toString('base64')}`;
  return authorization === expected;
}

/** Takes a CGI answer apart and sends it, with what goes wrong. */
async function sendFaulty(response: ServerResponse, cgi: Buffer, fault: GitFault | undefined): Promise<void> {
  const end = cgi.indexOf('\r\n\r\n');
  const head = end < 0 ? [] : cgi.toString('latin1', 0, end).split('\r\n');
  const body = end < 0 ? Buffer.alloc(0) : cgi.subarray(end + 4);
  const fields = head.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]);
  const status = fields.find(([name]) => name === 'Status')?.[1];
  const code = end < 0 ? 500 : status === undefined ? 200 : Number.parseInt(status, 10);
  const headers = Object.fromEntries(fields.filter(([name]) => name !== 'Status'));
  if (fault?.kind === 'stall' || fault?.kind === 'cut') {
    if (fault.afterBytes > 0) {
      response.writeHead(code, headers);
      await new Promise((sent) => response.write(body.subarray(0, fault.afterBytes), sent));
    }
    if (fault.kind === 'cut') {
      response.destroy();
      return;
    }
    const closed = new Promise((resolve) => response.once('close', resolve));
    await Promise.race([closed, fault.gate?.pass() ?? closed]);
    response.destroy();
    return;
  }
  response.writeHead(code, headers);
  if (fault?.kind === 'drip') {
    for (let at = 0; at < body.length && !response.destroyed; at += fault.bytes) {
      response.write(body.subarray(at, at + fault.bytes));
      await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
    }
    response.end();
    return;
  }
  response.end(body);
}
