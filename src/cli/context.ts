/**
 * What a command may see of the world: streams, environment, folder, time, signals. `main.ts` builds the real one,
 * tests a fake one; no command touches `process`.
 */
import type { CommandContext, StricliProcess } from '@stricli/core';
import type { Clock } from '../lib/clock.ts';

/** A text stream to the user. */
export interface Output {
  /** Never throws; what was written to a closed pipe is lost. */
  write(text: string): void;
  /** Resolves when what was written has left our buffers far enough to write more. Await it in long loops. */
  drained(): Promise<void>;
  readonly isTty: boolean;
  /** Width in characters; 80 when it is no terminal. */
  readonly columns: number;
}

/** The text or bytes that are piped in. Iterate at most once. */
export interface Input extends AsyncIterable<Uint8Array> {
  readonly isTty: boolean;
}

export type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface Runtime {
  /** With its leading `v`. */
  readonly nodeVersion: string;
  /** e.g. `linux`. */
  readonly platform: string;
  /** e.g. `x64`. */
  readonly arch: string;
}

export interface CliContext extends CommandContext {
  /** The part the argument library uses; commands use the fields below and throw `CliError` for an exit code. */
  readonly process: StricliProcess;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative file arguments are resolved against it. */
  readonly cwd: string;
  readonly clock: Clock;
  readonly runtime: Runtime;
  /** Listens until the returned function is called. Without a listener a signal ends the process, as usual. */
  onSignal(name: SignalName, listener: () => void): () => void;
}
