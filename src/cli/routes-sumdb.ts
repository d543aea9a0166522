/** The commands about checksum databases and the scrub: flags and help. The work is in `commands/`. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { configFlag, dataFlag, jsonFlag, reasonFlag, yesFlag } from './commands/common-flags.ts';
import type { ScrubFlags } from './commands/scrub.ts';
import type { SumdbFlags, SumdbResetFlags } from './commands/sumdb.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const folderFlags = { json: jsonFlag, data: dataFlag, config: configFlag } as const;

const databaseArgument = {
  parse: String,
  placeholder: 'NAME',
  brief: 'The database, e.g. sum.golang.org',
} as const;

const sumdbList = buildCommand<SumdbFlags, [], CliContext>({
  loader: async () => (await import('./commands/sumdb.ts')).sumdbList,
  parameters: { flags: folderFlags },
  docs: {
    brief: 'List the checksum databases that are known',
    fullDescription: helpText(
      'Size of the known tree, when it was confirmed, whether two heads contradict.',
      [['modferry sumdb ls', 'All of them']],
    ),
  },
});

const sumdbShow = buildCommand<SumdbFlags, [string], CliContext>({
  loader: async () => (await import('./commands/sumdb.ts')).sumdbShow,
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [databaseArgument] } },
  docs: {
    brief: 'Show one checksum database, with the evidence of a fork',
    fullDescription: helpText('Both signed heads are shown when two contradict each other.', [
      ['modferry sumdb show sum.golang.org', 'The official one'],
    ]),
  },
});

const sumdbReset = buildCommand<SumdbResetFlags, [string], CliContext>({
  loader: async () => (await import('./commands/sumdb.ts')).sumdbReset,
  parameters: {
    flags: {
      reason: { ...reasonFlag, brief: 'Why the next head may be trusted at first sight' },
      yes: { ...yesFlag, brief: 'Needed on a terminal' },
      ...folderFlags,
    },
    positional: { kind: 'tuple', parameters: [databaseArgument] },
  },
  docs: {
    brief: 'Forget the known head of a checksum database and the evidence of a fork',
    fullDescription: helpText(
      'The next head is trusted at first sight: find out first which of the two is the true one.',
      [['modferry sumdb reset sum.example.com --reason "the log was set up anew"', 'After a fork']],
    ),
  },
});

export const sumdb = buildRouteMap<'ls' | 'show' | 'reset', CliContext>({
  routes: { ls: sumdbList, show: sumdbShow, reset: sumdbReset },
  docs: { brief: 'Look at checksum databases' },
});

function scrubCommand(action: 'status' | 'start' | 'stop', brief: string, text: string) {
  return buildCommand<ScrubFlags, [], CliContext>({
    loader: async () => (await import('./commands/scrub.ts')).scrubCommand(action),
    parameters: { flags: folderFlags },
    docs: { brief, fullDescription: helpText(text, [[`modferry scrub ${action}`, brief]]) },
  });
}

export const scrub = buildRouteMap<'status' | 'start' | 'stop', CliContext>({
  routes: {
    status: scrubCommand(
      'status',
      'Show how far the scrub is',
      'The scrub of the running modferry re-hashes what is stored and heals what is rotten.',
    ),
    start: scrubCommand('start', 'Begin a pass now', 'Without waiting for its hours and its pause.'),
    stop: scrubCommand('stop', 'Stop the pass under way', 'The next one begins where it stopped.'),
  },
  docs: { brief: 'Look at and steer the scrub of the running modferry' },
});
