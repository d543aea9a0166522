/** Servers of the bench as child processes: each in a group of its own, stopped by that group and nothing else. */
import { type ChildProcess, spawn } from 'node:child_process';
import { signalGroup } from '../../test/kit/process-group.ts';
import { BenchError } from './bench-error.ts';

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** What it wrote to stdout so far. */
  stdout(): string;
  signal(name: NodeJS.Signals): void;
  /** The first match in all of stdout, past or future. Rejects with BenchError `server_failed` after 15 s. */
  waitFor(pattern: RegExp, startAt?: number): Promise<RegExpExecArray>;
  /** Ends it and all its children. Idempotent. */
  readonly close: () => Promise<void>;
}

/** Starts one; `env` is added to the bench's own. */
export function startChild(command: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}): Child {
  const [program, ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  const tell = (): void => {
    for (const watcher of watchers) watcher();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    tell();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    const end = (why: string): void => {
      ended ??= why;
      tell();
      resolve();
    };
    child.once('close', (code, signal) => end(`it ended with ${code ?? signal ?? 'nothing'}`));
    child.once('error', (error) => end(error.message));
  });

  function waitFor(pattern: RegExp, startAt = 0): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = pattern.exec(stdout.slice(startAt));
        if (found) {
          stop();
          resolve(found);
        } else if (ended !== undefined) fail(ended);
      };
      const fail = (why: string): void => {
        stop();
        const text = `${command.join(' ')}: no line ${String(pattern)}, ${why}.\n${stdout}\n${stderr}`;
        reject(new BenchError('server_failed', text));
      };
      const timer = setTimeout(() => fail('not in 15 s'), 15_000);
      const stop = (): void => {
        clearTimeout(timer);
        watchers.delete(check);
      };
      watchers.add(check);
      check();
    });
  }

  async function close(): Promise<void> {
    if (ended === undefined) signalGroup(child, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  }

  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    signal: (name) => void child.kill(name),
    waitFor,
    close,
    [Symbol.asyncDispose]: close,
  };
}
