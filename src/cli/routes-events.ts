/** `modferry events`: its flags and help. The work is in `commands/events.ts`. */
import { buildCommand } from '@stricli/core';
import { parseDuration } from '../lib/duration.ts';
import { eventKinds } from '../telemetry/history-types.ts';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { EventsFlags } from './commands/events.ts';
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

export const events = buildCommand<EventsFlags, [], CliContext>({
  loader: async () => (await import('./commands/events.ts')).events,
  parameters: {
    flags: {
      since: {
        kind: 'parsed',
        parse: parseSince,
        optional: true,
        placeholder: 'TIME',
        brief: 'Not older than this, e.g. 1h',
      },
      upstream: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'NAME',
        brief: 'Of one upstream, as modferry status names it',
      },
      kind: {
        kind: 'enum',
        values: eventKinds,
        optional: true,
        placeholder: 'KIND',
        brief: 'Of one kind',
      },
      limit: {
        kind: 'parsed',
        parse: parseLimit,
        optional: true,
        placeholder: 'N',
        brief: 'The newest so many. Default: 100',
      },
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
    brief: 'Print what happened: switches, states, breakers, take-overs, modes, disk trouble',
    fullDescription: helpText(
      'Of all processes on the data folder, the newest last, whether one is running or not. "!" marks trouble, "✗" what ' +
        'needs attention.',
      [
        ['modferry events', 'The newest 100'],
        [
          'modferry events --since 1h --upstream goproxy.cn',
          'What was wrong with one upstream in the last hour',
        ],
        ['modferry events --kind switch --follow', 'Changes of the favourite, as they come'],
        ['modferry events --json | jq -r \'select(.severity == "error") | .message\'', 'For scripts'],
      ],
    ),
  },
});
