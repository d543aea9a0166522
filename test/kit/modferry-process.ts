/**
 * A real modferry in a process of its own: started by its launcher with an environment that has nothing of this
 * machine's Go settings, followed through its output, and stopped by signals.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModferryError } from '../../src/lib/errors.ts';
import { compileCache } from './compile-cache.ts';
import { signalGroup } from './process-group.ts';
import { samplePeakRss } from './process-memory.ts';
import { tempDir } from './temp.ts';

export class ModferryProcessError extends ModferryError<'not_ready' | 'no_line' | 'did_not_stop'> {}

export interface StartModferryOptions {
  /** Arguments behind `serve --listen 127.0.0.1:0 --data DIR`. */
  readonly args?: readonly string[];
  /** Replaces `serve --listen …` and everything behind it. */
  readonly wholeArgs?: readonly string[];
  /**
   * Added to a clean environment: PATH, a HOME of its own, and `GOSUMDB=off`, because no checksum database knows
   * made-up modules. It wins; undefined removes a variable, and without GOSUMDB the official database is used.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: a temporary one, removed when the process is closed. */
  readonly dataDir?: string;
  /** Written to a file and given as `--config`: YAML text, or a value that becomes JSON (which is YAML). */
  readonly config?: string | Readonly<Record<string, unknown>>;
  /** What to start. Default: `bin/modferry` of this repository. */
  readonly command?: readonly [string, ...string[]];
  /** How long it may take to listen. Default 15 000. */
  readonly timeoutMs?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ModferryProcess extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** The file that `config` was written to, if any; rewrite it and send SIGHUP to reload. */
  readonly configFile: string | undefined;
  /** From spawn to the line that tells the address. */
  readonly readyAfterMs: number;
  stdout(): string;
  stderr(): string;
  /** Resolves to the match of the first line, of either stream, past or future. Rejects when it ends or time is up. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  /** Signals and waits for the end. After 30 s kills it and throws `did_not_stop`. Default SIGTERM. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** SIGKILL to it and all its children. */
  kill(): Promise<Exit>;
  readonly exited: Promise<Exit>;
  /** Peak resident memory of the process tree, and growth from a point on: see process-memory.ts. */
  peakRssBytes(): number;
  rssBytes(): number;
  resetPeakRss(): void;
  /** Kills what still runs and removes the temporary folders. Idempotent; usable detached. */
  readonly close: () => Promise<void>;
}

const REPOSITORY = join(import.meta.dirname, '../..');
const ADDRESS = /listening on (http:\/\/\S+?:(\d+))(?=[\s/"']|$)/i;

/** Starts one and waits until it listens. Throws ModferryProcessError `not_ready` with its output. */
export async function startModferry(options: StartModferryOptions = {}): Promise<ModferryProcess> {
  const dir = await tempDir('process');
  const home = join(dir.path, 'home');
  await mkdir(home);
  const dataDir = options.dataDir ?? join(dir.path, 'data');
  const configFile = options.config === undefined ? undefined : join(dir.path, 'modferry.yaml');
  if (configFile !== undefined) {
    const text = typeof options.config === 'string' ? options.config : JSON.stringify(options.config);
    await writeFile(configFile, text);
  }
  const [program, ...before] = options.command ?? [join(REPOSITORY, 'bin/modferry')];
  const serveArgs = ['serve', '--listen', '127.0.0.1:0', '--data', dataDir];
  const configArgs = configFile === undefined ? [] : ['--config', configFile];
  const args = options.wholeArgs ?? [...serveArgs, ...configArgs, ...(options.args ?? [])];

  const startedMs = performance.now();
  const child = spawn(program, [...before, ...args], {
    cwd: dir.path,
    env: { PATH: process.env['PATH'], HOME: home, GOSUMDB: 'off', ...compileCache, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      exit ??= { code, signal };
      memory?.stop();
      resolve(exit);
      for (const watcher of watchers) watcher();
    };
    child.on('close', end);
    child.on('error', (error) => {
      output.stderr += `${error.message}\n`;
      end(null, null);
    });
  });
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      for (const watcher of watchers) watcher();
    });
  }
  const memory = child.pid === undefined ? undefined : samplePeakRss(child.pid);

  function waitForLine(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        stop();
        const text = `no line ${String(pattern)}: ${why}.\nstdout: ${output.stdout}\nstderr: ${output.stderr}`;
        reject(new ModferryProcessError('no_line', text));
      };
      const timer = setTimeout(() => fail(`not in ${timeoutMs} ms`), timeoutMs);
      const stop = (): void => {
        clearTimeout(timer);
        watchers.delete(check);
      };
      const check = (): void => {
        const found = firstLine(output.stdout, pattern) ?? firstLine(output.stderr, pattern);
        if (found) {
          stop();
          resolve(found);
        } else if (exit) fail(`it ended with ${exit.code ?? exit.signal ?? 'nothing'}`);
      };
      watchers.add(check);
      check();
    });
  }

  async function kill(): Promise<Exit> {
    // Also when the leader is gone: children of a crashed process must not outlive the test.
    signalGroup(child, 'SIGKILL');
    return exited;
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    child.kill(signal);
    const limit = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => limit.resolve('late'), 30_000);
    const first = await Promise.race([exited, limit.promise]);
    clearTimeout(timer);
    if (first !== 'late') return first;
    await kill();
    throw new ModferryProcessError('did_not_stop', `still running 30 s after ${signal}.\n${output.stderr}`);
  }

  async function close(): Promise<void> {
    await kill();
    await dir.remove();
  }

  let address: RegExpExecArray;
  try {
    address = await waitForLine(ADDRESS, options.timeoutMs);
  } catch (cause) {
    await close();
    const text = `modferry did not start to listen.\nstdout: ${output.stdout}\nstderr: ${output.stderr}`;
    throw new ModferryProcessError('not_ready', text, { cause, fields: { exit } });
  }
  const port = Number(address[2]);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    dataDir,
    configFile,
    readyAfterMs: performance.now() - startedMs,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    waitForLine,
    signal: (name) => void child.kill(name),
    stop,
    kill,
    exited,
    peakRssBytes: () => memory?.peakRssBytes() ?? 0,
    rssBytes: () => memory?.rssBytes() ?? 0,
    resetPeakRss: () => memory?.resetPeak(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Only lines that have ended: half a port number is none. */
function firstLine(text: string, pattern: RegExp): RegExpExecArray | undefined {
  for (const line of text.split('\n').slice(0, -1)) {
    const found = pattern.exec(line);
    if (found) return found;
  }
  return undefined;
}
