/** The application: the commands, what is said when something goes wrong, and the way from arguments to exit code. */
import { buildApplication, run } from '@stricli/core';
import type { CliContext } from './context.ts';
import { readVersion } from './package-version.ts';
import { root } from './routes.ts';
import { exitCodeFor, exitCodeOfRun, texts } from './texts.ts';

const application = buildApplication(root, {
  name: 'modferry',
  versionInfo: { getCurrentVersion: readVersion },
  determineExitCode: exitCodeFor,
  scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
  documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true, useAliasInUsageLine: false },
  localization: { loadText: () => texts },
});

/** Runs one command line (without `node` and the script). Resolves to the exit code; never rejects. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  // `modferry help warm` is what people try first.
  const inputs = args[0] === 'help' ? [...args.slice(1), '--help'] : args;
  await run(application, inputs, context);
  return exitCodeOfRun(context.process.exitCode);
}
