/**
 * Speaks to running modferry processes through their admin sockets. A socket whose process is gone is passed over:
 * any live process on the folder will do, because purges reach all of them through the store's journal.
 */
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join, resolve as resolvePath } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { CliError } from './cli-error.ts';

const defaultTimeoutMs = 30_000;
const maxAnswerBytes = 1024 * 1024;

export interface AdminTarget {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** How long the process may be silent. Default 30 000. */
  readonly timeoutMs?: number | undefined;
  /** Its abort breaks the question off. */
  readonly signal?: AbortSignal | undefined;
}

/** `setting` is the configured admin socket: `auto`, `off` or a path. Resolves to candidates, best first. */
export async function adminSockets(dataDir: string, setting: string, cwd: string): Promise<string[]> {
  if (setting === 'off') return [];
  if (setting !== 'auto') return [resolvePath(cwd, setting)];
  const run = join(dataDir, 'run');
  const names = await readdir(run).catch(() => []);
  return names.map((name) => join(run, name, 'admin.sock'));
}

/**
 * Asks the first live process. Resolves to its answer, undefined when nobody listens on any of the sockets. Rejects
 * with CliError `failed` when a process refuses or breaks off.
 */
export async function askRunning(
  sockets: readonly string[],
  target: AdminTarget,
  body: object,
): Promise<Record<string, unknown> | undefined> {
  for (const socketPath of sockets) {
    try {
      return await ask(socketPath, target, JSON.stringify(body));
    } catch (error) {
      if (!isNobodyThere(error)) throw failure(error);
    }
  }
  return undefined;
}

/** Asks every live process. Resolves to their answers, an empty list when there is none. Rejects as `askRunning`. */
export async function askAllRunning(
  sockets: readonly string[],
  target: AdminTarget,
  body: object,
): Promise<Record<string, unknown>[]> {
  const answers = await Promise.all(sockets.map((socket) => askRunning([socket], target, body)));
  return answers.filter((answer) => answer !== undefined);
}

function isNobodyThere(error: unknown): boolean {
  return ['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'].includes(errnoOf(error) ?? '');
}

function failure(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (errnoOf(error) === 'EACCES') {
    const advice = 'run this command as the user that runs modferry';
    return new CliError('failed', `the running modferry does not let this user in; ${advice}`, {
      cause: error,
    });
  }
  const what = error instanceof Error ? error.message : String(error);
  return new CliError('failed', `the running modferry did not answer (${what}); look at its log`, {
    cause: error,
  });
}

function ask(
  socketPath: string,
  { method, path, timeoutMs = defaultTimeoutMs, signal }: AdminTarget,
  body: string,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const target = { method, path };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = { socketPath, ...target, headers, timeout: timeoutMs, agent: false, signal };
    const asked = request(options, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) answer.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      answer.on('error', reject);
      answer.on('end', () => {
        try {
          resolve(readAnswer(answer.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

function readAnswer(status: number, text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error('its answer is no JSON object');
  const fields = value as Record<string, unknown>;
  if (status === 200) return fields;
  const { error } = fields;
  const said =
    typeof error === 'object' && error !== null && 'message' in error
      ? String(error.message)
      : `status ${status}`;
  throw new CliError('failed', `the running modferry refused: ${said}`);
}
