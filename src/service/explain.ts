/** `modferry explain`: what is kept of a module, whom it would be asked of and why, and what they said last time. */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Explained } from '../health/plan/explained.ts';
import type { Mode } from '../health/types.ts';
import type { KeptFacts } from '../proxy/explain.ts';
import type { Answering } from './answering.ts';
import type { LastFetch, LastFetches } from './last-fetches.ts';
import type { Mirrors } from './mirrors.ts';

/** Plain data: it goes over the admin socket as JSON. */
export interface Explanation {
  /** Its name. */
  readonly route: string;
  readonly mode: Mode;
  /** Whom a small file would be asked of now, in order. */
  readonly sources: readonly Explained[];
  /** By artifact (info, mod, zip), of this process. */
  readonly lastFetches: Readonly<Record<string, LastFetch>>;
  readonly kept: KeptFacts;
}

/** Asks no source. */
export async function explain(
  deps: { readonly mirrors: Mirrors; readonly answering: Answering; readonly lastFetches: LastFetches },
  path: ModulePath,
  version: Version | undefined,
): Promise<Explanation> {
  const { mirrors, answering, lastFetches } = deps;
  return {
    ...mirrors.explain(path, 'meta'),
    mode: mirrors.controls.mode,
    lastFetches: version === undefined ? {} : lastFetches.of(path, version),
    kept: await answering.proxy.explain(path, version),
  };
}
