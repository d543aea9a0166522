/**
 * The local admin socket: what the CLI asks of a running process. Reachable only by who may open the socket file
 * (mode 0600 in the data folder), so it needs no credentials of its own. JSON in, JSON out.
 */

import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { ModferryError, messageOf } from '../lib/errors.ts';

/**
 * Gets the JSON object that was posted, or the query of a GET as text values. What it rejects with is told to the
 * asker: a ModferryError with its code.
 */
export type AdminAction = (ask: Readonly<Record<string, unknown>>) => Promise<object>;

/** By method and path, e.g. `POST /purge`. */
export type AdminActions = Readonly<Record<string, AdminAction>>;

export interface AdminSocket {
  readonly path: string;
  close(): Promise<void>;
}

const maxBodyBytes = 64 * 1024;

/** Rejects with the system's error when the socket cannot be made. */
export async function listenAdmin(path: string, actions: AdminActions): Promise<AdminSocket> {
  const server = createServer((request, response) => {
    answer(request, response, actions).catch(() => response.destroy());
  });
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  // The process must be able to end while a CLI keeps its connection open.
  server.unref();
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  actions: AdminActions,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://admin');
  const name = `${request.method} ${pathname}`;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined) {
    send(response, 404, { error: { code: 'unknown_action', message: `no action ${name}` } });
    return;
  }
  try {
    const ask = request.method === 'GET' ? Object.fromEntries(searchParams) : await readJson(request);
    send(response, 200, await action(ask));
  } catch (error) {
    const code = error instanceof ModferryError ? error.code : 'internal';
    send(response, 400, { error: { code, message: messageOf(error, 2_000) } });
  }
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new ModferryError('bad_request', 'the body is too large');
    chunks.push(chunk);
  }
  if (size === 0) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new ModferryError('bad_request', 'the body is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ModferryError('bad_request', 'expected a JSON object');
  return parsed as Record<string, unknown>;
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
