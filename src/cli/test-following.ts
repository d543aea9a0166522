/** Test help: a context for commands with `--follow`, whose output can be looked at while they run. */
import { systemClock } from '../lib/clock.ts';
import type { CliContext } from './context.ts';
import { jsonLines } from './test-kit.ts';

export interface FollowingContext {
  readonly context: CliContext;
  /** What was written until now, one JSON object a line. */
  readonly lines: () => Record<string, unknown>[];
  /** As Ctrl-C. */
  readonly interrupt: () => void;
}

export function followingContext(data: string): FollowingContext {
  let written = '';
  let interrupt = (): void => {};
  const output = {
    write: (text: string) => {
      written += text;
    },
    drained: () => Promise.resolve(),
    isTty: false,
    columns: 80,
  };
  const env = { PATH: '', MODFERRY_DATA: data };
  const context: CliContext = {
    process: { stdout: output, stderr: output, env },
    stdout: output,
    stderr: output,
    stdin: { isTty: false, async *[Symbol.asyncIterator]() {} },
    env,
    cwd: data,
    clock: systemClock,
    runtime: { nodeVersion: 'v24.0.0', platform: 'linux', arch: 'x64' },
    onSignal(name, listener) {
      if (name === 'SIGINT') interrupt = listener;
      return () => {};
    },
  };
  return { context, lines: () => jsonLines(written), interrupt: () => interrupt() };
}
