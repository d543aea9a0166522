/** The source `direct`: modules from their repositories, as one configuration has them. */
import { join, resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import type { RouteTable } from '../route/types.ts';
import { createDirectSource, type DirectSource, type DirectSourceDeps } from '../vcs/direct-source.ts';
import { createGoModules } from '../vcs/go-command/go-modules.ts';
import { infoOf, subdirOf } from '../vcs/module/info-text.ts';
import { createRepositoryModule } from '../vcs/module/repository-module.ts';
import type { PrivateRoutes } from '../vcs/private-routes.ts';
import { type DerivedRepositories, deriveRepositories } from './derived-repositories.ts';
import { buildVcsParts, ruleOf, type VcsParts } from './vcs-parts.ts';

export interface DirectInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute: what relative file names are meant from. */
  readonly cwd: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly version: string;
  readonly clock: Clock;
  readonly routes: RouteTable;
  /** How hosts without a setting of their own are reached. */
  readonly proxy: ProxyRule;
  /** See `DirectSourceDeps.storedCommit`. */
  readonly storedCommit: NonNullable<DirectSourceDeps['storedCommit']>;
}

export interface DirectParts {
  readonly source: DirectSource;
  readonly vcs: VcsParts;
  /** Those at a pushed address that nobody has asked for yet, on private routes. */
  readonly derived: DerivedRepositories;
}

/** Undefined: `direct.enabled` is false. Rejects with a ModferryError when a rule or file cannot be used. */
export async function openDirect(input: DirectInput): Promise<DirectParts | undefined> {
  const { config, env, cwd, dataDir, version, clock, routes, proxy } = input;
  const { direct, ingest } = config;
  if (!direct.isEnabled) return undefined;
  const folder = join(dataDir, 'vcs');
  const privatePatterns = routes.routes.flatMap((route) => (route.isPrivate ? route.patterns : []));
  const doors = privateRoutes(routes);
  const vcs = buildVcsParts({
    config,
    env,
    cwd,
    folder,
    ...doors,
    privatePatterns,
    proxy,
    version,
    clock,
    onTagMoved: (moved) => source.tagMoved(moved),
  });
  const others = direct.otherVcs.length === 0 ? undefined : goModules(input, folder);
  const source = createDirectSource({
    finder: vcs.finder,
    mirrors: vcs.mirrors,
    moduleOf: (repository, place, path) =>
      createRepositoryModule(repository, place, path, { maxZipBytes: ingest.limits.zipBytes }),
    infoOf: (revision, place, path) => infoOf(revision, place, subdirOf(place, path)),
    otherModules: others,
    privateRoutes: doors,
    storedCommit: input.storedCommit,
    folder,
    clock,
  });
  await others?.start();
  await source.start();
  const derived = deriveRepositories(direct.repositories.map(ruleOf), (path) => {
    const route = routes.of(path);
    return route.isPrivate && route.sources?.includes('direct') === true;
  });
  return { source, vcs, derived };
}

/** What this machine's Go calls private says only what is not told: nobody is let in by it. */
export function privateRoutes(routes: RouteTable): PrivateRoutes {
  return {
    isPrivate: (path) => routes.of(path).isPrivate,
    privateRouteOf: (path) => {
      const { name, isPrivate } = routes.of(path);
      return isPrivate && name !== 'GOPRIVATE' ? name : undefined;
    },
  };
}

/** As every tool reads them: those of the configuration are URLs that may hold credentials, and go to git alone. */
function proxiesOf(env: DirectInput['env']) {
  const either = (name: string): string | undefined => env[name] ?? env[name.toUpperCase()];
  return { http: either('http_proxy'), https: either('https_proxy'), none: either('no_proxy') };
}

function goModules({ config, env, cwd, clock }: DirectInput, folder: string) {
  const { direct, ingest } = config;
  return createGoModules({
    allowed: direct.otherVcs,
    environment: {
      searchPath: env['PATH'] ?? '',
      caFile: config.network.caFile === undefined ? undefined : resolve(cwd, config.network.caFile),
      proxies: proxiesOf(env),
      insecurePatterns: direct.insecure,
    },
    folder: join(folder, 'go'),
    clock,
    timeoutMs: direct.fetchTimeoutMs,
    maxZipBytes: ingest.limits.zipBytes,
  });
}
