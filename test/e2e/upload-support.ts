/** What the tests of uploads share: tokens, and PUT and DELETE by hand. */
import { mkdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { createToken } from '../../src/access/tokens/token-orders.ts';
import type { Scopes } from '../../src/access/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { escapeName } from '../kit/go-names.ts';
import { type Answer, type AskOptions, ask } from './support.ts';

/** A token in the folder of a modferry that is not started yet: one that runs learns of it within seconds. */
export async function tokenIn(dataDir: string, name: string, scopes: Partial<Scopes>): Promise<string> {
  await mkdir(join(dataDir, 'meta'), { recursive: true });
  const all: Scopes = { read: ['*'], publish: [], admin: false, ...scopes };
  const order = { name, scopes: all, groups: [], expiresAtMs: undefined };
  return (await createToken(dataDir, systemClock, order, 'local')).token;
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** GET with a token. */
export function askAs(token: string, base: string, path: string, options: AskOptions = {}): Promise<Answer> {
  return ask(base, path, { ...options, headers: { ...options.headers, ...bearer(token) } });
}

export interface Upload {
  readonly path: string;
  readonly version: string;
  readonly zip: Buffer;
}

/** Path of the zip of a module. */
export function zipPath({ path, version }: Pick<Upload, 'path' | 'version'>): string {
  return `/${escapeName(path)}/@v/${escapeName(version)}.zip`;
}

/** PUT of the whole zip on a connection of its own; status 0 when the connection ended before an answer. */
export function put(
  base: string,
  token: string,
  upload: Upload,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const { zip } = upload;
  return new Promise((resolve) => {
    const nothing = { status: 0, headers: {}, body: Buffer.alloc(0), text: '', complete: false };
    const sent = request(
      {
        hostname,
        port,
        path: zipPath(upload),
        method: 'PUT',
        headers: { ...bearer(token), 'content-length': zip.length, ...headers },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => {});
        response.on('close', () => {
          const body = Buffer.concat(chunks);
          const { statusCode: status = 0, headers: answered, complete } = response;
          resolve({ status, headers: answered, body, text: body.toString('utf8'), complete });
        });
      },
    );
    sent.on('error', () => resolve(nothing));
    sent.end(zip);
  });
}
