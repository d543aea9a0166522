/** `modferry audit` and `modferry deliveries`: flags and help. The work is in `commands/`. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { auditActions, auditResults } from '../audit/types.ts';
import { parseDuration } from '../lib/duration.ts';
import type { AuditFlags } from './commands/audit.ts';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { DeliveriesFlags, ReplayFlags } from './commands/deliveries.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

const maxLimit = 100_000;

function parseSince(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) throw new Error('write a time, e.g. 30m or 2d');
  return ms;
}

function parseLimit(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= maxLimit) return count;
  throw new Error(`write a whole number from 1 to ${maxLimit}`);
}

const sinceFlag = {
  kind: 'parsed',
  parse: parseSince,
  optional: true,
  placeholder: 'TIME',
  brief: 'Not older than this, e.g. 24h',
} as const;

const limitFlag = {
  kind: 'parsed',
  parse: parseLimit,
  optional: true,
  placeholder: 'N',
  brief: 'The newest so many. Default: 100',
} as const;

export const audit = buildCommand<AuditFlags, [], CliContext>({
  loader: async () => (await import('./commands/audit.ts')).audit,
  parameters: {
    flags: {
      since: sinceFlag,
      action: {
        kind: 'enum',
        values: auditActions,
        optional: true,
        placeholder: 'ACTION',
        brief: 'Of one kind',
      },
      who: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'NAME',
        brief: 'Of one user or token, e.g. token:ci or only ci',
      },
      module: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'PATTERN',
        brief: 'About these modules: a path or pattern as in GOPRIVATE',
      },
      result: {
        kind: 'enum',
        values: auditResults,
        optional: true,
        placeholder: 'RESULT',
        brief: 'With this result',
      },
      limit: limitFlag,
      follow: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Go on with new ones until Ctrl-C',
      },
      json: { ...jsonFlag, brief: 'Print one JSON object a line' },
      data: dataFlag,
      config: configFlag,
    },
    aliases: { f: 'follow', n: 'limit' },
  },
  docs: {
    brief: 'Print who did what, when, from where: publishing, purges, tokens, rules, denied access',
    fullDescription: helpText(
      'Of all processes on the data folder, the newest last, whether one is running or not.',
      [
        ['modferry audit', 'The newest 100'],
        ['modferry audit --since 24h --action publish', 'What was published today'],
        [
          "modferry audit --module 'corp.example/*' --result refused",
          'Who was turned away from these modules',
        ],
        ['modferry audit --json --follow', 'For a log collector'],
      ],
    ),
  },
});

const deliveriesList = buildCommand<DeliveriesFlags, [], CliContext>({
  loader: async () => (await import('./commands/deliveries.ts')).deliveriesList,
  parameters: {
    flags: {
      failed: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Only those that failed, wholly or in part',
      },
      limit: limitFlag,
      json: { ...jsonFlag, brief: 'Print one JSON object a line' },
      data: dataFlag,
      config: configFlag,
    },
    aliases: { n: 'limit' },
  },
  docs: {
    brief: 'List what forges told of pushes, and what came of it',
    fullDescription: helpText('Reads the data folder only. The newest last; the last 1,000 are kept.', [
      ['modferry deliveries', 'The newest 100'],
      ['modferry deliveries --failed', 'What went wrong'],
      ['modferry deliveries --json | jq .push.refs', 'For scripts'],
    ]),
  },
});

const deliveriesReplay = buildCommand<ReplayFlags, [string], CliContext>({
  loader: async () => (await import('./commands/deliveries.ts')).deliveriesReplay,
  parameters: {
    flags: { json: jsonFlag, data: dataFlag, config: configFlag },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'ID', brief: 'As modferry deliveries prints it' }],
    },
  },
  docs: {
    brief: 'Act on a delivery once more',
    fullDescription: helpText('Asks a running modferry and waits for the outcome.', [
      ['modferry deliveries replay 3f9a0c21b7de', 'After the repository can be reached again'],
    ]),
  },
});

export const deliveries = buildRouteMap<'ls' | 'replay', CliContext>({
  routes: { ls: deliveriesList, replay: deliveriesReplay },
  defaultCommand: 'ls',
  docs: { brief: 'List what forges told of pushes, and act on it again' },
});
