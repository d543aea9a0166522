/** `modferry login`, `logout` and `goauth`: their flags and help. The work is in `commands/`. */
import { buildCommand } from '@stricli/core';
import { configFlag } from './commands/common-flags.ts';
import type { LoginFlags } from './commands/login.ts';
import type { LogoutFlags } from './commands/logout.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const serverFlag = { kind: 'parsed', parse: String, optional: true, placeholder: 'URL' } as const;

export const login = buildCommand<LoginFlags, [], CliContext>({
  loader: async () => (await import('./commands/login.ts')).login,
  parameters: {
    flags: {
      server: {
        ...serverFlag,
        brief: 'How modferry is reached. Default: as the configuration says it listens',
      },
      token: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Read a token from standard input instead of opening a browser',
      },
      noBrowser: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Only print the address of the log-in page',
      },
      caFile: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'FILE',
        brief: "PEM file with certificate authorities to trust besides the system's",
      },
      config: configFlag,
    },
  },
  docs: {
    brief: 'Log in to a modferry with the browser, or keep a token for it',
    fullDescription: helpText(
      'The log-in is kept in the modferry folder of your configuration folder, for you alone to read, and handed to go by ' +
        "modferry goauth. The browser must run on this machine: the log-in page comes back to 127.0.0.1. A job's token or " +
        'one made with modferry token is kept with --token.',
      [
        ['modferry login --server https://goproxy.corp.example', 'With the browser'],
        ['modferry login --server https://goproxy.corp.example --no-browser', 'Only print the address'],
        [
          'modferry login --server https://goproxy.corp.example --token < token.txt',
          'A token made elsewhere',
        ],
      ],
    ),
  },
});

export const logout = buildCommand<LogoutFlags, [], CliContext>({
  loader: async () => (await import('./commands/logout.ts')).logout,
  parameters: {
    flags: {
      server: { ...serverFlag, brief: 'Which one. Default: the only one' },
      all: { kind: 'boolean', optional: true, withNegated: false, brief: 'All of them' },
    },
  },
  docs: {
    brief: 'Log out of a modferry',
    fullDescription: helpText(
      'Ends a log-in with the browser at the server and at its issuer, and forgets it. A token that was kept with ' +
        'modferry login --token is only forgotten.',
      [
        ['modferry logout', 'Of the only one'],
        ['modferry logout --all', 'Of every server'],
      ],
    ),
  },
});

export const goauth = buildCommand<object, [string?], CliContext>({
  loader: async () => (await import('./commands/goauth.ts')).goauth,
  parameters: {
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: String,
          optional: true,
          placeholder: 'URL',
          brief: 'What go was refused; go writes the answer to stdin',
        },
      ],
    },
  },
  docs: {
    brief: 'Give go the credentials of modferry login (for GOAUTH)',
    fullDescription: helpText(
      'Run by the go command, not by hand. It prints an Authorization header for each https server that you are logged in ' +
        'to, and renews a log-in that has ended where the issuer allows it.',
      [
        ["go env -w 'GOAUTH=modferry goauth;netrc'", 'For good'],
        ["GOAUTH='modferry goauth' go mod download", 'This once'],
      ],
    ),
  },
});
