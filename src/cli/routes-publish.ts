/** `modferry publish` and `unpublish`: their flags and help. The work is in `commands/`. */
import { buildCommand } from '@stricli/core';
import { configFlag, jsonFlag, reasonFlag } from './commands/common-flags.ts';
import type { PublishFlags } from './commands/publish.ts';
import type { UnpublishFlags } from './commands/unpublish.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const serverFlags = {
  server: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'URL',
    brief: 'How modferry is reached. Default: as the configuration says it listens',
  },
  token: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'TOKEN',
    brief:
      'Default: $MODFERRY_TOKEN, else the log-in of modferry login. Other users of a machine may see arguments',
  },
  caFile: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'FILE',
    brief: "PEM file with certificate authorities to trust besides the system's",
  },
} as const;

export const publish = buildCommand<PublishFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/publish.ts')).publish,
  parameters: {
    flags: {
      ...serverFlags,
      version: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'VERSION',
        brief: 'Publish the folder as it is under this version. Default: the tag at HEAD',
      },
      dryRun: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Make and check the zip, and send nothing',
      },
      json: jsonFlag,
      config: configFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: String,
          optional: true,
          placeholder: 'DIR',
          brief:
            'Folder of a module; or REPO@TAG: a repository (folder or URL) and its version tag. Default: this folder',
        },
      ],
    },
  },
  docs: {
    brief: 'Publish a version of a module',
    fullDescription: helpText(
      'Makes the module zip by the rules of Go, checks it and uploads it. Of a folder the commit of the version tag at ' +
        'HEAD is published, and nothing may be uncommitted; with --version the folder as it is. A published version never ' +
        'changes: publishing the same again is fine, other content under the same version is refused.',
      [
        ['modferry publish --server https://goproxy.corp.example', 'This folder, the tag at HEAD'],
        ['modferry publish ./lib --version v1.2.3', 'A folder as it is'],
        ['modferry publish https://git.corp.example/team/lib@v1.2.3', 'A tag of a repository'],
        ['modferry publish --dry-run --json | jq -r .h1', 'Only its hash'],
      ],
    ),
  },
});

export const unpublish = buildCommand<UnpublishFlags, [string], CliContext>({
  loader: async () => (await import('./commands/unpublish.ts')).unpublish,
  parameters: {
    flags: {
      ...serverFlags,
      reason: { ...reasonFlag, brief: 'Why; shown to everybody who asks for it' },
      json: jsonFlag,
      config: configFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'MODULE@VERSION', brief: 'What to take back' }],
    },
  },
  docs: {
    brief: 'Take a published version back, for good',
    fullDescription: helpText(
      'The version is removed and its name stays taken: nobody can publish it again, with the same content or another. ' +
        'Whoever asks for it is told the reason. Needs the right to administrate.',
      [['modferry unpublish corp.example/lib@v1.2.3 --reason "leaked a key"', 'One version']],
    ),
  },
});
