/**
 * Which version `@latest` is, computed from a list when no source says so (ruling 6): what `go list -m x@latest`
 * would choose. The rule is that of cmd/go/internal/modload: queryProxy and filterVersions in query.go,
 * CheckRetractions in modfile.go.
 *
 * - Tagged versions first: the highest release, else the highest pre-release.
 * - `+incompatible` versions count only when the highest compatible version has no go.mod of its own (or there is
 *   none); a compatible pre-release with a go.mod beats an incompatible release.
 * - Without a tagged version: the pseudo-version with the latest time.
 * - The go.mod of the version so chosen retracts versions; they are left out and the choice is made again. A
 *   retracted newest pseudo-version leaves no answer.
 */
import type { GoModFile, RetractInterval } from './go-mod-file.ts';
import { compareSemver } from './semver.ts';
import type { Version } from './types.ts';
import {
  isCanonical,
  isIncompatible,
  isPrerelease,
  isPseudoVersion,
  pseudoVersionTimeMs,
  sortVersions,
} from './version.ts';

export interface LatestOptions {
  /** The go.mod of a version, or undefined when it cannot be had. Asked for at most three versions. */
  goModOf(version: Version): Promise<GoModFile | undefined>;
  /** The module's path. With it a bare go.mod that names another path counts as the module's own, as in Go. */
  readonly path?: string;
}

/**
 * The latest of `versions` (any order, pseudo-versions included, non-canonical ones ignored), or undefined when
 * there is none or what is left is retracted. A go.mod that cannot be had retracts nothing and counts as the module's own.
 */
export async function latestVersion(
  versions: Iterable<string>,
  options: LatestOptions,
): Promise<Version | undefined> {
  const sorted = sortVersions(Array.from(new Set(versions)).filter((version) => isCanonical(version)));
  const highest = await choose(sorted, [], options);
  if (highest === undefined) return undefined;
  const file = await options.goModOf(highest);
  // Go loads no retractions from a file that it cannot parse.
  const retracts = file?.fault === undefined ? (file?.retracts ?? []) : [];
  return retracts.length === 0 ? highest : choose(sorted, retracts, options);
}

/** Whether any interval holds the version, by precedence: `+incompatible` is not looked at. */
export function isRetracted(version: string, retracts: readonly RetractInterval[]): boolean {
  return retracts.some(
    ({ low, high }) => compareSemver(low, version) <= 0 && compareSemver(version, high) <= 0,
  );
}

async function choose(
  sorted: readonly Version[],
  retracts: readonly RetractInterval[],
  options: LatestOptions,
): Promise<Version | undefined> {
  const tagged = await dropIncompatible(
    sorted.filter((version) => !isPseudoVersion(version) && !isRetracted(version, retracts)),
    options,
  );
  const best = tagged.findLast((version) => !isPrerelease(version)) ?? tagged.at(-1);
  if (best !== undefined) return best;
  // Go looks at one pseudo-version only: when it is retracted, an older one does not take its place.
  const newest = newestPseudo(sorted.filter((version) => isPseudoVersion(version)));
  return newest === undefined || isRetracted(newest, retracts) ? undefined : newest;
}

/** Go walks upwards and stops at the first `+incompatible` above a compatible version with a go.mod. */
async function dropIncompatible(
  sorted: readonly Version[],
  options: LatestOptions,
): Promise<readonly Version[]> {
  const firstCompatible = sorted.findIndex((version) => !isIncompatible(version));
  if (firstCompatible < 0) return sorted;
  const stop = sorted.findIndex((version, index) => index > firstCompatible && isIncompatible(version));
  if (stop < 0) return sorted;
  const lastCompatible = sorted[stop - 1];
  if (lastCompatible === undefined) return sorted;
  return (await hasGoMod(lastCompatible, options)) ? sorted.slice(0, stop) : sorted;
}

async function hasGoMod(version: Version, options: LatestOptions): Promise<boolean> {
  const file = await options.goModOf(version);
  if (file === undefined || !file.isBare) return true;
  return options.path !== undefined && file.module !== options.path;
}

function newestPseudo(versions: readonly Version[]): Version | undefined {
  let best: Version | undefined;
  let bestTimeMs = Number.NEGATIVE_INFINITY;
  for (const version of versions) {
    const timeMs = pseudoVersionTimeMs(version);
    if (timeMs === undefined || timeMs <= bestTimeMs) continue;
    best = version;
    bestTimeMs = timeMs;
  }
  return best;
}
