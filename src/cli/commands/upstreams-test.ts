/** `modferry upstreams test`: which step of the way to an upstream or a repository fails, and what to do about it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ModulePath } from '../../gomod/types.ts';
import type { ProxyRule } from '../../outbound/proxy-rule.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import type { Route } from '../../route/types.ts';
import { privateRoutes } from '../../service/direct-parts.ts';
import { buildUpstreamSet, type UpstreamMember, type UpstreamSet } from '../../service/upstream-set.ts';
import { buildVcsParts, type VcsParts } from '../../service/vcs-parts.ts';
import type { UpstreamAuth } from '../../upstream/credentials.ts';
import { modulePlaceOf } from '../../vcs/module/module-place.ts';
import { taggedVersions } from '../../vcs/module/tagged-versions.ts';
import type { GitRef, RepositoryPlace } from '../../vcs/types.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { readVersion } from '../package-version.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from '../settings.ts';
import type { ConnectionWay } from '../upstream-test/connection.ts';
import type { TestedDirect } from '../upstream-test/direct-steps.ts';
import { stepText } from '../upstream-test/step-text.ts';
import {
  isMeant,
  type TestDeps,
  type TestedRoute,
  type TestTarget,
  testSteps,
} from '../upstream-test/test-steps.ts';
import type { TestedUpstream } from '../upstream-test/upstream-steps.ts';

export interface UpstreamsTestFlags extends FolderFlags {
  readonly json?: boolean;
}

/**
 * Asks the network itself, with the configuration that `serve` would use; no modferry need run. Rejects with CliError
 * `usage`, `failed` when a step failed, `interrupted`; and with ConfigError.
 */
export async function upstreamsTest(
  this: CliContext,
  flags: UpstreamsTestFlags,
  argument: string,
): Promise<void> {
  const settings = await loadFolder(this, flags);
  const abort = new AbortController();
  const unlisten = this.onSignal('SIGINT', () => abort.abort(new CliError('interrupted', 'interrupted')));
  const folder = await mkdtemp(join(tmpdir(), 'modferry-test-'));
  const { set, proxy, version } = await buildSet(this, settings);
  let parts: VcsParts | undefined;
  try {
    const upstreams = set.members.map((member) => testedUpstream(this, member));
    const target = targetOf(argument, upstreams);
    if (settings.loaded.config.direct.isEnabled) {
      parts = buildVcsParts({
        config: settings.loaded.config,
        env: this.env,
        cwd: this.cwd,
        folder,
        ...privateRoutes(set.routes),
        privatePatterns: set.privatePatterns,
        proxy,
        version,
        clock: this.clock,
      });
    }
    const text = stepText();
    const deps: TestDeps = {
      now: () => this.clock.monotonic(),
      signal: abort.signal,
      onStep: (step) => {
        if (flags.json === true) writeJsonLine(this.stdout, step);
        else this.stdout.write(text(step));
      },
      routeOf: (path) => testedRoute(set, path),
      upstreams,
      probePath: settings.loaded.config.health.probe.path,
      direct: parts === undefined ? undefined : testedDirect(this, settings, parts, proxy),
    };
    if (!(await testSteps(target, deps))) {
      throw new CliError('failed', `${argument} cannot be used; the steps marked above say why`);
    }
  } finally {
    unlisten();
    await parts?.close();
    await set.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildSet(
  context: CliContext,
  { loaded: { config }, dataDir }: FolderSettings,
): Promise<{ set: UpstreamSet; proxy: ProxyRule; version: string }> {
  const version = await readVersion();
  let proxy: ProxyRule | undefined;
  const set = await buildUpstreamSet({
    config,
    env: context.env,
    instanceId: 'test',
    version,
    dataDir,
    ownAddresses: config.listen.map(({ host, port }) => ({ host, port, pathPrefix: config.pathPrefix })),
    isReadOnly: true,
    // Not to add any, but to go the same ways.
    builtIn: async (_routes, rule) => {
      proxy = rule;
      return { upstreams: [], direct: undefined };
    },
  });
  if (proxy === undefined) throw new Error('the upstream set made no proxy rule');
  return { set, proxy, version };
}

/** Throws CliError `usage`. */
function targetOf(argument: string, upstreams: readonly TestedUpstream[]): TestTarget {
  const isHost =
    argument.includes('://') || !/[/@]/.test(argument) || upstreams.some((one) => isMeant(one, argument));
  return isHost ? { kind: 'host', text: argument } : { kind: 'module', ...parseModuleArgument(argument) };
}

function testedRoute({ routes, members, endsDirect }: UpstreamSet, path: ModulePath): TestedRoute {
  const { name, isPrivate, sources }: Route = routes.of(path);
  const all = [...members.map(({ upstream }) => upstream.name), ...(endsDirect ? ['direct'] : [])];
  return { name, isPrivate, sources: sources ?? all };
}

function testedUpstream(context: CliContext, { upstream, url, options }: UpstreamMember): TestedUpstream {
  const { caFile, clientCertificate, connectTimeoutMs = 10_000, proxy } = options;
  return {
    upstream,
    url,
    credentials: authText(options.auth),
    way: {
      proxy: proxy ?? (() => ['direct']),
      context: contextOf({ caFile, clientCertificate, clock: context.clock }),
      limit: { timeoutMs: connectTimeoutMs, clock: context.clock },
    },
  };
}

function authText(auth: UpstreamAuth | undefined): string | undefined {
  if (auth === undefined) return undefined;
  return auth.kind === 'bearer' ? 'a token' : `user "${auth.username}" and a password`;
}

function testedDirect(
  context: CliContext,
  { loaded: { config } }: FolderSettings,
  { finder, foundBy, credentials, refs }: VcsParts,
  proxy: ProxyRule,
): TestedDirect {
  const { clock, cwd } = context;
  const caFile = config.network.caFile === undefined ? undefined : resolve(cwd, config.network.caFile);
  return {
    finder,
    foundBy,
    credentials,
    refs,
    versions: versionsOf,
    way: {
      proxy,
      context: contextOf({ caFile, clientCertificate: undefined, clock }),
      limit: { timeoutMs: config.timeouts.connectMs, clock },
    },
  };
}

/** Read when they are first wanted: a file that cannot be used is a failed step and no end of the command. */
function contextOf(options: ConstructorParameters<typeof TlsFiles>[0]): ConnectionWay['context'] {
  let files: TlsFiles | undefined;
  return () => {
    files ??= new TlsFiles(options);
    return files.context(true);
  };
}

function versionsOf(place: RepositoryPlace, path: ModulePath, refs: readonly GitRef[]): string[] {
  const prefix = 'refs/tags/';
  const tags = refs
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => name.slice(prefix.length));
  const { fitting, incompatible } = taggedVersions(modulePlaceOf(place, path), tags);
  return [...fitting, ...incompatible.map((version) => `${version}+incompatible`)];
}
