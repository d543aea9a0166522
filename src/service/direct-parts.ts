/** The source `direct`: modules from their repositories, as one configuration has them. */
import { join, resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import type { RouteTable } from '../route/types.ts';
import { createDirectSource, type DirectSource } from '../vcs/direct-source.ts';
import { createGoModules } from '../vcs/go-command/go-modules.ts';
import { infoOf, subdirOf } from '../vcs/module/info-text.ts';
import { createRepositoryModule } from '../vcs/module/repository-module.ts';
import { buildVcsParts, type VcsParts } from './vcs-parts.ts';

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
}

export interface DirectParts {
  readonly source: DirectSource;
  readonly vcs: VcsParts;
}

/** Undefined: `direct.enabled` is false. Rejects with a ModferryError when a rule or file cannot be used. */
export async function openDirect(input: DirectInput): Promise<DirectParts | undefined> {
  const { config, env, cwd, dataDir, version, clock, routes, proxy } = input;
  const { direct, ingest } = config;
  if (!direct.isEnabled) return undefined;
  const folder = join(dataDir, 'vcs');
  const privatePatterns = routes.routes.flatMap((route) => (route.isPrivate ? route.patterns : []));
  const vcs = buildVcsParts({
    config,
    env,
    cwd,
    folder,
    isPrivate: (path) => routes.of(path).isPrivate,
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
    folder,
    clock,
  });
  await others?.start();
  await source.start();
  return { source, vcs };
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
