/**
 * The border of `route/`: one ordered list says for each module path where it comes from, who may do what with it, how
 * it is proven, how long its answers are fresh and how long it is kept. The first route whose patterns match wins
 * (design rule 5: one private list).
 */
import type { AccessRules } from '../access/types.ts';

/** Sources that are no upstreams: the repository itself, and what was published here. */
export const builtInSources = ['direct', 'published'] as const;

export interface Route {
  /** Unique; the last one is `public` and matches everything. */
  readonly name: string;
  /** As in GOPRIVATE. */
  readonly patterns: readonly string[];
  /** Its names are never told to a public upstream or a public checksum database. */
  readonly isPrivate: boolean;
  /**
   * Names of upstreams and built-in sources that may be asked, in order. Undefined: every upstream that is declared for
   * this kind of route.
   */
  readonly sources: readonly string[] | undefined;
  readonly access: AccessRules;
  /** Undefined: as `checksums:` says. A private route is always `off`. */
  readonly checksums: 'require' | 'prefer' | 'off' | undefined;
  /** Milliseconds; undefined: as `freshness:` says. */
  readonly freshMs: { readonly list: number | undefined; readonly query: number | undefined };
  /** Artifacts fetched for it are removed this long after they were stored; undefined: never. Uploads stay. */
  readonly keepMs: number | undefined;
}

export interface RouteTable {
  /** In order; the last one matches everything. */
  readonly routes: readonly Route[];
  of(path: string): Route;
  /** The one for everything that no other names, and for what belongs to no module. */
  readonly last: Route;
}
