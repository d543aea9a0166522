/**
 * The error a command ends with on purpose: a sentence for the user and the exit code that goes with it. The
 * application prints the sentence on stderr; nothing else does.
 */
import { ModferryError } from '../lib/errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

export type CliErrorCode = 'usage' | 'absent' | 'failed' | 'unavailable' | 'config' | 'interrupted';

const exitCodeByCode: Readonly<Record<CliErrorCode, ExitCode>> = {
  usage: exitCodes.usage,
  absent: exitCodes.failed,
  failed: exitCodes.failed,
  unavailable: exitCodes.unavailable,
  config: exitCodes.config,
  interrupted: exitCodes.interrupted,
};

/** The message says what to do where there is something to do. */
export class CliError extends ModferryError<CliErrorCode> {
  get exitCode(): ExitCode {
    return exitCodeByCode[this.code];
  }
}
