/**
 * What modules from repositories are made of, built from one configuration: where repositories are, who we are to
 * their hosts, and git. For the server, and for `modferry upstreams test`.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import { authorizationOf } from '../upstream/credentials.ts';
import { netrcPath } from '../upstream/netrc.ts';
import { createCredentialFinder, type ExplainingCredentialFinder } from '../vcs/credentials/finder.ts';
import {
  credentialWarnings,
  netrcWarnings,
  privateHosts,
  secretFileWarnings,
} from '../vcs/credentials/warnings.ts';
import { namedRepository } from '../vcs/find/known-hosts.ts';
import { createRepositoryFinder, type GuardedFinder } from '../vcs/find/repository-finder.ts';
import { compileRule, type RepositoryRule } from '../vcs/find/repository-rule.ts';
import { GitCaller } from '../vcs/git/git-caller.ts';
import { GitRunner, remotePlaces } from '../vcs/git/git-command.ts';
import { GitMirrorFolder } from '../vcs/git/git-mirrors.ts';
import type { GitProtocol, GitRunnerOptions } from '../vcs/git/git-options.ts';
import type { MovedTag } from '../vcs/git/mirror-options.ts';
import { MirrorSpace } from '../vcs/git/mirror-space.ts';
import { RefParser } from '../vcs/git/ref-listing.ts';
import { type GitMirrors, type GitRef, type RepositoryPlace, VcsError } from '../vcs/types.ts';
import { CaBundle } from './ca-bundle.ts';
import { credentialEntries } from './credential-entries.ts';

export interface VcsPartsInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute: what relative file names of the configuration are meant from. */
  readonly cwd: string;
  /** Absolute: for mirrors and git's home, e.g. DATA/vcs. */
  readonly folder: string;
  /** Of modules on private routes. */
  readonly isPrivate: (path: string) => boolean;
  /** See `PrivateRoutes`. */
  readonly privateRouteOf?: ((path: string) => string | undefined) | undefined;
  readonly privatePatterns: readonly string[];
  /** How hosts without a setting of their own are reached: `OutboundRules.ruleFor('env')`. */
  readonly proxy: ProxyRule;
  readonly version: string;
  readonly clock: Clock;
  readonly onTagMoved?: ((moved: MovedTag) => void) | undefined;
}

export interface VcsParts {
  readonly finder: GuardedFinder;
  /** How the finder finds the module, for people: `rule 2 of direct.repositories`. */
  readonly foundBy: (path: string) => string;
  readonly credentials: ExplainingCredentialFinder;
  /** Git connects to the addresses that the finder judged. */
  readonly mirrors: GitMirrors;
  /** Asks the server now, without a mirror. Rejects with VcsError or the signal's reason. */
  readonly refs: (
    place: RepositoryPlace,
    path: ModulePath,
    signal: AbortSignal,
  ) => Promise<readonly GitRef[]>;
  /** Sentences for the start: credentials of hosts that are not private, files with secrets that are open to others. */
  warnings(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const maxListingBytes = 256 * 2 ** 20;

/** Throws ModferryError `repository_rule` or `ca_file`. Opens and writes nothing yet. */
export function buildVcsParts(input: VcsPartsInput): VcsParts {
  const { config, env, cwd, folder, isPrivate, proxy, version, clock } = input;
  const { direct, network } = config;
  const entries = credentialEntries(direct.credentials, cwd);
  const caFile = network.caFile === undefined ? undefined : resolve(cwd, network.caFile);
  const netrcFile = direct.usesMachineNetrc ? machineNetrc(env) : undefined;
  const credentials = createCredentialFinder({
    entries,
    isPrivate,
    privateRouteOf: input.privateRouteOf,
    machineNetrc: netrcFile,
    env,
    proxy,
    caFile,
    connectTimeoutMs: config.timeouts.connectMs,
    version,
    clock,
  });

  const bundle = caFile === undefined ? undefined : new CaBundle(caFile, folder);
  const git: GitRunnerOptions = {
    command: direct.git,
    searchPath: env['PATH'] ?? '',
    homeDir: join(folder, 'home'),
    maxConcurrent: direct.concurrency,
    maxLocal: Math.max(8, Math.ceil(direct.concurrency / 4)),
    transport: {
      protocols: protocolsOf(direct),
      connectTimeoutMs: config.timeouts.connectMs,
      proxyFor: (url) => proxyUrl(proxy, url),
      caFileFor: () => bundle?.file,
      // The finder is made below: it asks for repositories by this very git.
      addressFor: (url) => finder.addressFor(url),
      followsRedirects: (url) => finder.followsRedirects(url),
      places: remotePlaces(direct.concurrency),
    },
  };
  const caller = new GitCaller(new GitRunner(git, clock), credentials, git.transport);
  const rules = direct.repositories.map(ruleOf);
  const compiled = rules.map((rule) => compileRule(rule, true));
  const trusted = privateHosts(
    input.privatePatterns.filter((pattern) => !/[*?[\\]/.test(firstElement(pattern))),
  );

  const refsOf = async (url: string, path: ModulePath, signal: AbortSignal) => {
    const parser = new RefParser();
    const result = await caller.remote({ url, path }, ['ls-remote', '--quiet', '--end-of-options', url], {
      signal,
      onData: parser.push,
      maxBytes: maxListingBytes,
    });
    if (result.error !== undefined) throw result.error;
    return parser.refs();
  };
  const finder = createRepositoryFinder({
    rules,
    guard: {
      allowHosts: direct.allowHosts,
      allowAddresses: direct.allowAddresses,
      allowPorts: direct.allowPorts,
      trustedHosts: trusted,
    },
    insecurePatterns: direct.insecure,
    probe: async (url, path, signal) => {
      try {
        await refsOf(url, path, signal);
        return true;
      } catch (error) {
        if (error instanceof VcsError && error.code === 'absent') return false;
        throw error;
      }
    },
    authorizationFor: async (url, signal) => {
      const path = `${url.host}${url.pathname}`;
      const found = await credentials.find(url.href, { path, signal });
      if (found === undefined || found.kind === 'ssh') return undefined;
      return authorizationOf(
        found.kind === 'basic'
          ? { ...found, password: new Secret(found.password) }
          : { kind: 'bearer', token: new Secret(found.token) },
      );
    },
    proxy,
    caFile,
    version,
    clock,
  });
  const dirs = ['git', 'git-anonymous'].map((name) => join(folder, name));
  const { stopAtRatio } = config.store;
  const space = new MirrorSpace({ dirs, maxBytes: direct.maxMirrorsBytes, stopAtRatio, clock });
  const mirrorsIn = (dir: string): GitMirrors =>
    new GitMirrorFolder({
      git,
      mirrors: {
        dir: join(folder, dir),
        maxRepositoryBytes: direct.maxRepositoryBytes,
        fetchTimeoutMs: direct.fetchTimeoutMs,
        onTagMoved: input.onTagMoved,
        space,
      },
      credentials,
      clock,
    });
  const mirrors = apart(credentials, mirrorsIn('git'), mirrorsIn('git-anonymous'));
  return {
    finder,
    foundBy: (path) => {
      const index = compiled.findIndex((rule) => rule.candidates(path) !== undefined);
      if (index >= 0) return `rule ${index + 1} of direct.repositories`;
      return namedRepository(path) === undefined ? 'its page (?go-get=1)' : 'the path itself';
    },
    credentials,
    mirrors,
    refs: (place, path, signal) => refsOf(place.url, path, signal),
    warnings: async () => {
      const isPrivateHost = privateHosts(input.privatePatterns);
      return [
        ...credentialWarnings(entries, isPrivateHost),
        ...(netrcFile === undefined ? [] : await netrcWarnings(netrcFile, entries, isPrivateHost)),
        ...(await secretFileWarnings(entries)),
      ];
    },
    close: async () => {
      await Promise.all([finder.close(), mirrors.close(), space.close()]);
    },
  };
}

/**
 * What was fetched with credentials lies apart: a public module of another host may name the same repository, and must
 * not be given from a mirror what its server would refuse it.
 */
function apart(
  credentials: ExplainingCredentialFinder,
  withCredentials: GitMirrors,
  anonymous: GitMirrors,
): GitMirrors {
  return {
    open: async (place, path, signal) => {
      const isAnonymous = credentials.explain(place.url, path).name === undefined;
      return await (isAnonymous ? anonymous : withCredentials).open(place, path, signal);
    },
    expire: (url) => [withCredentials.expire(url), anonymous.expire(url)].some(Boolean),
    close: async () => {
      await Promise.all([withCredentials.close(), anonymous.close()]);
    },
  };
}

function machineNetrc(env: VcsPartsInput['env']): string | undefined {
  return netrcPath({ env, homeDir: env['HOME'] ?? homedir(), platform: process.platform });
}

type Direct = Config['direct'];

/** Plain http and files only where an operator has named them. */
function protocolsOf({ repositories, insecure }: Direct): GitProtocol[] {
  const named = (scheme: string): boolean => repositories.some(({ url }) => url.startsWith(`${scheme}://`));
  return [
    'https',
    'ssh',
    ...(insecure.length > 0 || named('http') ? (['http'] as const) : []),
    ...(named('file') ? (['file'] as const) : []),
  ];
}

/** As the finder wants it. */
export function ruleOf({
  patterns,
  url,
  root,
  depth,
  probe,
}: Direct['repositories'][number]): RepositoryRule {
  return {
    patterns,
    url: url.replaceAll('{root}', '{host}/{path}'),
    root:
      root !== undefined
        ? { kind: 'explicit', path: root }
        : probe
          ? { kind: 'probe', order: 'longest' }
          : { kind: 'depth', elements: depth ?? 3 },
  };
}

/**
 * For git, which takes one address: the first. Rejects with VcsError `proxy` where the rule (a PAC script) cannot say:
 * nothing goes straight then that may have to go through a proxy.
 */
async function proxyUrl(proxy: ProxyRule, url: string): Promise<string | undefined> {
  if (!/^https?:/.test(url)) return undefined;
  try {
    const [hop] = await proxy(new URL(url));
    return hop === undefined || hop === 'direct'
      ? undefined
      : hop.url.reveal().replace(/^socks5:/, 'socks5h:');
  } catch (error) {
    throw new VcsError('proxy', messageOf(error, 200), { cause: error });
  }
}

function firstElement(pattern: string): string {
  return pattern.split('/', 1)[0] ?? '';
}
