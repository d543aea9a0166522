/** What the tags of a repository mean for one module in it. Pure functions over names. */
import { canonical, major } from '../../gomod/semver.ts';
import { fitsPath, isPseudoVersion, sortVersions } from '../../gomod/version.ts';
import type { ModulePlace } from './module-place.ts';

/** Both in semantic order. */
export interface TaggedVersions {
  /** Those that fit the path. */
  readonly fitting: readonly string[];
  /** v2 and above on a path that says v0 or v1, where `+incompatible` may be allowed. Without that suffix. */
  readonly incompatible: readonly string[];
}

/** The versions among `tags` (without `refs/tags/`). */
export function taggedVersions(place: ModulePlace, tags: Iterable<string>): TaggedVersions {
  const fitting: string[] = [];
  const incompatible: string[] = [];
  if (!hasTags(place)) return { fitting, incompatible };
  for (const tag of tags) {
    const version = tag.startsWith(place.tagPrefix) ? tag.slice(place.tagPrefix.length) : '';
    // `v2.0.0+incompatible` is no tag that Go would look up, and a tag like a pseudo-version would hide a commit.
    if (version === '' || version !== canonical(version) || isPseudoVersion(version)) continue;
    if (fitsPath(place.path, version)) fitting.push(version);
    else if (mayBeIncompatible(place)) incompatible.push(version);
  }
  return { fitting: sortVersions(fitting), incompatible: sortVersions(incompatible) };
}

/** The tags of gopkg.in/x.v2 are not those of gopkg.in/x.v2-unstable, and it has no others. */
function hasTags({ path }: ModulePlace): boolean {
  return !(path.startsWith('gopkg.in/') && path.endsWith('-unstable'));
}

/** Only the module at the top, by a path without a major version, can have `+incompatible` versions. */
export function mayBeIncompatible(place: ModulePlace): boolean {
  return place.directory === '' && place.pathMajor === '';
}

/**
 * The list of a module. `+incompatible` versions are left out when the highest fitting one has a go.mod, and a whole
 * major version when its highest one has.
 */
export async function listVersions(
  { fitting, incompatible }: TaggedVersions,
  hasGoMod: (version: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const highest = fitting.at(-1);
  if (incompatible.length === 0 || (highest !== undefined && (await hasGoMod(highest)))) return fitting;
  const highestOf = new Map<string, string>();
  for (const version of incompatible) highestOf.set(major(version) ?? '', version);
  const dropped = new Set<string>();
  for (const [name, version] of highestOf) if (await hasGoMod(version)) dropped.add(name);
  const kept = incompatible.filter((version) => !dropped.has(major(version) ?? ''));
  return [...fitting, ...kept.map((version) => `${version}+incompatible`)];
}

/** What one tag says of the commit it is on. */
export interface TagVersion {
  readonly version: string;
  /** False when the tag has build metadata: it can be the base of a pseudo-version, no version itself. */
  readonly isCanonical: boolean;
}

/** The version a tag means for the module; undefined: none. */
export function versionOfTag(place: ModulePlace, tag: string): TagVersion | undefined {
  // Go looks at the whole tag here: one like a pseudo-version is passed over at the top of a repository only.
  if (!tag.startsWith(place.tagPrefix) || isPseudoVersion(tag)) return undefined;
  const text = tag.slice(place.tagPrefix.length);
  const version = canonical(text);
  if (version === undefined || !text.startsWith(version)) return undefined;
  return { version, isCanonical: version === text };
}
