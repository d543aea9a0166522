/** The sources that are no upstreams, for one configuration: repositories, and what was published here. */
import { resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import { PublishedSource } from '../publish/published-source.ts';
import type { Registry } from '../publish/types.ts';
import type { Store } from '../store/store.ts';
import type { NewEvent } from '../telemetry/history-types.ts';
import { movedTagEvent } from '../telemetry/service-events.ts';
import { openDirect } from './direct-parts.ts';
import type { ServiceInput } from './service-input.ts';
import { storedCommit } from './stored-commit.ts';
import type { UpstreamSetInput } from './upstream-set.ts';

export interface BuiltInInput {
  readonly input: Pick<ServiceInput, 'env' | 'cwd' | 'clock' | 'version' | 'log'>;
  readonly store: Store;
  /** Absolute. */
  readonly dataDir: string;
  readonly config: Config;
  readonly registry: Registry;
  /** For the history of events. */
  onEvent(event: NewEvent): void;
}

export function builtInSources(of: BuiltInInput): NonNullable<UpstreamSetInput['builtIn']> {
  const { input, store, dataDir, config, registry } = of;
  const { env, cwd, clock, version, log } = input;
  return async (routes, proxy) => {
    const direct = await openDirect({
      config,
      env,
      cwd: resolve(cwd),
      dataDir,
      version,
      clock,
      routes,
      proxy,
      storedCommit: (path, version) => storedCommit(store, path, version),
    });
    direct?.source.events.on('moved_tag', ({ url, tag, from, to, paths }) => {
      of.onEvent(movedTagEvent({ url, tag, from, to, paths }));
      // What is stored stays as it is: the first bytes win. Somebody should know all the same.
      log.warn({ repository: url, tag, from, to, modules: paths }, 'a tag was moved to another commit');
    });
    const published = new PublishedSource({ store, registry, clock });
    return { upstreams: direct === undefined ? [published] : [direct.source, published], direct };
  };
}
