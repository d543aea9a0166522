/** The Go client that asks many times at once and compares every byte; see bench/client/main.go. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { goHome, runGo } from '../../test/kit/go.ts';
import { BenchError } from './bench-error.ts';

const run = promisify(execFile);
const source = join(import.meta.dirname, '../client');
const binary = join(import.meta.dirname, '../../.work/bench/load');

let built: Promise<void> | undefined;

async function build(): Promise<void> {
  await mkdir(join(binary, '..'), { recursive: true });
  await using home = await goHome();
  const result = await runGo(['build', '-o', binary, '.'], { cwd: source, home });
  if (result.code !== 0) throw new BenchError('client_failed', `cannot build ${source}: ${result.stderr}`);
}

export interface LoadOptions {
  readonly url: string;
  /** Requests at once, each on a connection of its own. */
  readonly clients: number;
  /** Every body must equal this file. */
  readonly expectFile: string;
}

/** Milliseconds from the first request to the last byte. Rejects with BenchError when one body was wrong. */
export async function loadMs(options: LoadOptions): Promise<number> {
  built ??= build();
  await built;
  const args = ['-url', options.url, '-clients', String(options.clients), '-expect', options.expectFile];
  const { stdout } = await run(binary, args, { timeout: 150_000 }).catch((cause: unknown) => {
    const said = typeof cause === 'object' && cause !== null && 'stdout' in cause ? String(cause.stdout) : '';
    throw new BenchError('wrong_answer', `${options.clients} GETs of ${options.url}: ${said}`, { cause });
  });
  const { right, wallMs } = JSON.parse(stdout) as { right: number; wallMs: number };
  if (right !== options.clients)
    throw new BenchError('wrong_answer', `only ${right} bodies were right: ${stdout}`);
  return wallMs;
}
