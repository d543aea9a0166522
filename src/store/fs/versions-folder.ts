/**
 * Reads one module's `@v` folder: which versions are there and which are complete. Foreign files (locks, editors'
 * copies, names that are no canonical version) are not seen.
 */
import type { ArtifactExt, Version } from '../../gomod/types.ts';
import { isCanonical, sortVersions, unescapeVersion } from '../../gomod/version.ts';
import { namesIn } from './files.ts';
import { artifactExts, splitFileName } from './layout.ts';

/** Versions of one folder with the artifacts each has. Rejects with the system's error; absent is empty. */
export async function readVersions(folder: string): Promise<Map<Version, Set<ArtifactExt>>> {
  const found = new Map<string, Set<ArtifactExt>>();
  for (const name of await namesIn(folder)) {
    const split = splitFileName(name);
    if (split === undefined) continue;
    const exts = found.get(split.version);
    if (exts === undefined) found.set(split.version, new Set([split.ext]));
    else exts.add(split.ext);
  }
  const versions = new Map<Version, Set<ArtifactExt>>();
  for (const [escaped, exts] of found) {
    const version = versionOf(escaped);
    if (version !== undefined) versions.set(version, exts);
  }
  return versions;
}

/** The complete ones: .info, .mod and .zip are all there. */
export async function readCompleteVersions(folder: string): Promise<Version[]> {
  const complete: Version[] = [];
  for (const [version, exts] of await readVersions(folder)) {
    if (exts.size === artifactExts.length) complete.push(version);
  }
  return complete;
}

/** The text of `@v/list`: semantic order, a line each. */
export function renderList(versions: readonly Version[]): string {
  return sortVersions(versions)
    .map((version) => `${version}\n`)
    .join('');
}

function versionOf(escaped: string): Version | undefined {
  try {
    const version = unescapeVersion(escaped);
    return isCanonical(version) ? version : undefined;
  } catch {
    return undefined;
  }
}
