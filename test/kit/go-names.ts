/**
 * Go's escaping and version order, written a second time for the test kit in the plainest way. The kit must not
 * use `src/gomod`: a fake upstream that shared a mistake with the proxy would hide it.
 */

/** `github.com/Azure/x` → `github.com/!azure/x`; for versions too. See https://go.dev/ref/mod#goproxy-protocol. */
export function escapeName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

/** The inverse of escapeName. */
export function unescapeName(escaped: string): string {
  return escaped.replaceAll(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** True for `v0.0.0-20240102030405-abcdefabcdef` and its two longer forms. */
export function isPseudoVersion(version: string): boolean {
  return /^v\d+\.(0\.0-|\d+\.\d+-([^+]*\.)?0\.)\d{14}-[A-Za-z0-9]+(\+[0-9A-Za-z-]+)?$/.test(version);
}

/** Semantic order; a build suffix (`+incompatible`) does not count. Anything that is no version comes first. */
export function compareVersions(a: string, b: string): number {
  const left = split(a);
  const right = split(b);
  for (let place = 0; place < 3; place += 1) {
    const difference = (left.numbers[place] ?? -1) - (right.numbers[place] ?? -1);
    if (difference !== 0) return difference;
  }
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let place = 0; place < Math.max(left.pre.length, right.pre.length); place += 1) {
    const difference = compareIdentifiers(left.pre[place], right.pre[place]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What `@latest` means for a set of versions: highest release, else highest pre-release, else pseudo-version. */
export function latestOf(versions: readonly string[]): string | undefined {
  const rank = (version: string): number => {
    if (isPseudoVersion(version)) return 0;
    return split(version).pre.length > 0 ? 1 : 2;
  };
  return versions.toSorted((a, b) => rank(a) - rank(b) || compareVersions(a, b)).at(-1);
}

function split(version: string): { numbers: number[]; pre: string[] } {
  const match = /^v(\d+)\.(\d+)\.(\d+)(?:-([^+]+))?(?:\+.*)?$/.exec(version);
  if (!match) return { numbers: [], pre: [] };
  return { numbers: match.slice(1, 4).map(Number), pre: match[4]?.split('.') ?? [] };
}

function compareIdentifiers(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  const aIsNumber = /^\d+$/.test(a);
  const bIsNumber = /^\d+$/.test(b);
  if (aIsNumber && bIsNumber) return Number(a) - Number(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
