/** What one request to `direct` is for. */
import { unescapePath } from '../gomod/module-path.ts';
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { parseCanonicalVersion, parseVersionQuery, unescapeVersion } from '../gomod/version.ts';

export type DirectTarget =
  | { readonly kind: 'list' | 'latest'; readonly path: ModulePath }
  | { readonly kind: 'info'; readonly path: ModulePath; readonly query: VersionQuery | Version }
  | { readonly kind: 'mod'; readonly path: ModulePath; readonly version: Version }
  | { readonly kind: 'zip'; readonly path: ModulePath; readonly version: Version };

const shape = /^\/(?<path>[^?#]+?)\/(?:@latest|@v\/(?:list|(?<version>[^/]+)\.(?<ext>info|mod|zip)))$/;

/** Undefined: no repository has such a thing (checksum databases). Throws InvalidRequestError. */
export function parseDirectTarget(target: string): DirectTarget | undefined {
  const groups = shape.exec(target)?.groups;
  if (groups === undefined) return undefined;
  const { path: escaped = '', version: escapedVersion, ext } = groups;
  const path = unescapePath(escaped);
  if (escapedVersion === undefined) {
    return { kind: target.endsWith('/@latest') ? 'latest' : 'list', path };
  }
  const text = unescapeVersion(escapedVersion);
  if (ext === 'info') return { kind: 'info', path, query: parseVersionQuery(text) };
  const version = parseCanonicalVersion(path, text);
  if (version === undefined) return undefined;
  return { kind: ext === 'mod' ? 'mod' : 'zip', path, version };
}
