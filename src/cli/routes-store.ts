/** The commands about what is stored: flags and help. The work is in `commands/`, loaded when a command runs. */
import { buildCommand } from '@stricli/core';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { InfoFlags } from './commands/info.ts';
import type { LsFlags } from './commands/ls.ts';
import type { PurgeFlags } from './commands/purge.ts';
import type { VerifyFlags } from './commands/verify.ts';
import type { WarmFlags } from './commands/warm.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const patternArgument = {
  parse: String,
  optional: true,
  placeholder: 'PATTERN',
  brief: 'Module path or pattern as in GOPRIVATE, with @VERSION if wanted. Default: everything',
} as const;

const maxConcurrency = 256;

function parseConcurrency(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= maxConcurrency) return count;
  throw new Error(`write a whole number from 1 to ${maxConcurrency}`);
}

export const warm = buildCommand<WarmFlags, readonly string[], CliContext>({
  loader: async () => (await import('./commands/warm.ts')).warm,
  parameters: {
    flags: {
      url: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'URL',
        brief: 'The running modferry. Default: as the configuration says it listens',
      },
      concurrency: {
        kind: 'parsed',
        parse: parseConcurrency,
        optional: true,
        placeholder: 'N',
        brief: 'Versions asked for at once. Default: 8',
      },
      resumeFile: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'FILE',
        brief: 'Note here what is done, and skip what is noted',
      },
      json: jsonFlag,
      config: configFlag,
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        placeholder: 'FILE',
        brief: 'go.sum, go.mod, or a list of MODULE@VERSION; - is standard input',
      },
    },
  },
  docs: {
    brief: 'Fetch everything a go.sum, go.mod or list names into the store',
    fullDescription: helpText(
      'Asks a running modferry for each version, so that it is fetched once, verified and stored. What is stored ' +
        'already is skipped; an interrupted run goes on when run again. Fails with a list when something could not be had.',
      [
        ['modferry warm go.sum', 'Everything that a build of this project needs'],
        ['modferry warm --url https://goproxy.corp.example */go.sum', 'Several projects, another server'],
        ['go list -m all | modferry warm', 'What go list prints'],
        ['echo golang.org/x/mod@latest | modferry warm', 'A version query is resolved first'],
      ],
    ),
  },
});

export const ls = buildCommand<LsFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/ls.ts')).ls,
  parameters: {
    flags: {
      long: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Also size, time, source, artifacts and hash of the zip',
      },
      json: { ...jsonFlag, brief: 'Print one JSON object a line' },
      data: dataFlag,
      config: configFlag,
    },
    aliases: { l: 'long' },
    positional: { kind: 'tuple', parameters: [patternArgument] },
  },
  docs: {
    brief: 'List what is stored',
    fullDescription: helpText('Reads the data folder only; a running modferry is not disturbed.', [
      ['modferry ls', 'Everything, one MODULE@VERSION a line'],
      ['modferry ls --long github.com/spf13', 'One author, with details'],
      ["modferry ls '*.corp.example/*'", 'By pattern'],
      ['modferry ls --json | jq -r \'select(.artifacts.zip.source == "import") | .module\'', 'For scripts'],
    ]),
  },
});

export const info = buildCommand<InfoFlags, [string], CliContext>({
  loader: async () => (await import('./commands/info.ts')).info,
  parameters: {
    flags: { json: jsonFlag, data: dataFlag, config: configFlag },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'MODULE[@VERSION]', brief: 'What to tell about' }],
    },
  },
  docs: {
    brief: 'Tell where a stored version came from, when, its sizes and hashes',
    fullDescription: helpText('Fails when nothing of it is stored.', [
      ['modferry info golang.org/x/mod@v0.20.0', 'One version'],
      ['modferry info golang.org/x/mod', 'All stored versions of a module'],
      ['modferry info --json golang.org/x/mod@v0.20.0', 'For scripts'],
    ]),
  },
});

export const purge = buildCommand<PurgeFlags, [string], CliContext>({
  loader: async () => (await import('./commands/purge.ts')).purge,
  parameters: {
    flags: {
      yes: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Needed on a terminal to purge all versions of a module',
      },
      force: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Also what was published here; its names stay taken',
      },
      json: jsonFlag,
      data: dataFlag,
      config: configFlag,
    },
    aliases: { y: 'yes' },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'MODULE[@VERSION]', brief: 'What to remove' }],
    },
  },
  docs: {
    brief: 'Remove a version or a module from the store',
    fullDescription: helpText(
      'Every process on the data folder knows within a second, and fills under way are stopped. The next request ' +
        'fetches it again. Remembered lists and answers of the module go with it. What was published here is left ' +
        'to modferry unpublish, unless it is forced.',
      [
        ['modferry purge golang.org/x/mod@v0.20.0', 'One version'],
        ['modferry purge --yes golang.org/x/mod', 'The whole module'],
      ],
    ),
  },
});

export const verify = buildCommand<VerifyFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/verify.ts')).verify,
  parameters: {
    flags: {
      againstSumdb: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Also prove every .mod and .zip by the checksum database',
      },
      allowUnproven: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'With --against-sumdb: what cannot be proven is no failure',
      },
      repair: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Move what is bad to quarantine and have it fetched again',
      },
      goSum: {
        kind: 'parsed',
        parse: String,
        optional: true,
        variadic: true,
        placeholder: 'FILE',
        brief: 'Answer for this go.sum instead of the whole store; - is standard input; repeatable',
      },
      quick: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'With --go-sum: believe the records, do not hash',
      },
      json: { ...jsonFlag, brief: 'Print one JSON object a fault, and a summary' },
      data: dataFlag,
      config: configFlag,
    },
    positional: { kind: 'tuple', parameters: [patternArgument] },
  },
  docs: {
    brief: 'Hash what is stored again and compare with the records',
    fullDescription: helpText(
      'Compares size, SHA-256 and h1: hash of every artifact with what was recorded when it was stored, and the ' +
        'structure of every zip with the rules of Go. Changes nothing but proofs on record, unless --repair is given. ' +
        'Fails when there are faults.',
      [
        ['modferry verify', 'The whole store'],
        ['modferry verify github.com/spf13/cobra@v1.8.0', 'One version'],
        ['modferry verify --against-sumdb', 'Prove the whole store by the checksum database'],
        ['modferry verify --go-sum go.sum', 'Is all that this project needs present and right?'],
        ['modferry verify --json > faults.jsonl', 'For scripts'],
      ],
    ),
  },
});
