/**
 * What the end-to-end and fault tests share: an HTTP client that hides nothing (no redirects, no pooling, cut
 * bodies told), commands of `bin/modferry` run to their end, and starters that clean up after the test.
 */
import { spawn } from 'node:child_process';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { compileCache } from '../kit/compile-cache.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type ModferryProcess, type StartModferryOptions, startModferry } from '../kit/modferry-process.ts';
import { signalGroup } from '../kit/process-group.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';

export interface AskOptions {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole answer. Default 20 000. */
  readonly timeoutMs?: number;
  /** Leaves: the connection is destroyed and the answer is what came until then. */
  readonly signal?: AbortSignal;
  /** Called with each piece as it comes, and how many bytes have come so far. */
  readonly onData?: (chunk: Buffer, totalBytes: number) => void;
  /** Called when the status line is there. */
  readonly onHead?: (status: number) => void;
}

export interface Answer {
  /** 0 when the connection ended before a status line. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** False when the transfer was cut. */
  readonly complete: boolean;
}

/** One request on a connection of its own; the path is sent as it stands. Rejects only when time is up. */
export function ask(base: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, timeoutMs = 20_000, signal } = options;
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let answered: IncomingHttpHeaders = {};
    const finish = (complete: boolean): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
      const body = Buffer.concat(chunks);
      resolve({ status, headers: answered, body, text: body.toString('utf8'), complete });
    };
    const asked = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      status = response.statusCode ?? 0;
      answered = response.headers;
      options.onHead?.(status);
      let total = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        total += chunk.length;
        options.onData?.(chunk, total);
      });
      response.on('error', () => {});
      response.on('close', () => finish(response.complete));
    });
    const timer = setTimeout(() => {
      asked.destroy();
      const got = Buffer.concat(chunks).length;
      reject(new Error(`${method} ${path}: no end in ${timeoutMs} ms; status ${status}, ${got} bytes`));
    }, timeoutMs);
    const leave = (): void => void asked.destroy();
    signal?.addEventListener('abort', leave, { once: true });
    asked.on('error', () => {
      if (status === 0) finish(false);
    });
    asked.end();
  });
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  /** Default 60 000. */
  readonly timeoutMs?: number;
}

const LAUNCHER = join(import.meta.dirname, '../../bin/modferry');

/** Runs `bin/modferry` to its end with an environment of PATH, `GOSUMDB=off` and what is given, which wins. */
export function runModferry(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAUNCHER, args, {
      cwd: options.cwd ?? '/',
      env: { PATH: process.env['PATH'], GOSUMDB: 'off', ...compileCache, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      signalGroup(child, 'SIGKILL');
      reject(new Error(`modferry ${args.join(' ')} did not end; stdout: ${stdout}; stderr: ${stderr}`));
    }, options.timeoutMs ?? 60_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** A fake upstream for this test alone. */
export async function upstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const started = await startFakeUpstream(options);
  onTestFinished(started.close);
  return started;
}

export interface ModferryFor extends StartModferryOptions {
  /** In this order, as `upstreams:` of the configuration; servers of the kit, or URLs. */
  readonly upstreams?: readonly (Pick<FakeUpstream, 'url'> | string)[];
}

/**
 * A modferry for this test alone, with look-ahead and probes off unless the configuration says otherwise, and checksum
 * databases off unless `env` has a GOSUMDB.
 */
export async function modferry(options: ModferryFor = {}): Promise<ModferryProcess> {
  const started = await startModferry(withDefaults(options));
  onTestFinished(started.close);
  return started;
}

/** As `modferry`, for whoever cleans up alone. */
export function withDefaults(options: ModferryFor): StartModferryOptions {
  const { upstreams, config = {}, ...rest } = options;
  if (typeof config === 'string') return { config, ...rest };
  const urls = upstreams?.map((each) => (typeof each === 'string' ? each : each.url));
  return {
    ...rest,
    config: {
      look_ahead: { enabled: false },
      health: { probe: { enabled: false } },
      ...(urls === undefined ? {} : { upstreams: urls }),
      ...config,
    },
  };
}

/** A folder for this test alone. */
export async function folder(label?: string): Promise<TempDir> {
  const dir = await tempDir(label);
  onTestFinished(dir.remove);
  return dir;
}

/** `modferry verify` finds no fault in what is stored. */
export async function expectCleanStore(dataDir: string): Promise<void> {
  const result = await runModferry(['verify', '--data', dataDir]);
  expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('no faults') });
}

/** Module versions of which anything is stored, as `modferry ls` tells. */
export async function storedVersions(dataDir: string): Promise<string[]> {
  const { stdout } = await runModferry(['ls', '--data', dataDir]);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Module versions of which the zip is stored. */
export async function storedZips(dataDir: string): Promise<string[]> {
  const { stdout } = await runModferry(['ls', '--json', '--data', dataDir]);
  const entries = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { module: string; version: string; artifacts: { zip?: unknown } });
  return entries
    .filter(({ artifacts }) => artifacts.zip !== undefined)
    .map((entry) => `${entry.module}@${entry.version}`);
}

/** Asks again at once until the answer fits; for what happens behind a reply. Fails with the last answer. */
export async function eventually<T>(
  look: () => Promise<T>,
  fits: (value: T) => boolean,
  timeoutMs = 10_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (fits(value)) return value;
    if (performance.now() > endMs) {
      expect.fail(`not in ${timeoutMs} ms; last: ${JSON.stringify(value)?.slice(0, 500)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that was free a moment ago, for who must be told one before it starts. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}
