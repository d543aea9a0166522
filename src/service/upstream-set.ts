/**
 * Which upstreams one configuration snapshot means: the configured ones, or what this machine's Go settings say
 * (ruling 21), as ready clients; and which module paths are private (ruling 3).
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { homedir, hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Config, ServerEntry } from '../config/snapshot.ts';
import { ModferryError } from '../lib/errors.ts';
import { bareUrl } from '../outbound/network-address.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import type { RouteTable } from '../route/types.ts';
import { authFromUrl, type UpstreamAuth } from '../upstream/credentials.ts';
import {
  decideUpstreams,
  type GoEnv,
  type OwnAddress,
  parseSaved,
  toSaved,
  type UpstreamDecision,
} from '../upstream/decide-upstreams.ts';
import { type GoproxyEnd, parseGoproxy, stopsOnError } from '../upstream/goproxy-list.ts';
import { createHttpUpstream, type HttpUpstreamOptions } from '../upstream/http-upstream.ts';
import { askGo } from '../upstream/machine-settings.ts';
import { loadNetrc, type NetrcEntry, netrcAuth } from '../upstream/netrc.ts';
import type { Upstream } from '../upstream/types.ts';
import { type ChecksumModes, checksumModes } from './checksum-modes.ts';
import { chooseDatabases } from './database-choice.ts';
import type { DirectParts } from './direct-parts.ts';
import { OutboundRules } from './outbound-rules.ts';
import { routeList } from './route-list.ts';

/** One upstream with what its order and its probes depend on. */
export interface UpstreamMember {
  readonly upstream: Upstream;
  /** Without credentials. */
  readonly url: string;
  readonly level: number;
  readonly weight: number;
  readonly probe: ServerEntry['probe'];
  /** How it is reached, for whoever asks it in another way. Holds its credentials. */
  readonly options: HttpUpstreamOptions;
}

export interface UpstreamSet {
  readonly members: readonly UpstreamMember[];
  /** What stands behind the servers in GOPROXY syntax: the client's own next entry, or nothing. */
  readonly end: GoproxyEnd;
  /** The configuration's own list ends with `direct`: repositories are asked when no upstream has a module. */
  readonly endsDirect: boolean;
  readonly routes: RouteTable;
  readonly isPrivate: (path: string) => boolean;
  /** Sources that are no upstreams. */
  readonly builtIn: readonly Upstream[];
  /** Undefined: repositories are off. */
  readonly direct: DirectParts | undefined;
  /** How hosts without a setting of their own are reached. */
  readonly outbound: ProxyRule;
  readonly checksums: ChecksumModes;
  readonly privatePatterns: readonly string[];
  readonly databases: readonly SetDatabase[];
  /** Name of the checksum database that proves modules; undefined: switched off. */
  readonly proving: string | undefined;
  /** `configuration`, or where the machine's settings came from. */
  readonly origin: string;
  readonly warnings: readonly string[];
  /** Gives back what only new requests need. Those under way may go on, until `close`. Never rejects. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

export interface BuiltIn {
  readonly upstreams: readonly Upstream[];
  readonly direct: DirectParts | undefined;
}

export interface UpstreamSetInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly instanceId: string;
  readonly version: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly ownAddresses: readonly OwnAddress[];
  /** Asked ahead of time; default: asked now. */
  readonly goEnv?: Promise<GoEnv | undefined>;
  /** Makes the sources that are no upstreams. Default: there are none. */
  readonly builtIn?: (routes: RouteTable, proxy: ProxyRule) => Promise<BuiltIn>;
  /** True: the list is not kept in the data folder for later starts. Default false. */
  readonly isReadOnly?: boolean;
}

/** One checksum database, with clients for its own addresses. */
export interface SetDatabase {
  readonly name: string;
  /** Undefined: what passes is not proven. */
  readonly verifierKey: string | undefined;
  readonly direct: readonly Upstream[];
}

interface Wanted {
  readonly url: string;
  readonly stopsOnError: boolean;
  readonly auth: UpstreamAuth | undefined;
  readonly server: ServerEntry | undefined;
}

/** Rejects with a ModferryError when a named file or proxy cannot be used. */
export async function buildUpstreamSet(input: UpstreamSetInput): Promise<UpstreamSet> {
  const { config, env, dataDir } = input;
  const savedFile = join(dataDir, 'meta', 'upstreams.json');
  const [goEnv, netrc, saved] = await Promise.all([
    input.goEnv ?? askGo({ env }),
    loadNetrc({ env, homeDir: env['HOME'] ?? homedir(), platform: process.platform }),
    readFile(savedFile, 'utf8').then(parseJson, () => undefined),
  ]);
  const decision = decideUpstreams({
    env,
    goEnv,
    ownAddresses: input.ownAddresses,
    machineNames: machineNames(),
    lastGood: parseSaved(saved),
    hasCredentials: (host) => netrcAuth(netrc.entries, host) !== undefined,
  });
  const warnings = netrc.warning === undefined ? [] : [netrc.warning];
  const { wanted, end, origin } = choose(config, decision, netrc.entries);
  if (origin !== 'configuration') warnings.push(...decision.warnings);
  const machine = machinePatterns(decision, goEnv !== undefined, saved, warnings);
  const gosumdb = gosumdbOf(decision, goEnv !== undefined, env, saved);
  const isChosen = ['environment', 'go env', 'go default'].includes(decision.origin);
  const list = isChosen && decision.entries.length > 0 ? toSaved(decision) : parseSaved(saved);
  if (input.isReadOnly !== true) {
    await save(savedFile, {
      ...(list ?? toSaved({ entries: [], end: 'none' })),
      privatePatterns: machine.privatePatterns,
      noSumdbPatterns: machine.noSumdbPatterns,
      ...(gosumdb.toSave === undefined ? {} : { gosumdb: gosumdb.toSave }),
    });
  }
  const names = new Set<string>();
  const rules = new OutboundRules(config, env);
  const members = wanted.map((one) => {
    const options = upstreamOptions(one, input, nameFor(one, names), rules);
    return {
      upstream: createHttpUpstream(options),
      url: bareUrl(new URL(one.url)).href.replace(/\/+$/, ''),
      level: one.server?.level ?? 1,
      weight: one.server?.weight ?? 100,
      probe: one.server?.probe,
      options,
    };
  });
  const choice = chooseDatabases(config, gosumdb.value);
  warnings.push(...choice.warnings);
  const databases = choice.databases.map(({ name, verifierKey, urls }) => ({
    name,
    verifierKey,
    direct: urls.map((url) =>
      createHttpUpstream(
        upstreamOptions(
          { url, stopsOnError: false, auth: undefined, server: undefined },
          input,
          new URL(url).host,
          rules,
        ),
      ),
    ),
  }));
  const all = [...members.map(({ upstream }) => upstream), ...databases.flatMap(({ direct }) => direct)];
  const privateUpstreams = members.filter(({ upstream }) => upstream.isPrivate);
  const routes = routeList(
    config,
    machine.privatePatterns,
    privateUpstreams.map(({ upstream }) => upstream.name),
  );
  checkSources(routes, members, config.direct.isEnabled);
  const isPrivate = (path: string): boolean => routes.of(path).isPrivate;
  const privatePatterns = routes.routes.flatMap((route) => (route.isPrivate ? route.patterns : []));
  const outbound = rules.ruleFor('env');
  const { upstreams: builtIn, direct } = (await input.builtIn?.(routes, outbound)) ?? {
    upstreams: [],
    direct: undefined,
  };
  if (direct !== undefined) warnings.push(...(await direct.vcs.warnings()));
  return {
    members,
    end,
    endsDirect: end === 'direct' && origin === 'configuration',
    routes,
    isPrivate,
    builtIn,
    direct,
    outbound,
    checksums: checksumModes(config.checksums, machine.noSumdbPatterns, routes),
    privatePatterns: [...new Set(privatePatterns)],
    databases,
    proving: choice.proving,
    origin,
    warnings,
    retire: () => rules.retire(),
    close: async () => {
      await Promise.all([...all, ...builtIn].map((upstream) => upstream.close()));
      await direct?.vcs.close();
      await rules.close();
    },
  };
}

/** Names of upstreams are known for certain only here. Throws ModferryError `route_source`. */
function checkSources(
  { routes }: RouteTable,
  members: readonly UpstreamMember[],
  isDirectEnabled: boolean,
): void {
  const names = members.map(({ upstream }) => upstream.name);
  for (const route of routes) {
    for (const source of route.sources ?? []) {
      if (source === 'published' || (source === 'direct' && isDirectEnabled)) continue;
      const member = members.find(({ upstream }) => upstream.name === source);
      if (member === undefined) {
        const why =
          source === 'direct'
            ? 'direct.enabled is false'
            : `there are: ${[...names, 'direct', 'published'].join(', ')}`;
        throw new ModferryError('route_source', `route ${route.name}: "${source}" is no source; ${why}`);
      }
      if (route.isPrivate && !member.upstream.isPrivate) {
        throw new ModferryError(
          'route_source',
          `route ${route.name} is private, and "${source}" is an upstream that is not; set private: true at that upstream, or leave it out of the route`,
        );
      }
    }
  }
}

interface MachinePatterns {
  readonly privatePatterns: readonly string[];
  readonly noSumdbPatterns: readonly string[];
}

/**
 * The machine's GOPRIVATE and friends. Where Go did not answer this time (a sleeping disk, a busy machine), those it
 * named last time still hold: a private name must not become public because a process was slow.
 */
function machinePatterns(
  decision: UpstreamDecision,
  goAnswered: boolean,
  saved: unknown,
  warnings: string[],
): MachinePatterns {
  if (goAnswered) return decision;
  const privatePatterns = textsOf(saved, 'privatePatterns');
  const noSumdbPatterns = textsOf(saved, 'noSumdbPatterns');
  if (privatePatterns.length + noSumdbPatterns.length > 0) {
    warnings.push(
      `this machine's go did not answer; its private patterns of the last start are used: ${privatePatterns.join(',')}`,
    );
  }
  return {
    privatePatterns: [...new Set([...decision.privatePatterns, ...privatePatterns])],
    noSumdbPatterns: [...new Set([...decision.noSumdbPatterns, ...noSumdbPatterns])],
  };
}

/**
 * GOSUMDB, and what to remember of the machine's own for a start at which Go does not answer: else a machine with a
 * database of its own would ask the official one for names that only its own knows.
 */
function gosumdbOf(
  decision: UpstreamDecision,
  goAnswered: boolean,
  env: UpstreamSetInput['env'],
  saved: unknown,
): { value: string | undefined; toSave: string | undefined } {
  const before = typeof saved === 'object' && saved !== null ? Reflect.get(saved, 'gosumdb') : undefined;
  const kept = typeof before === 'string' ? before : undefined;
  // What this process was told for itself is nobody else's business.
  if ((env['GOSUMDB']?.trim() ?? '') !== '') return { value: decision.sumdb, toSave: kept };
  return goAnswered ? { value: decision.sumdb, toSave: decision.sumdb } : { value: kept, toSave: kept };
}

function textsOf(saved: unknown, name: string): string[] {
  const value = typeof saved === 'object' && saved !== null ? Reflect.get(saved, name) : undefined;
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function choose(
  config: Config,
  decision: UpstreamDecision,
  netrc: readonly NetrcEntry[],
): { wanted: Wanted[]; end: GoproxyEnd; origin: string } {
  if (config.upstreams === undefined) {
    const wanted = decision.entries.map((entry) => ({
      url: entry.url,
      stopsOnError: entry.stopsOnError,
      auth: entry.auth ?? netrcAuth([...netrc], new URL(entry.url).hostname),
      server: undefined,
    }));
    return { wanted, end: decision.end, origin: decision.origin };
  }
  const wanted: Wanted[] = [];
  let end: GoproxyEnd = 'none';
  for (const entry of config.upstreams) {
    if (entry.kind === 'server') {
      wanted.push({
        url: entry.url,
        stopsOnError: entry.fallThrough === 'not_found',
        auth: serverAuth(entry) ?? netrcAuth([...netrc], new URL(entry.url).hostname),
        server: entry,
      });
      continue;
    }
    const list = parseGoproxy(entry.list.reveal());
    if (list.end !== 'none') end = list.end;
    for (const item of list.entries) {
      const auth = item.auth ?? netrcAuth([...netrc], new URL(item.url).hostname);
      wanted.push({
        url: item.url,
        stopsOnError: stopsOnError(item, { hasCredentials: auth !== undefined }),
        auth,
        server: undefined,
      });
    }
  }
  return { wanted, end, origin: 'configuration' };
}

function serverAuth(entry: ServerEntry): UpstreamAuth | undefined {
  if (entry.token !== undefined) return { kind: 'bearer', token: entry.token };
  if (entry.username !== undefined && entry.password !== undefined) {
    return { kind: 'basic', username: entry.username, password: entry.password };
  }
  return authFromUrl(new URL(entry.url));
}

function upstreamOptions(
  wanted: Wanted,
  input: UpstreamSetInput,
  name: string,
  rules: OutboundRules,
): HttpUpstreamOptions {
  const { config } = input;
  const { server } = wanted;
  return {
    name,
    url: wanted.url,
    isPrivate: server?.isPrivate ?? false,
    stopsOnError: wanted.stopsOnError,
    ...(wanted.auth === undefined ? {} : { auth: wanted.auth }),
    proxy: rules.ruleFor(server?.proxy ?? 'env'),
    caFile: server?.caFile ?? config.network.caFile,
    clientCertificate: server?.clientCertificate,
    connectTimeoutMs: server?.timeouts.connectMs ?? config.timeouts.connectMs,
    bodyIdleMs: server?.timeouts.idleMs ?? config.timeouts.idleMs,
    firstByteMs: server?.timeouts.firstByteMs,
    lastHopeMs: server?.timeouts.lastHopeMs ?? config.timeouts.lastHopeMs,
    maxConcurrent: server?.maxConnections ?? config.ingest.perUpstream,
    instanceId: input.instanceId,
    version: input.version,
  };
}

/** The host, with the port where it is not the usual one; numbered when two are alike. */
function nameFor(wanted: Wanted, taken: Set<string>): string {
  const { host, pathname } = new URL(wanted.url);
  const base = wanted.server?.name ?? `${host}${pathname === '/' ? '' : pathname.replace(/\/+$/, '')}`;
  let name = base;
  for (let number = 2; taken.has(name); number += 1) name = `${base}#${number}`;
  taken.add(name);
  return name;
}

function machineNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  return [hostname(), ...addresses];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The last good list is a help for a later start, never a reason to fail this one. */
async function save(file: string, saved: object): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  try {
    await writeFile(temporary, `${JSON.stringify(saved, null, 2)}\n`);
    await rename(temporary, file);
  } catch {
    // A read-only or full folder: said elsewhere.
  }
}
