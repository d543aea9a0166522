/**
 * The flags of `modferry serve` and their way into the configuration: each sets one key and wins over the
 * environment and the file. What is not a flag here is a key of modferry.yaml.
 */
import { configFlag, dataFlag } from './common-flags.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export interface ServeFlags {
  readonly listen?: readonly string[];
  readonly data?: string;
  readonly upstream?: readonly string[];
  readonly config?: string;
  readonly pathPrefix?: string;
  readonly sumdb?: readonly string[];
  readonly logLevel?: (typeof logLevels)[number];
}

export const serveParameters = {
  flags: {
    listen: {
      kind: 'parsed',
      parse: String,
      optional: true,
      variadic: true,
      placeholder: 'HOST:PORT',
      brief: 'Where to listen; may be repeated. Default: localhost:8080',
    },
    data: dataFlag,
    upstream: {
      kind: 'parsed',
      parse: String,
      optional: true,
      variadic: true,
      placeholder: 'URL',
      brief:
        "Where modules come from: a URL or a list in GOPROXY's syntax; may be repeated. Default: GOPROXY of this machine's Go",
    },
    config: configFlag,
    pathPrefix: {
      kind: 'parsed',
      parse: String,
      optional: true,
      placeholder: 'PATH',
      brief: 'Path before all others, e.g. /goproxy',
    },
    sumdb: {
      kind: 'parsed',
      parse: String,
      optional: true,
      variadic: true,
      placeholder: 'DB',
      brief: "Checksum database to pass through, 'NAME[+HASH+KEY][ URL]'; may be repeated",
    },
    logLevel: {
      kind: 'enum',
      values: logLevels,
      optional: true,
      placeholder: 'LEVEL',
      brief: 'Least severity that is logged',
    },
  },
} as const;

/** The flags by the name of the key they set, for `loadSettings`. */
export function serveFlagValues(
  flags: ServeFlags,
): Readonly<Record<string, string | readonly string[] | undefined>> {
  return {
    listen: flags.listen,
    data: flags.data,
    upstreams: flags.upstream,
    path_prefix: flags.pathPrefix,
    sumdb: flags.sumdb,
    'log.level': flags.logLevel,
  };
}
