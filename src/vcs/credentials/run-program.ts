/**
 * Runs a credential program: without a shell, as a process group of its own that ends with it, with a deadline and a
 * bounded output. What it says is never part of an error: it may be a secret.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { reasonOf } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { VcsError } from '../types.ts';

export interface ProgramOptions {
  readonly argv: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Whoever a program leaves behind with its output in hand is waited for this long. */
const leftBehindMs = 1_000;

/** The name for texts: arguments may be secrets. */
export function programName(argv: readonly string[]): string {
  return basename(argv[0] ?? '').replaceAll(/[^\x20-\x7e]/g, '?');
}

/** What it printed. Rejects with VcsError `auth` or `timeout`, or the signal's reason. */
export function runProgram(options: ProgramOptions): Promise<string> {
  const { argv, stdin, env, timeoutMs, maxOutputBytes, clock, signal } = options;
  const name = `the credential command ${programName(argv)}`;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const [command = '', ...args] = argv;
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...env },
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let exitFault: VcsError | undefined;
    const settle = (outcome: { readonly fault: Error } | undefined): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      child.removeAllListeners('close');
      if (outcome !== undefined) endGroup(child);
      child.stdout.destroy();
      child.stdin.destroy();
      if (outcome === undefined) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(outcome.fault);
    };
    const onAbort = (): void => settle({ fault: reasonOf(signal) });
    let timer = clock.setTimeout(() => {
      const text = `${name} did not answer within ${timeoutMs / 1000} s; run it by hand to see why`;
      settle({ fault: new VcsError('timeout', text) });
    }, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    // A program that does not read what it is told closes this end: no fault of its own.
    child.stdin.on('error', () => {});
    child.stdout.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= maxOutputBytes) chunks.push(chunk);
      else settle({ fault: new VcsError('auth', `${name} prints over ${maxOutputBytes} bytes`) });
    });
    child.once('error', (error) => {
      const code = errnoOf(error) ?? 'no reason given';
      const text = `${name} could not be run (${code}); write its absolute path and let modferry run it`;
      settle({ fault: new VcsError('auth', text) });
    });
    child.once('exit', (code, killedBy) => {
      const how = code === null ? `was ended by ${killedBy ?? 'a signal'}` : `ended with code ${code}`;
      if (code !== 0) exitFault = new VcsError('auth', `${name} ${how}; run it by hand to see why`);
      timer.cancel();
      timer = clock.setTimeout(() => {
        endGroup(child);
        settle(exitFault === undefined ? undefined : { fault: exitFault });
      }, leftBehindMs);
    });
    child.once('close', () => settle(exitFault === undefined ? undefined : { fault: exitFault }));
    child.stdin.end(stdin);
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of it is gone already.
  }
}
