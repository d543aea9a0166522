/**
 * Branded strings of Go's module reference. They stop mix-ups at no cost: only the checking and escaping
 * functions of this folder make them. See https://go.dev/ref/mod#module-path and #goproxy-protocol.
 */
declare const brand: unique symbol;

/** A module path as written in go.mod, unescaped and checked by Go's rules (module.CheckPath). */
export type ModulePath = string & { readonly [brand]: 'ModulePath' };
/** A canonical version (`v1.2.3`, `v2.0.0+incompatible`, a pseudo-version), unescaped and checked. */
export type Version = string & { readonly [brand]: 'Version' };
/** What stands before `.info` when it is not a canonical version: branch, tag, commit prefix, `v1`, `latest`. */
export type VersionQuery = string & { readonly [brand]: 'VersionQuery' };

/** The three immutable files of a version. */
export type ArtifactExt = 'info' | 'mod' | 'zip';

export interface ArtifactKey {
  readonly path: ModulePath;
  readonly version: Version;
  readonly ext: ArtifactExt;
}
