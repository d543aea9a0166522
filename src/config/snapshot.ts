/**
 * The configuration as the rest of modferry sees it: an immutable snapshot in our own names, numbers with their
 * units, secrets wrapped. Relative paths are kept as written; they are meant from the working directory.
 */

import { Secret } from '../lib/secret.ts';
import { accessOf, directOf, routesOf, splitPatterns, tlsOf, webhooksOf } from './access-snapshot.ts';
import type { ParsedConfig } from './schema.ts';

type DeepReadonly<Value> = Value extends Secret
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> }
    : Value;

/** One snapshot. Frozen all the way down. */
export type Config = DeepReadonly<ReturnType<typeof build>>;

/** GOPROXY text: its separators carry meaning, so it is handed on whole. May hold credentials. */
export interface GoproxyEntry {
  readonly kind: 'goproxy';
  readonly list: Secret;
}

/** One server with its own settings. What is undefined follows the general setting or is worked out. */
export interface ServerEntry {
  readonly kind: 'server';
  /** Base URL without credentials and without a trailing slash. */
  readonly url: string;
  readonly name: string | undefined;
  readonly isPrivate: boolean;
  readonly fallThrough: 'any' | 'not_found' | undefined;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly token: Secret | undefined;
  /** A secret: the URL of an outbound proxy, or `pac:` and where its script is. Either may hold credentials. */
  readonly proxy: 'direct' | 'env' | 'pac' | Secret;
  readonly caFile: string | undefined;
  readonly timeouts: {
    readonly connectMs: number | undefined;
    readonly firstByteMs: { readonly meta: number | undefined; readonly zip: number | undefined };
    readonly lastHopeMs: number | undefined;
    readonly idleMs: number | undefined;
  };
  readonly maxConnections: number | undefined;
  /** 1 is asked first; higher ones when nothing below them is well. */
  readonly level: number;
  /** Its share under the strategy `weighted`; 0 is never asked first. */
  readonly weight: number;
  /** Undefined: the general probe. `off`: only real requests tell how it is. */
  readonly probe: { readonly path: string; readonly sha256: string } | 'off' | undefined;
  readonly clientCertificate: { readonly certFile: string; readonly keyFile: string } | undefined;
}

export type UpstreamEntry = GoproxyEntry | ServerEntry;

/** What the references of secret keys resolved to, by name: `upstreams[0].token`. */
export type Secrets = ReadonlyMap<string, Secret>;

/** Builds the snapshot. */
export function toConfig(parsed: ParsedConfig, secrets: Secrets): Config {
  return deepFreeze(build(parsed, secrets));
}

function build(parsed: ParsedConfig, secrets: Secrets) {
  const {
    timeouts,
    ingest,
    look_ahead: ahead,
    freshness,
    memory,
    store,
    server,
    log,
    network,
    admin,
    strategy,
    health,
    breaker,
    retry,
    hedge,
    checksums,
    quarantine,
    scrub,
  } = parsed;
  return {
    listen: parsed.listen,
    dataDir: parsed.data,
    pathPrefix: parsed.path_prefix,
    /** Undefined: the machine's own Go settings decide. */
    upstreams: parsed.upstreams?.map((entry, index) => upstreamEntry(entry, index, secrets)),
    privatePatterns: parsed.private.flatMap(splitPatterns),
    routes: routesOf(parsed),
    direct: directOf(parsed, secrets),
    access: accessOf(parsed, secrets),
    tls: tlsOf(parsed),
    publish: {
      allowPseudoVersions: parsed.publish.pseudo_versions,
      idleMs: parsed.publish.idle,
      /** Bytes per second; 0 for no limit. */
      minRateBytes: parsed.publish.min_rate,
    },
    webhooks: webhooksOf(parsed, secrets),
    audit: { maxBytes: parsed.audit.max_size, keep: parsed.audit.keep },
    sumdbs: parsed.sumdb,
    checksums: {
      /** Undefined: the machine's GOSUMDB decides. */
      database: checksums.database,
      mode: checksums.mode,
      require: checksums.require.flatMap(splitPatterns),
      prefer: checksums.prefer.flatMap(splitPatterns),
      off: checksums.off.flatMap(splitPatterns),
      headers: checksums.headers,
      privateLookup: checksums.private_lookup,
    },
    quarantine: { maxBytes: quarantine.max_size, maxEntries: quarantine.max_entries },
    scrub: {
      isEnabled: scrub.enabled,
      /** A second; 0 for no limit. */
      rateBytes: scrub.rate,
      everyMs: scrub.every,
      firstAfterMs: scrub.first_after,
      hours: scrub.hours,
    },
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: timeouts.first_byte,
      lastHopeMs: timeouts.last_hope,
      firstByteFloorMs: timeouts.first_byte_floor,
      idleMs: timeouts.idle,
      /** Bytes per second; 0 for no limit. */
      minRateBytes: timeouts.min_rate,
    },
    strategy,
    health: {
      probe: {
        isEnabled: health.probe.enabled,
        everyMs: health.probe.every,
        idleEveryMs: health.probe.idle_every,
        outEveryMs: health.probe.out_every,
        timeoutMs: health.probe.timeout,
        path: health.probe.path,
        /** Empty: not compared, unless the path is the default one. */
        sha256: health.probe.sha256,
      },
      latencyAllowanceMs: health.latency_allowance,
      latencyLimitMs: health.latency_limit,
      outAfter: health.out_after,
      outForMs: health.out_for,
      outForMaxMs: health.out_for_max,
      goodProbes: health.good_probes,
      slowStartMs: health.slow_start,
      switchBackAfterMs: health.switch_back_after,
      betterByRatio: health.better_by,
      avoidModuleMs: health.avoid_module,
    },
    breaker: {
      windowMs: breaker.window,
      volume: breaker.volume,
      errorRatio: breaker.errors,
      openMs: breaker.open,
      openMaxMs: breaker.open_max,
      trials: breaker.trials,
    },
    retry: {
      repeats: retry.repeats,
      budgetRatio: retry.budget,
      baseMs: retry.base,
      capMs: retry.cap,
    },
    hedge: {
      enabled: hedge.enabled,
      minMs: hedge.min,
      unknownMs: hedge.unknown,
      budgetRatio: hedge.budget,
      floorPerSecond: hedge.floor,
    },
    ingest: {
      holdMs: ingest.hold,
      tailBytes: ingest.tail,
      concurrency: ingest.concurrency,
      perUpstream: ingest.per_upstream,
      passThroughMemoryBytes: ingest.pass_through_memory,
      limits: {
        zipBytes: ingest.limits.zip,
        inflatedBytes: ingest.limits.inflated,
        modBytes: ingest.limits.mod,
        infoBytes: ingest.limits.info,
        listBytes: ingest.limits.list,
      },
    },
    lookAhead: {
      enabled: ahead.enabled,
      concurrency: ahead.concurrency,
      depth: ahead.depth,
      maxZipBytes: ahead.max_zip,
      bytesInFlight: ahead.bytes_in_flight,
      perRequest: ahead.per_request,
    },
    freshness: {
      listMs: freshness.list,
      queryMs: freshness.query,
      privateMs: freshness.private,
      staleWhileRevalidateMs: freshness.stale_while_revalidate,
      staleIfErrorMs: freshness.stale_if_error,
      negativeMs: freshness.negative,
      negativeListMs: freshness.negative_list,
      partialMs: freshness.partial,
    },
    memory: {
      hotSmallBytes: memory.hot_small,
      hotZipBytes: memory.hot_zip,
      // An item larger than the cache would push everything else out and then not fit.
      hotZipMaxItemBytes: Math.min(memory.hot_zip_max_item, memory.hot_zip),
    },
    store: { stopAtRatio: store.stop_at },
    server: {
      maxConnections: server.max_connections,
      headersTimeoutMs: server.headers_timeout,
      requestTimeoutMs: server.request_timeout,
      idleWriteTimeoutMs: server.idle_write_timeout,
      keepAliveMs: server.keep_alive,
      maxHeaderBytes: server.max_header,
      drainMs: server.drain,
      drainWaitMs: server.drain_wait,
    },
    log,
    network: {
      caFile: network.ca_file,
      httpProxy: network.http_proxy,
      httpsProxy: network.https_proxy,
      noProxy: network.no_proxy,
      /** File name or URL. */
      pac: network.pac,
    },
    watchConfig: parsed.watch_config,
    /** `auto`, `off` or a path. */
    adminSocket: admin.socket,
  };
}

type ParsedEntry = NonNullable<ParsedConfig['upstreams']>[number];

function upstreamEntry(entry: ParsedEntry, index: number, secrets: Secrets): UpstreamEntry {
  if ('list' in entry) return { kind: 'goproxy', list: entry.list };
  const { timeouts } = entry;
  const passwordInUrl = entry.url.password === '' ? undefined : new Secret(decoded(entry.url.password));
  return {
    kind: 'server',
    url: baseOf(entry.url),
    name: entry.name,
    isPrivate: entry.private,
    fallThrough: entry.fall_through,
    username: entry.username ?? (entry.url.username === '' ? undefined : decoded(entry.url.username)),
    password: secrets.get(`upstreams[${index}].password`) ?? passwordInUrl,
    token: secrets.get(`upstreams[${index}].token`),
    proxy: entry.proxy ?? 'env',
    caFile: entry.ca_file,
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: { meta: timeouts.first_byte.meta, zip: timeouts.first_byte.zip },
      lastHopeMs: timeouts.last_hope,
      idleMs: timeouts.idle,
    },
    maxConnections: entry.max_connections,
    level: entry.level,
    weight: entry.weight,
    probe:
      entry.probe === undefined || entry.probe === 'off' ? entry.probe : { path: entry.probe, sha256: '' },
    clientCertificate:
      entry.client_cert === undefined || entry.client_key === undefined
        ? undefined
        : { certFile: entry.client_cert, keyFile: entry.client_key },
  };
}

/** The URL without credentials and trailing slashes. */
function baseOf(url: URL): string {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare.href.replace(/\/+$/, '');
}

/** Percent decoding that leaves text alone which is not encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function deepFreeze<Value extends object>(value: Value): Value {
  const children: unknown[] = Object.values(value);
  for (const child of children) {
    if (typeof child === 'object' && child !== null && !Object.isFrozen(child)) deepFreeze(child);
  }
  return Object.freeze(value);
}
