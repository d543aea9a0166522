/** Test help: a child that is killed in whatever it is doing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'vitest';

/** Runs a script of this folder until it has told `lines` lines, kills it, and gives the whole lines it told. */
export async function killAfter(
  script: string,
  args: readonly string[],
  lines: number,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let report = '';
  let isKilled = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    report += text;
    if (isKilled || report.split('\n').length <= lines) return;
    isKilled = true;
    child.kill('SIGKILL');
  });
  await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
  return report.split('\n').slice(0, -1);
}
