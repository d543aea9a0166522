/** The commands that look at and steer a running modferry: flags and help. The work is in `commands/`. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { parseDuration } from '../lib/duration.ts';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { ExplainFlags } from './commands/explain.ts';
import { type ModeFlags, type ModeWord, modeWords } from './commands/mode.ts';
import type { NegativesFlags } from './commands/negatives-clear.ts';
import type { StatusFlags } from './commands/status.ts';
import type { OrderFlags } from './commands/upstreams-order.ts';
import type { ProbeFlags } from './commands/upstreams-probe.ts';
import type { UpstreamsTestFlags } from './commands/upstreams-test.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';
import { upstreamsBench } from './routes-bench.ts';

const folderFlags = { json: jsonFlag, data: dataFlag, config: configFlag } as const;

export const status = buildCommand<StatusFlags, [], CliContext>({
  loader: async () => (await import('./commands/status.ts')).status,
  parameters: {
    flags: {
      watch: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Show it again every 2 s until Ctrl-C',
      },
      ...folderFlags,
    },
    aliases: { w: 'watch' },
  },
  docs: {
    brief: 'Show how the running modferry and its upstreams are',
    fullDescription: helpText(
      'One line an upstream: state, stars, success over 24 hours, time to the first byte and its jitter over 5 ' +
        'minutes, breaker, since when, last error.',
      [
        ['modferry status', 'Now'],
        ['modferry status --watch', 'On and on'],
        ["modferry status --json | jq '.upstreams[] | {name, state, score}'", 'For scripts'],
      ],
    ),
  },
});

function parseMode(text: string): ModeWord {
  const found = modeWords.find((word) => word === text);
  if (found === undefined) throw new Error(`write one of ${modeWords.join(', ')}`);
  return found;
}

const maxModeMs = 30 * 86_400_000;

function parseFor(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000 || ms > maxModeMs)
    throw new Error('write a time from 1s to 30d, e.g. 30m');
  return ms;
}

export const mode = buildCommand<ModeFlags, [ModeWord?], CliContext>({
  loader: async () => (await import('./commands/mode.ts')).mode,
  parameters: {
    flags: {
      for: {
        kind: 'parsed',
        parse: parseFor,
        optional: true,
        placeholder: 'TIME',
        brief: 'Return to normal by itself after this, e.g. 30m',
      },
      ...folderFlags,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: parseMode,
          optional: true,
          placeholder: modeWords.join('|'),
          brief: 'Without it the mode in force is shown',
        },
      ],
    },
  },
  docs: {
    brief: 'Show or set the mode: normal, offline or direct',
    fullDescription: helpText(
      'Offline, nobody is asked for anything: what is stored is served, the rest is 404. It holds for every process ' +
        'on the data folder, within a second, and over restarts.',
      [
        ['modferry mode', 'Which one is it?'],
        ['modferry mode offline --for 30m', 'For half an hour'],
        ['modferry mode normal', 'Back'],
      ],
    ),
  },
});

const nameArgument = {
  parse: String,
  placeholder: 'NAME',
  brief: 'The upstream, as modferry status names it',
} as const;
const optionalName = { ...nameArgument, optional: true } as const;

const out = buildCommand<OrderFlags, [string], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('out'),
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [nameArgument] } },
  docs: {
    brief: 'Take an upstream out by hand',
    fullDescription: helpText(
      'It is asked for nothing, not even when all others fail, until it is put in again.',
      [['modferry upstreams out goproxy.cn', 'Until further notice']],
    ),
  },
});

const putIn = buildCommand<OrderFlags, [string], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('in'),
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [nameArgument] } },
  docs: {
    brief: 'Put an upstream in again that was taken out by hand',
    fullDescription: helpText('Its health decides again when it is asked.', [
      ['modferry upstreams in goproxy.cn', 'Back'],
    ]),
  },
});

const pin = buildCommand<OrderFlags, [string], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('pin'),
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [nameArgument] } },
  docs: {
    brief: 'Ask one upstream first, whatever its health',
    fullDescription: helpText('A request that it fails still goes on to the others.', [
      ['modferry upstreams pin goproxy.io', 'One at a time; the next pin takes its place'],
    ]),
  },
});

const unpin = buildCommand<OrderFlags, [], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('unpin'),
  parameters: { flags: folderFlags },
  docs: {
    brief: 'Let health and strategy decide again who is asked first',
    fullDescription: helpText('Undoes modferry upstreams pin.', [
      ['modferry upstreams unpin', 'Nothing is pinned then'],
    ]),
  },
});

const freeze = buildCommand<OrderFlags, [], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('freeze'),
  parameters: { flags: folderFlags },
  docs: {
    brief: 'Stop all automatic switching',
    fullDescription: helpText(
      'The order stays as it is now, whatever health says. A request that fails still goes on to the next upstream.',
      [['modferry upstreams freeze', 'While you look into it']],
    ),
  },
});

const unfreeze = buildCommand<OrderFlags, [], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).orderCommand('unfreeze'),
  parameters: { flags: folderFlags },
  docs: {
    brief: 'Let the order follow health again',
    fullDescription: helpText('Undoes modferry upstreams freeze.', [
      ['modferry upstreams unfreeze', 'Back to automatic'],
    ]),
  },
});

const clear = buildCommand<OrderFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/upstreams-order.ts')).clear,
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [optionalName] } },
  docs: {
    brief: 'Close breakers and forget suspicion and pauses',
    fullDescription: helpText('For when you know that the trouble is over. Figures and history stay.', [
      ['modferry upstreams clear goproxy.cn', 'One upstream'],
      ['modferry upstreams clear', 'All of them'],
    ]),
  },
});

const probe = buildCommand<ProbeFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/upstreams-probe.ts')).upstreamsProbe,
  parameters: { flags: folderFlags, positional: { kind: 'tuple', parameters: [optionalName] } },
  docs: {
    brief: 'Probe the upstreams of the running modferry now',
    fullDescription: helpText('The result counts for their health. Fails when a probe fails.', [
      ['modferry upstreams probe', 'All of them'],
      ['modferry upstreams probe goproxy.cn', 'One'],
    ]),
  },
});

const test = buildCommand<UpstreamsTestFlags, [string], CliContext>({
  loader: async () => (await import('./commands/upstreams-test.ts')).upstreamsTest,
  parameters: {
    flags: folderFlags,
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: String,
          placeholder: 'TARGET',
          brief: 'MODULE[@VERSION], or HOST: an upstream by name, host or URL, or a host of repositories',
        },
      ],
    },
  },
  docs: {
    brief: 'Tell which step of the way to an upstream or a repository fails',
    fullDescription: helpText(
      'Name, TCP, outbound proxy, TLS or SSH, authentication, authorisation, repository, tag: one line a step, with ' +
        'its time and what to do. Asks the network itself, as serve would; no modferry need run. Fails when a step fails.',
      [
        ['modferry upstreams test goproxy.cn', 'An upstream'],
        ['modferry upstreams test git.corp.example/team/lib@v1.2.3', 'A module, by each source of its route'],
        ['modferry upstreams test --json git.corp.example/team/lib', 'For scripts'],
      ],
    ),
  },
});

export const upstreams = buildRouteMap<
  'probe' | 'test' | 'bench' | 'out' | 'in' | 'pin' | 'unpin' | 'freeze' | 'unfreeze' | 'clear',
  CliContext
>({
  routes: { probe, test, bench: upstreamsBench, out, in: putIn, pin, unpin, freeze, unfreeze, clear },
  docs: { brief: 'Probe, test, measure and steer upstreams' },
});

const negativesClear = buildCommand<NegativesFlags, [string], CliContext>({
  loader: async () => (await import('./commands/negatives-clear.ts')).negativesClear,
  parameters: {
    flags: folderFlags,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'MODULE', brief: 'Module path' }],
    },
  },
  docs: {
    brief: 'Forget remembered 404s of a module',
    fullDescription: helpText(
      'For a version that was asked for too early. The next request asks the upstreams again.',
      [['modferry negatives clear github.com/spf13/cobra', 'In every process on the data folder']],
    ),
  },
});

export const negatives = buildRouteMap<'clear', CliContext>({
  routes: { clear: negativesClear },
  docs: { brief: 'Remembered absences' },
});

export const explain = buildCommand<ExplainFlags, [string], CliContext>({
  loader: async () => (await import('./commands/explain.ts')).explain,
  parameters: {
    flags: folderFlags,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'MODULE[@VERSION]', brief: 'What to explain' }],
    },
  },
  docs: {
    brief:
      'Tell for one module version whom modferry would ask, in which order and why, and what happened last time',
    fullDescription: helpText('Asks the running modferry only; no upstream hears of it.', [
      ['modferry explain golang.org/x/mod@v0.20.0', 'Route, order, last attempts, freshness'],
      ['modferry explain --json golang.org/x/mod', 'For scripts'],
    ]),
  },
});
