/**
 * The schema of `modferry.yaml`: every key, its default, its limits and what it means. The configuration type,
 * the environment variables, the JSON schema for editors and docs/configuration.md all follow from it. Unknown
 * keys are faults.
 */
import * as z from 'zod';
import { accessSchema } from './access-schema.ts';
import { checksumsSchema, quarantineSchema, scrubSchema } from './checksums-schema.ts';
import {
  choice,
  duration,
  entryList,
  flag,
  integer,
  listOf,
  ofEntries,
  parsedBy,
  patternList,
  size,
  withDefault,
  withoutDefault,
} from './fields.ts';
import { breakerSchema, healthSchema, hedgeSchema, retrySchema, strategySchema } from './health-schema.ts';
import { routeSchema } from './routes-schema.ts';
import {
  parseListen,
  parsePacPlace,
  parsePathPrefix,
  parsePercent,
  parseProxyAddress,
  parseSumdb,
} from './shapes.ts';
import { upstreamEntrySchema, upstreamServerSchema } from './upstream-schema.ts';
import { auditSchema, directSchema, publishSchema, tlsSchema, webhooksField } from './vcs-schema.ts';

const day = 86_400_000;

const timeouts = z.strictObject({
  connect: duration({ default: '5s', about: 'To a finished TCP and TLS handshake with an upstream.' }),
  first_byte: z
    .strictObject({
      meta: duration({
        default: '5s',
        about:
          'To the status line of a small answer. After it the next upstream is asked too; the first one stays open.',
      }),
      zip: duration({ default: '10s', about: 'The same for a module zip.' }),
    })
    .prefault({})
    .describe('How long an upstream may take before the next one is asked as well.'),
  last_hope: duration({
    default: '60s',
    about:
      'How long the last upstream that is left may take to its first byte. Mirrors fetch rare versions on demand.',
  }),
  first_byte_floor: duration({
    default: '1s',
    about: 'The times above are upper bounds: with experience they follow the upstream, but not below this.',
  }),
  idle: duration({ default: '15s', about: 'An answer that brings no byte for this long is given up.' }),
  min_rate: size({
    default: '4KiB',
    about:
      'Bytes per second, over 5 s. A zip that comes slower is taken over from another upstream if one is well. 0: never.',
  }),
});

const ingest = z.strictObject({
  hold: duration({
    default: '2s',
    minMs: 0,
    about:
      'What is verified within this time goes out whole; after it the answer starts to stream with its tail held.',
  }),
  tail: size({
    default: '64KiB',
    minBytes: 1024,
    maxBytes: 16 * 1024 ** 2,
    about: 'How much of a streaming zip is held back until all of it is verified.',
  }),
  concurrency: integer({
    default: 64,
    min: 1,
    max: 4096,
    about: 'Fetches of client requests at once; more wait.',
  }),
  per_upstream: integer({
    default: 32,
    min: 1,
    max: 1024,
    about: 'Connections to one upstream. Zips take at most three quarters of them.',
  }),
  pass_through_memory: size({
    default: '64MiB',
    about: 'Memory, in all, for answers that are verified and passed on while the disk takes no more.',
  }),
  limits: z
    .strictObject({
      zip: size({
        default: '500MiB',
        minBytes: 1024,
        about: "Largest module zip. The default is Go's own limit.",
      }),
      inflated: size({
        default: '500MiB',
        minBytes: 1024,
        about: 'Largest sum of the files in a zip, measured.',
      }),
      mod: size({
        default: '16MiB',
        minBytes: 1024,
        about: "Largest go.mod. The default is Go's own limit.",
      }),
      info: size({ default: '64KiB', minBytes: 1024, about: 'Largest `.info` or `@latest` answer.' }),
      list: size({ default: '4MiB', minBytes: 1024, about: 'Largest `@v/list` answer.' }),
    })
    .prefault({})
    .describe('Larger answers of an upstream are refused, and the next upstream is asked.'),
});

const lookAhead = z.strictObject({
  enabled: flag({
    default: true,
    about: 'Fetch what a client will ask next. Never done for private modules.',
  }),
  concurrency: integer({ default: 8, min: 1, max: 256, about: 'Fetches ahead at once.' }),
  depth: integer({
    default: 1,
    min: 0,
    max: 16,
    about:
      'Levels of the module graph to follow from a go.mod that was asked for. 0 stays within the version.',
  }),
  max_zip: size({ default: '8MiB', about: 'Zips known to be larger are not fetched ahead. 0 fetches none.' }),
  bytes_in_flight: size({
    default: '64MiB',
    minBytes: 64 * 1024,
    about: 'Bytes being fetched ahead at once.',
  }),
  per_request: integer({
    default: 256,
    min: 1,
    max: 65_536,
    about: 'Artifacts fetched ahead because of one request.',
  }),
});

const freshness = z.strictObject({
  list: duration({
    default: '60s',
    minMs: 0,
    maxMs: 30 * day,
    about: '`@v/list` and `@latest` are fresh this long.',
  }),
  query: duration({
    default: '10m',
    minMs: 0,
    maxMs: 30 * day,
    about: 'Resolved branches, tags and commit prefixes.',
  }),
  private: duration({
    default: '10s',
    minMs: 0,
    maxMs: 30 * day,
    about: 'All of these for private modules.',
  }),
  stale_while_revalidate: duration({
    default: '10m',
    minMs: 0,
    maxMs: 30 * day,
    about:
      'After that a stored answer is still served at once for this long while it is refreshed behind the reply.',
  }),
  stale_if_error: duration({
    default: '30d',
    minMs: 0,
    maxMs: 3650 * day,
    about: 'A stored answer is served for this long when no upstream can be reached.',
  }),
  negative: duration({
    default: '60s',
    minMs: 0,
    maxMs: day,
    about: 'A 404 or 410 of all upstreams is remembered.',
  }),
  negative_list: duration({
    default: '30s',
    minMs: 0,
    maxMs: day,
    about: 'The same for `@v/list` and `@latest`.',
  }),
  partial: duration({
    default: '10s',
    minMs: 0,
    // A wrong 404 must not outlive the failure for long.
    maxMs: 10_000,
    about: 'The same when another upstream failed and might have known better.',
  }),
});

const memory = z.strictObject({
  hot_small: size({ default: '64MiB', about: 'Memory for often asked small files. 0 keeps none.' }),
  hot_zip: size({ default: '128MiB', about: 'Memory for often asked zips. 0 keeps none.' }),
  hot_zip_max_item: size({
    default: '64MiB',
    about: 'Larger zips are read from disk; never more than `hot_zip`.',
  }),
});

const store = z.strictObject({
  stop_at: withDefault(parsedBy(z.union([z.string(), z.number()]), parsePercent), '95%', {
    kind: 'text',
    noun: 'a percentage',
    right: 'write e.g. 95%',
    about:
      'When the disk is this full nothing more is stored; answers are passed through. Nothing is deleted.',
  }),
});

const server = z.strictObject({
  max_connections: integer({
    default: 4096,
    min: 1,
    max: 1_000_000,
    about: 'Client connections; more are refused.',
  }),
  headers_timeout: duration({ default: '10s', about: 'For a client to send its request line and headers.' }),
  request_timeout: duration({ default: '30s', about: 'For a client to send its whole request.' }),
  idle_write_timeout: duration({
    default: '60s',
    about: 'A client that takes no byte for this long is dropped.',
  }),
  keep_alive: duration({ default: '75s', about: 'An unused client connection is kept open.' }),
  max_header: size({
    default: '16KiB',
    minBytes: 4096,
    maxBytes: 1024 ** 2,
    about: 'Largest request line and headers together.',
  }),
  drain: duration({
    default: '30s',
    minMs: 0,
    about: 'After SIGTERM running answers may take this long to finish.',
  }),
  drain_wait: duration({
    default: '0s',
    minMs: 0,
    about:
      'After SIGTERM requests are still accepted for this long, while `/readyz` says 503 to the load balancer.',
  }),
});

const log = z.strictObject({
  level: choice({
    words: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    about: 'Least severity that is logged.',
  }),
  format: choice({
    words: ['auto', 'json', 'text'],
    default: 'auto',
    about: '`auto`: text on a terminal, else JSON.',
  }),
  access: choice({
    words: ['all', 'misses', 'off'],
    default: 'misses',
    about: 'Which requests get a line. Lines for hits cost about a sixth of the throughput of small files.',
  }),
});

function outboundProxy(scheme: string) {
  return withoutDefault(parsedBy(z.string(), parseProxyAddress), {
    kind: 'text',
    noun: 'a proxy address',
    right: 'write e.g. http://10.0.0.1:3128',
    about: `Outbound proxy for ${scheme} upstreams, instead of the environment's ${scheme.toUpperCase()}_PROXY.`,
    mayHoldCredentials: true,
  });
}

const network = z.strictObject({
  ca_file: withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'PEM file with certificate authorities to trust for all upstreams besides the usual ones.',
  }),
  http_proxy: outboundProxy('http'),
  https_proxy: outboundProxy('https'),
  pac: withoutDefault(parsedBy(z.string(), parsePacPlace), {
    kind: 'text',
    noun: 'a file name or URL',
    right: 'write the path of a PAC file, or its http(s) URL',
    about:
      'Proxy auto-configuration script that chooses the outbound proxy, instead of the three settings beside it.',
    mayHoldCredentials: true,
  }),
  no_proxy: withoutDefault(z.string(), {
    kind: 'text',
    noun: 'text',
    right: 'write e.g. .corp.example,10.0.0.0/8',
    about: "Hosts reached without an outbound proxy, instead of the environment's NO_PROXY.",
  }),
});

const admin = z.strictObject({
  socket: withDefault(z.string().min(1), 'auto', {
    kind: 'text',
    noun: 'a path',
    right: 'write auto, off, or the path of a socket',
    about:
      'Local socket through which `modferry purge` and the like reach this process. `auto` puts it in the data folder.',
  }),
});

/** The whole file. Input: as written, with defaults left out. Output: parsed values under the same keys. */
export const configSchema = z.strictObject({
  listen: withDefault(
    listOf(parseListen).refine((list) => list.length > 0, { error: 'names no address' }),
    'localhost:8080',
    {
      kind: 'list',
      noun: 'an address',
      right: 'write HOST:PORT, e.g. localhost:8080, or :8080 for every address of the machine',
      about:
        'Where to listen: HOST:PORT, https://HOST:PORT, unix:PATH, or a list of them. Port 0 lets the system choose.',
    },
  ),
  data: withDefault(z.string().min(1), './modferry-data', {
    kind: 'text',
    noun: 'a folder',
    right: 'write the path of a folder',
    about: 'Folder in which everything is stored. Made when it is missing.',
  }),
  path_prefix: withDefault(parsedBy(z.string(), parsePathPrefix), '', {
    kind: 'text',
    noun: 'a path prefix',
    right: 'write e.g. /goproxy',
    about: 'Path before all others, for use behind a shared host name.',
  }),
  upstreams: ofEntries(
    withoutDefault(z.array(upstreamEntrySchema).min(1), {
      kind: 'entries',
      noun: 'a list of upstreams',
      right:
        "write e.g. [https://goproxy.cn, https://goproxy.io], or leave the key out to use this machine's Go settings",
      about: "Where modules come from, in order. When left out: the GOPROXY of this machine's Go.",
      mayHoldCredentials: true,
    }),
    upstreamServerSchema,
  ),
  routes: entryList(routeSchema, {
    noun: 'a list of routes',
    right: 'write e.g. [{match: git.corp.example/*, private: true, read: [group:developers]}]',
    about:
      'Where modules come from and who may do what with them, in order. Behind them stand `private` and all the rest.',
  }),
  private: patternList(
    "Module path patterns of private modules, short for a route: from private upstreams, repositories and uploads, with the rights of `access.private`. They are never sent to an upstream that is not `private`; nor is the machine's GOPRIVATE.",
    'write patterns as in GOPRIVATE, e.g. git.corp.example/*',
  ),
  sumdb: withDefault(listOf(parseSumdb), [], {
    kind: 'list',
    noun: 'a checksum database',
    right: 'write NAME or NAME+HASH+KEY, and addresses behind spaces if they are not its own',
    about:
      'Checksum databases passed through besides the official one and the one that proves modules. With its key, what passes is proven.',
  }),
  direct: directSchema.prefault({}).describe('Modules from their repositories.'),
  access: accessSchema.prefault({}).describe('Who may do what.'),
  tls: tlsSchema.prefault({}).describe('HTTPS.'),
  publish: publishSchema.prefault({}).describe('Uploads.'),
  webhooks: webhooksField(),
  audit: auditSchema.prefault({}).describe('Who did what: `modferry audit`.'),
  checksums: checksumsSchema.prefault({}).describe('How content is proven before it is published.'),
  quarantine: quarantineSchema.prefault({}).describe('Where content goes that is not what it should be.'),
  scrub: scrubSchema.prefault({}).describe('Reading what is stored again, to notice what has changed.'),
  timeouts: timeouts.prefault({}).describe('How long upstreams may take.'),
  ingest: ingest.prefault({}).describe('How misses are fetched, verified and stored.'),
  look_ahead: lookAhead.prefault({}).describe('Fetching what the client will ask next.'),
  freshness: freshness.prefault({}).describe('How long answers that can change are good for.'),
  memory: memory.prefault({}).describe('What is kept in memory.'),
  store: store.prefault({}).describe('The folder on disk.'),
  server: server.prefault({}).describe('What clients may do.'),
  log: log.prefault({}).describe('What is logged, and how.'),
  strategy: strategySchema.prefault({}).describe('Which upstream is asked first.'),
  health: healthSchema.prefault({}).describe('When an upstream is well, suspect, out, and back.'),
  breaker: breakerSchema.prefault({}).describe('When an upstream that mostly fails is left alone.'),
  retry: retrySchema
    .prefault({})
    .describe('Asking the same upstream again. Going on to another one is no retry.'),
  hedge: hedgeSchema.prefault({}).describe('Asking a second upstream before the first has failed.'),
  network: network.prefault({}).describe('How to get out of here.'),
  watch_config: flag({
    default: false,
    about: 'Reload when the configuration file changes, besides on SIGHUP.',
  }),
  admin: admin.prefault({}).describe('Local administration.'),
});

export type ParsedConfig = z.output<typeof configSchema>;
