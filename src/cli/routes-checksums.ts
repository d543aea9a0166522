/** The commands about what is proven and what is suspect: flags and help. The work is in `commands/`. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { configFlag, dataFlag, jsonFlag, reasonFlag, yesFlag } from './commands/common-flags.ts';
import type { ImportFlags } from './commands/import.ts';
import type {
  DropFlags,
  QuarantineListFlags,
  QuarantineShowFlags,
  ReleaseFlags,
} from './commands/quarantine.ts';
import type { TrustFlags, TrustImportFlags } from './commands/trust.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const folderFlags = { json: jsonFlag, data: dataFlag, config: configFlag } as const;

const maxJobs = 64;

function parseJobs(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= maxJobs) return count;
  throw new Error(`write a whole number from 1 to ${maxJobs}`);
}

export const importCommand = buildCommand<ImportFlags, [string], CliContext>({
  loader: async () => (await import('./commands/import.ts')).importFolder,
  parameters: {
    flags: {
      allowUnproven: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Also take what nothing could prove; it is proven later',
      },
      jobs: {
        kind: 'parsed',
        parse: parseJobs,
        optional: true,
        placeholder: 'N',
        brief: 'Versions at once, 1 to 64. Default: 4',
      },
      json: { ...jsonFlag, brief: 'Print one JSON object a refused file, and a summary' },
      data: dataFlag,
      config: configFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { parse: String, placeholder: 'DIR', brief: 'A GOMODCACHE, or the disk storage of Athens' },
      ],
    },
  },
  docs: {
    brief: 'Take an existing module cache or Athens storage into the store, verified',
    fullDescription: helpText(
      'Every file is verified as if an upstream had sent it: structure, hashes, and the checksum database. What is ' +
        'bad goes to quarantine, never into the store. Works beside a running modferry and without one; run again, it ' +
        'goes on where it stopped. Fails when something was refused.',
      [
        ['modferry import "$(go env GOMODCACHE)"', "This machine's module cache"],
        ['modferry import /var/lib/athens', 'The disk storage of Athens'],
        ['modferry import --json ~/go/pkg/mod > import.jsonl', 'For scripts'],
      ],
    ),
  },
});

const trustImport = buildCommand<TrustImportFlags, readonly string[], CliContext>({
  loader: async () => (await import('./commands/trust.ts')).trustImport,
  parameters: {
    flags: {
      label: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'LABEL',
        brief: 'Under which the lines can be removed again. Default: the name of the file as given',
      },
      replace: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Take the place of trusted lines that say otherwise',
      },
      ...folderFlags,
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        placeholder: 'FILE',
        brief: 'go.sum; - is standard input. Default: go.sum',
      },
    },
  },
  docs: {
    brief: 'Trust the lines of go.sum files',
    fullDescription: helpText(
      'A module whose content has the hash of a trusted line is proven, also when the checksum database does not know ' +
        'it or cannot be reached. A file with junk lines, or one that contradicts what is trusted already, is not ' +
        'imported at all.',
      [
        ['modferry trust go.sum go.sum', 'Of the project here'],
        ['modferry trust go.sum --label billing services/*/go.sum', 'Several files under one label'],
        ['git show main:go.sum | modferry trust go.sum --label main -', 'From standard input'],
      ],
    ),
  },
});

const trustList = buildCommand<TrustFlags, [], CliContext>({
  loader: async () => (await import('./commands/trust.ts')).trustList,
  parameters: { flags: folderFlags },
  docs: {
    brief: 'List the imports that are trusted',
    fullDescription: helpText('Label, lines, and when they were imported.', [
      ['modferry trust ls', 'All of them'],
    ]),
  },
});

const trustRemove = buildCommand<TrustFlags, [string], CliContext>({
  loader: async () => (await import('./commands/trust.ts')).trustRemove,
  parameters: {
    flags: folderFlags,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'LABEL', brief: 'As modferry trust ls shows it' }],
    },
  },
  docs: {
    brief: 'Trust the lines of one import no longer',
    fullDescription: helpText('What was published by them stays, with its proof on record.', [
      ['modferry trust rm billing', 'All lines under this label'],
    ]),
  },
});

export const trust = buildRouteMap<'go.sum' | 'ls' | 'rm', CliContext>({
  routes: { 'go.sum': trustImport, ls: trustList, rm: trustRemove },
  docs: { brief: 'Import go.sum lines as another source of trust' },
});

const idArgument = {
  parse: String,
  placeholder: 'ID',
  brief: 'As modferry quarantine ls shows it, or its first 4 characters and more',
} as const;

const quarantineList = buildCommand<QuarantineListFlags, [], CliContext>({
  loader: async () => (await import('./commands/quarantine.ts')).quarantineList,
  parameters: {
    flags: {
      module: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'PATTERN',
        brief: 'Only these modules: a path or pattern as in GOPRIVATE, with @VERSION if wanted',
      },
      ...folderFlags,
    },
  },
  docs: {
    brief: 'List what is in quarantine, newest first',
    fullDescription: helpText('Bytes that must not reach a client: id, cause, source, when, how often.', [
      ['modferry quarantine ls', 'Everything'],
      ['modferry quarantine ls --module github.com/spf13', 'Some modules'],
      ['modferry quarantine ls --json | jq -r .id', 'For scripts'],
    ]),
  },
});

const quarantineShow = buildCommand<QuarantineShowFlags, [string], CliContext>({
  loader: async () => (await import('./commands/quarantine.ts')).quarantineShow,
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [idArgument] } },
  docs: {
    brief: 'Show all that is known of one suspect',
    fullDescription: helpText(
      'Source, expected and found hashes, who says so, headers, where its bytes are.',
      [['modferry quarantine show 3f2a', 'The first characters of the id will do']],
    ),
  },
});

const quarantineRelease = buildCommand<ReleaseFlags, [string], CliContext>({
  loader: async () => (await import('./commands/quarantine-release.ts')).quarantineRelease,
  parameters: {
    flags: {
      reason: { ...reasonFlag, brief: 'Why it is good after all; kept as its proof' },
      yes: { ...yesFlag, brief: 'Needed on a terminal' },
      ...folderFlags,
    },
    positional: { kind: 'tuple', parameters: [idArgument] },
  },
  docs: {
    brief: 'Publish a suspect after all, on your own word',
    fullDescription: helpText(
      'Its structure is verified again; its hash is what you vouch for. A go command that asks the checksum database ' +
        'itself refuses it all the same. Another stored file of that name stays until you purge it.',
      [
        [
          'modferry quarantine release 3f2a --reason "tag moved, reviewed by security"',
          'Publish it, and say why',
        ],
      ],
    ),
  },
});

const quarantineDrop = buildCommand<DropFlags, readonly string[], CliContext>({
  loader: async () => (await import('./commands/quarantine.ts')).quarantineDrop,
  parameters: {
    flags: {
      all: { ...yesFlag, brief: 'Everything in quarantine' },
      yes: { ...yesFlag, brief: 'Needed on a terminal together with --all' },
      ...folderFlags,
    },
    positional: { kind: 'array', parameter: idArgument },
  },
  docs: {
    brief: 'Remove suspects and their evidence',
    fullDescription: helpText('What is published stays untouched.', [
      ['modferry quarantine drop 3f2a 91bc', 'Two of them'],
      ['modferry quarantine drop --all --yes', 'Everything'],
    ]),
  },
});

export const quarantine = buildRouteMap<'ls' | 'show' | 'release' | 'drop', CliContext>({
  routes: { ls: quarantineList, show: quarantineShow, release: quarantineRelease, drop: quarantineDrop },
  docs: { brief: 'Look at bytes that must not reach a client' },
});
