/** `modferry upstreams bench`: flags and help. The work is in `commands/upstreams-bench.ts` and `bench/`. */
import { buildCommand } from '@stricli/core';
import { parseDuration } from '../lib/duration.ts';
import { configFlag, dataFlag, jsonFlag } from './commands/common-flags.ts';
import type { BenchFlags } from './commands/upstreams-bench.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';

function countParser(max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= 1 && count <= max) return count;
    throw new Error(`write a whole number from 1 to ${max}`);
  };
}

const maxTimeoutMs = 600_000;

function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 100 || ms > maxTimeoutMs) {
    throw new Error('write a time from 100ms to 10m, e.g. 30s');
  }
  return ms;
}

export const upstreamsBench = buildCommand<BenchFlags, readonly string[], CliContext>({
  loader: async () => (await import('./commands/upstreams-bench.ts')).upstreamsBench,
  parameters: {
    flags: {
      module: {
        kind: 'parsed',
        parse: String,
        optional: true,
        variadic: true,
        placeholder: 'MODULE@VERSION',
        brief:
          'What to ask for, may be given again; @latest is resolved by each mirror. Default: three common ones',
      },
      rounds: {
        kind: 'parsed',
        parse: countParser(1000),
        optional: true,
        placeholder: 'N',
        brief: 'How often each file is asked for, up to 1000. Default: 3',
      },
      timeout: {
        kind: 'parsed',
        parse: parseTimeout,
        optional: true,
        placeholder: 'TIME',
        brief: 'For one request with its redirects. Default: 30s',
      },
      concurrency: {
        kind: 'parsed',
        parse: countParser(64),
        optional: true,
        placeholder: 'N',
        brief: 'Requests at once, over all mirrors. Default: 1, which measures best',
      },
      json: jsonFlag,
      data: dataFlag,
      config: configFlag,
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        placeholder: 'URL',
        brief: 'A mirror, or a list as in GOPROXY. Default: the upstreams that serve would use',
      },
    },
  },
  docs: {
    brief: 'Measure and rank mirrors: DNS, connect, TLS, first byte, total, speed, right bytes',
    fullDescription: helpText(
      'Asks every mirror for list, .info, .mod and .zip of each module, in turns, so that noise hits all alike. ' +
        'The first round opens a connection for each request, later ones keep it. Ends with a GOPROXY line and the ' +
        'upstreams for modferry.yaml. Fails when no mirror is usable.',
      [
        ['modferry upstreams bench', 'The upstreams that serve would use'],
        ['modferry upstreams bench https://goproxy.cn https://goproxy.io', 'Two mirrors'],
        [
          'modferry upstreams bench --rounds 10 --module github.com/spf13/cobra@latest "$(go env GOPROXY)"',
          "Go's own list, one module of your choice",
        ],
        ['modferry upstreams bench --json | jq -r .recommended.goproxy', 'For scripts'],
      ],
    ),
  },
});
