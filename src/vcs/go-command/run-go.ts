/**
 * Runs the machine's `go` on one module: an argument array, an environment built from nothing, a process group of its
 * own that ends with it (hg, svn and ssh included), a deadline and bounded output.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { reasonOf } from '../../lib/abort.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { VcsError } from '../types.ts';

export interface RunGoOptions {
  /** Name or absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface GoOutput {
  /** Exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** Its last part. */
  readonly stderr: string;
}

const keptErrorBytes = 8 * 1024;
/** From asking it to end to ending it. */
const graceMs = 2_000;

/** A failing command is a result. Rejects with VcsError `refused`, `timeout` or `too_large`, or the signal's reason. */
export function runGo(options: RunGoOptions): Promise<GoOutput> {
  const { command, args, cwd, env, timeoutMs, maxOutputBytes, clock, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const child = spawn(command, args, {
      cwd,
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      windowsHide: true,
    });
    let failure: Error | undefined;
    let killTimer: Timer | undefined;
    const end = (why: Error): void => {
      if (failure !== undefined) return;
      failure = why;
      signalGroup(child, 'SIGTERM');
      killTimer = clock.setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
    };
    const onAbort = (): void => end(reasonOf(signal));
    const timer = clock.setTimeout(() => {
      end(new VcsError('timeout', `the go command was not done within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    const stdout: Buffer[] = [];
    let sizeBytes = 0;
    let stderr = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= maxOutputBytes) stdout.push(chunk);
      else end(new VcsError('too_large', `the go command printed more than ${maxOutputBytes} bytes`));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = Buffer.concat([stderr, chunk]).subarray(-keptErrorBytes);
    });
    child.once('error', (error) => {
      const text = `the go command ${JSON.stringify(command)} could not be run (${errnoOf(error) ?? 'no reason'}); install Go or name it`;
      failure ??= new VcsError('refused', text, { cause: error });
    });
    // Whoever it left behind has its output open, or not: the group goes as soon as it is gone itself.
    child.once('exit', () => signalGroup(child, 'SIGKILL'));
    child.once('close', (code) => {
      timer.cancel();
      killTimer?.cancel();
      signal.removeEventListener('abort', onAbort);
      if (failure !== undefined) reject(failure);
      else {
        const text = Buffer.concat(stdout).toString('utf8');
        resolve({ code: code ?? undefined, stdout: text, stderr: stderr.toString('utf8') });
      }
    });
  });
}

function signalGroup(child: ChildProcess, name: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(name);
    else process.kill(-child.pid, name);
  } catch {
    // All of it is gone already.
  }
}
