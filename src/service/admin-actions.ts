/** What the admin socket can do, by method and path: checked input, plain answers. */
import { parseModulePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { parseCanonicalVersion } from '../gomod/version.ts';
import type { AdminActions } from '../http/admin.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { OpenRegistry } from '../publish/registry.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import type { Answering } from './answering.ts';
import { explain } from './explain.ts';
import type { LastFetches } from './last-fetches.ts';
import type { Mirrors } from './mirrors.ts';
import { proofActions } from './proof-actions.ts';
import type { Prover } from './prover.ts';
import type { Upkeep } from './upkeep.ts';

export interface AdminActionsDeps {
  status(): Promise<object>;
  reload(): Promise<object>;
  readonly store: FsStore;
  readonly registry: Pick<OpenRegistry, 'purge'>;
  readonly mirrors: Mirrors;
  readonly answering: Answering;
  readonly clock: Clock;
  readonly prover: Prover;
  readonly upkeep: Upkeep;
  readonly lastFetches: LastFetches;
}

export function adminActions(deps: AdminActionsDeps): AdminActions {
  const { registry, mirrors, answering } = deps;
  return {
    ...proofActions({
      ...deps,
      zips: answering.verifier,
      forgetAnswers: () => answering.forgetAnswers(),
    }),
    'GET /status': () => deps.status(),
    'POST /reload': () => deps.reload(),
    'POST /purge': async (ask) => {
      const path = modulePathOf(ask['module']);
      const version = versionOf(path, ask['version']);
      return registry.purge({ path, version, isForced: forceOf(ask['force']), who: 'local' });
    },
    'GET /controls': async () => mirrors.controls,
    'POST /controls': (ask) => mirrors.order(ask),
    'POST /upstreams/clear': async (ask) => ({ cleared: mirrors.clear(nameOf(ask['upstream'])) }),
    'POST /upstreams/probe': async (ask) => ({ probes: await mirrors.probeNow(nameOf(ask['upstream'])) }),
    'POST /negatives/clear': async (ask) => ({
      cleared: answering.proxy.clearNegatives(modulePathOf(ask['module'])),
    }),
    'GET /explain': (ask) => {
      const path = modulePathOf(ask['module']);
      return explain(deps, path, versionOf(path, ask['version']));
    },
  };
}

function modulePathOf(text: unknown): ModulePath {
  if (typeof text === 'string') return parseModulePath(text);
  throw new ModferryError('bad_request', 'name a module: {"module": …}');
}

function versionOf(path: ModulePath, text: unknown): Version | undefined {
  if (text === undefined) return undefined;
  const version = typeof text === 'string' ? parseCanonicalVersion(path, text) : undefined;
  if (version !== undefined) return version;
  throw new ModferryError('invalid_version', `${JSON.stringify(text)} is not a canonical version of ${path}`);
}

function forceOf(value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new ModferryError('bad_request', 'force is true or false');
}

function nameOf(text: unknown): string | undefined {
  if (text === undefined || typeof text === 'string') return text;
  throw new ModferryError('bad_request', 'an upstream is named by text');
}
