/** The `.info` that the go command writes for a version it took from a repository. */

import type { ModulePath } from '../../gomod/types.ts';
import { isPseudoVersion } from '../../gomod/version.ts';
import type { ModuleRevision, RepositoryPlace } from '../types.ts';
import { modulePlaceOf } from './module-place.ts';

/**
 * The JSON text, without a line end. `subdir`: the module's directory, see `subdirOf`. As in Go's cache, a
 * pseudo-version has no Ref: it means its commit whatever the ref comes to mean.
 */
export function infoOf(
  { version, time, commit, ref }: ModuleRevision,
  { vcs, url }: Pick<RepositoryPlace, 'vcs' | 'url'>,
  subdir: string,
): string {
  const origin = {
    VCS: vcs,
    URL: url,
    ...(subdir === '' ? {} : { Subdir: subdir }),
    Hash: commit,
    ...(ref === undefined || isPseudoVersion(version) ? {} : { Ref: ref }),
  };
  const text = JSON.stringify({ Version: version, Time: time, Origin: origin });
  // Go writes these so that the text can stand in a web page.
  return text.replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** What `Origin` calls Subdir: the directory the module's path means, even where it is in the `/vN` below it. */
export function subdirOf(place: Pick<RepositoryPlace, 'root' | 'subdir'>, path: ModulePath): string {
  return modulePlaceOf(place, path).directory;
}
