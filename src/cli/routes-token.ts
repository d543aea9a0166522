/** `modferry token`: flags and help. The work is in `commands/`. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { parseDuration } from '../lib/duration.ts';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { TokenCreateFlags, TokenFlags } from './commands/token.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const placeFlags = {
  server: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'URL',
    brief: 'A modferry elsewhere; needs a token with the right admin',
  },
  token: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'TOKEN',
    brief:
      'For --server. Default: $MODFERRY_TOKEN, else the log-in of modferry login. Others may see arguments',
  },
  caFile: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'FILE',
    brief: "PEM file with certificate authorities to trust besides the system's",
  },
  json: jsonFlag,
  data: dataFlag,
  config: configFlag,
} as const;

const listFlag = { kind: 'parsed', parse: String, optional: true, variadic: ',' } as const;

function parseExpiry(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  throw new Error('write a duration such as 90d or 12h');
}

const create = buildCommand<TokenCreateFlags, [string], CliContext>({
  loader: async () => (await import('./commands/token.ts')).tokenCreate,
  parameters: {
    flags: {
      read: { ...listFlag, placeholder: 'PATTERNS', brief: 'Modules it may read at most. Default: all' },
      publish: {
        ...listFlag,
        placeholder: 'PATTERNS',
        brief: 'Modules it may publish at most. Default: none',
      },
      admin: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'It may use the right admin where the rules give it',
      },
      group: { ...listFlag, placeholder: 'GROUP', brief: 'Groups it counts as a member of' },
      expires: {
        kind: 'parsed',
        parse: parseExpiry,
        optional: true,
        placeholder: 'DURATION',
        brief: 'How long it is good, e.g. 90d. Default: until it is revoked',
      },
      ...placeFlags,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'NAME', brief: 'Names it in rules, lists and audit' }],
    },
  },
  docs: {
    brief: 'Make a token for a machine',
    fullDescription: helpText(
      'The token is printed once and kept nowhere: only its hash is. What it may do is what the rules of the routes ' +
        'give to tokens, to it by name (token:NAME) or to its groups, and never more than the flags here say. Works ' +
        'beside a running modferry and without one.',
      [
        ['modferry token create ci --read corp.example --expires 90d', 'A token that reads'],
        ['modferry token create release --publish corp.example/team-a', 'A token that publishes as well'],
        ['modferry token create ops --admin --server https://goproxy.corp.example', 'On a server elsewhere'],
      ],
    ),
  },
});

const list = buildCommand<TokenFlags, [], CliContext>({
  loader: async () => (await import('./commands/token.ts')).tokenList,
  parameters: { flags: placeFlags },
  docs: {
    brief: 'List the tokens, log-ins included',
    fullDescription: helpText('Id, kind, name, end, last use and what it may do; never the token.', [
      ['modferry token list', 'Of the data folder here'],
      ['modferry token list --json | jq -r .name', 'For scripts'],
    ]),
  },
});

const revoke = buildCommand<TokenFlags, [string], CliContext>({
  loader: async () => (await import('./commands/token.ts')).tokenRevoke,
  parameters: {
    flags: placeFlags,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'TOKEN', brief: 'Its id or name, not the token itself' }],
    },
  },
  docs: {
    brief: 'Make a token worthless',
    fullDescription: helpText(
      'Every process on the data folder refuses it within 5 s. Putting an older token file back does not revive it.',
      [
        ['modferry token revoke ci', 'By name'],
        ['modferry token revoke 3f2a91bc04d5', 'By id, as for a log-in'],
      ],
    ),
  },
});

export const token = buildRouteMap<'create' | 'list' | 'revoke', CliContext>({
  routes: { create, list, revoke },
  docs: { brief: 'Tokens for machines, and the log-ins of people' },
});
