/**
 * What the application says when something goes wrong, and the exit code that goes with it. One line wherever one
 * is enough; a stack trace is shown to nobody who only mistyped something.
 */
import { type ApplicationText, ArgumentScannerError, text_en } from '@stricli/core';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { CliError } from './cli-error.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** The name of `ConfigError`. Not `instanceof`: that would load the whole configuration schema at every start. */
const configErrorName = 'ConfigError';

/** One sentence, or for errors that carry a list (faults of a configuration) their whole text. */
export function describeError(error: unknown): string {
  if (error instanceof ModferryError) return `modferry: ${error.message}`;
  return `modferry: unexpected error: ${messageOf(error)}; this is a fault of modferry, please report it`;
}

/** The exit code for whatever a command threw. */
export function exitCodeFor(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof ModferryError) {
    return error.name === configErrorName ? exitCodes.config : exitCodes.failed;
  }
  return exitCodes.internal;
}

/** Maps what the argument library ends with (negative for its own failures) to our codes. */
export function exitCodeOfRun(code: number | string | null | undefined): number {
  const given = Number(code ?? exitCodes.ok);
  if (given >= 0) return given;
  // Its -4 and -5: an argument that does not parse, a command that does not exist.
  return given === -4 || given === -5 ? exitCodes.usage : exitCodes.internal;
}

const seeHelp = 'see modferry --help';

export const texts: ApplicationText = {
  ...text_en,
  headers: { ...text_en.headers, usage: 'USAGE' },
  formatException: (error) => messageOf(error),
  exceptionWhileParsingArguments(error) {
    if (!(error instanceof ArgumentScannerError)) return describeError(error);
    const said = text_en.exceptionWhileParsingArguments.call(
      { formatException: (cause) => messageOf(cause) },
      error,
      false,
    );
    return `modferry: ${said.charAt(0).toLowerCase()}${said.slice(1)}; ${seeHelp}`;
  },
  exceptionWhileLoadingCommandFunction: (error) => describeError(error),
  exceptionWhileLoadingCommandContext: (error) => describeError(error),
  exceptionWhileRunningCommand: (error) => describeError(error),
  commandErrorResult: (error) => describeError(error),
  noCommandRegisteredForInput({ input, corrections }) {
    const meant = corrections.length === 0 ? '' : `; did you mean ${corrections.join(' or ')}?`;
    return `modferry: there is no command "${input}"${meant === '' ? `; ${seeHelp}` : meant}`;
  },
};
