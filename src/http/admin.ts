/**
 * The local admin socket: what the CLI asks of a running process. Reachable only by who may open the socket file
 * (mode 0600 in the data folder), so it needs no credentials of its own. JSON in, JSON out.
 */

import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { ModferryError, messageOf } from '../lib/errors.ts';

export interface AdminActions {
  status(): Promise<object>;
  purge(ask: { module: string; version?: string }): Promise<object>;
  reload(): Promise<object>;
}

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
  try {
    const result = await act(request, actions);
    if (result === undefined) {
      send(response, 404, {
        error: { code: 'unknown_action', message: `no action ${request.method} ${request.url}` },
      });
    } else {
      send(response, 200, result);
    }
  } catch (error) {
    const code = error instanceof ModferryError ? error.code : 'internal';
    send(response, 400, { error: { code, message: messageOf(error, 2_000) } });
  }
}

async function act(request: IncomingMessage, actions: AdminActions): Promise<object | undefined> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /status':
      return actions.status();
    case 'POST /reload':
      return actions.reload();
    case 'POST /purge': {
      const body = await readJson(request);
      const { module, version } = body;
      if (typeof module !== 'string' || (version !== undefined && typeof version !== 'string')) {
        throw new ModferryError('bad_request', 'purge needs {"module": …, "version": … (optional)}');
      }
      return actions.purge(version === undefined ? { module } : { module, version });
    }
    default:
      return undefined;
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
  const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null)
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
