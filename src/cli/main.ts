/**
 * The entry that bin/modferry runs. It builds the real context and hands over; nothing else in `cli/` touches
 * `process`. Compiled code is cached between runs, because stripping types again would cost a third of the start.
 */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { isatty } from 'node:tty';
import type { CliContext, Input, Output } from './context.ts';

// Not Node's default: that is a folder for all users under /tmp. A folder that cannot be made costs only time.
enableCompileCache(process.env['NODE_COMPILE_CACHE'] ?? join(cacheHome(), 'modferry', 'compiled'));

const { attendedClock, systemClock } = await import('../lib/clock.ts');
const { runCli } = await import('./app.ts');
const { exitCodes } = await import('./exit-codes.ts');
const { describeError } = await import('./texts.ts');

function cacheHome(): string {
  const named = process.env['XDG_CACHE_HOME'] ?? '';
  return isAbsolute(named) ? named : join(homedir(), '.cache');
}

/** A server outlives whoever reads its log; a fault of ours in it is worth its stack. */
const isServer = process.argv[2] === 'serve';

function outputOf(stream: NodeJS.WriteStream): Output {
  stream.on('error', () => {
    // `modferry ls | head`: the reader is gone, nobody is left to tell.
    if (!isServer) process.exit(exitCodes.pipeClosed);
  });
  return {
    write(text) {
      stream.write(text);
    },
    drained: () =>
      stream.writableNeedDrain ? new Promise((resolve) => stream.once('drain', resolve)) : Promise.resolve(),
    isTty: stream.isTTY,
    get columns() {
      // A terminal that does not know its width says 0.
      return (stream.isTTY ? stream.columns : 0) || 80;
    },
  };
}

const stdinFd = 0;
const stdin: Input = {
  // `process.stdin` is touched only when it is read: it may be closed, and opening it takes time.
  get isTty() {
    return isatty(stdinFd);
  },
  [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator](),
};

const stdout = outputOf(process.stdout);
const stderr = outputOf(process.stderr);
const context: CliContext = {
  // Its own object: the library writes exit codes of its own to it, which are mapped first.
  process: { stdout, stderr, env: process.env },
  stdout,
  stderr,
  stdin,
  env: process.env,
  cwd: process.cwd(),
  clock: isServer ? systemClock : attendedClock,
  runtime: { nodeVersion: process.version, platform: process.platform, arch: process.arch },
  onSignal(name, listener) {
    process.on(name, listener);
    return () => process.off(name, listener);
  },
};

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

function fail(error: unknown): void {
  process.stderr.write(`${describeError(error)}\n`);
  if (isServer && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(exitCodes.internal);
}

process.exitCode = await runCli(process.argv.slice(2), context);
// After a second signal nothing that is left (a transfer, a stuck log reader) may keep a server alive.
if (isServer) process.exit();
