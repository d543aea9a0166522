/**
 * Lists of module patterns as in GOPRIVATE: comma-separated globs, each matched against as many leading elements
 * of a path as it has itself. See `go help module-private` and golang.org/x/mod/module.MatchPrefixPatterns.
 */
import { codePoints, compileGlob, type Glob, globMatches } from './glob.ts';

interface PrefixPattern {
  readonly slashes: number;
  readonly glob: Glob;
}

/** module.MatchPrefixPatterns. Empty and malformed patterns match nothing. For one-off use; see compilePatterns. */
export function matchPrefixPatterns(globs: string, path: string): boolean {
  return compilePatterns(globs)(path);
}

/**
 * The same, compiled once and asked often. The time of an answer is bounded by the path's length (2,048 for a
 * ModulePath) and the number of patterns, not by their wildcards.
 */
export function compilePatterns(globs: string): (path: string) => boolean {
  const patterns = globs.split(',').flatMap(compilePattern);
  if (patterns.length === 0) return () => false;
  return (path) => {
    const codes = codePoints(path);
    return patterns.some(({ slashes, glob }) => {
      const length = prefixLength(codes, slashes);
      return (
        length !== undefined && globMatches(glob, length === codes.length ? codes : codes.slice(0, length))
      );
    });
  };
}

function compilePattern(text: string): PrefixPattern[] {
  const trimmed = text.endsWith('/') ? text.slice(0, -1) : text;
  if (trimmed === '') return [];
  const glob = compileGlob(trimmed);
  return glob === undefined ? [] : [{ slashes: trimmed.split('/').length - 1, glob }];
}

/** Length of the first `slashes + 1` elements; undefined when there are fewer. */
function prefixLength(codes: readonly number[], slashes: number): number | undefined {
  let seen = 0;
  for (const [index, code] of codes.entries()) {
    if (code !== 0x2f) continue;
    if (seen === slashes) return index;
    seen += 1;
  }
  return seen === slashes ? codes.length : undefined;
}

/**
 * What an operator should hear about one pattern of a configuration, as a sentence; undefined for a good one. Go
 * itself ignores such patterns in silence, which would send private names out.
 */
export function patternFault(glob: string): string | undefined {
  const text = glob.trim();
  if (text === '' || text === '/') return 'The pattern is empty and matches nothing; remove it.';
  if (text !== glob) return 'The pattern has spaces around it and matches nothing; remove them.';
  if (glob.includes(',')) return 'The pattern has a comma; write one pattern per entry.';
  if (glob.includes('://')) return 'The pattern has a scheme; write host/path, e.g. git.example.com/team.';
  if (glob.startsWith('/'))
    return 'The pattern begins with a slash and matches nothing; begin with the host.';
  if (compileGlob(glob.endsWith('/') ? glob.slice(0, -1) : glob) === undefined) {
    return 'The pattern is malformed and matches nothing; close each [ with ] and end with no backslash.';
  }
  return undefined;
}
