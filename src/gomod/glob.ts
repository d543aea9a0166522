/**
 * Go's path.Match: `*` and `?` never cross a slash, `[a-z]` and `[^a-z]` do, `\` escapes. A pattern is compiled
 * once into chunks between stars. The search is greedy exactly as Go's, which differs from a backtracking matcher
 * where a class could take a slash. Names are ASCII here (module paths are): Go's star may stop within the bytes of
 * another character, ours does not. See https://pkg.go.dev/path#Match.
 */

/** One character of a pattern: a literal code point, any but a slash, or a class of ranges. */
type Term =
  | { readonly kind: 'literal'; readonly code: number }
  | { readonly kind: 'any' }
  | {
      readonly kind: 'class';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [number, number])[];
    };

interface Chunk {
  readonly afterStar: boolean;
  readonly terms: readonly Term[];
}

/** A compiled pattern. */
export type Glob = readonly Chunk[];

const slash = 0x2f;

/** Undefined when the pattern is malformed (path.ErrBadPattern), which for Go means that it matches nothing. */
export function compileGlob(pattern: string): Glob | undefined {
  if (!pattern.isWellFormed()) return undefined;
  const codes = codePoints(pattern);
  const chunks: { afterStar: boolean; terms: Term[] }[] = [];
  let current: { afterStar: boolean; terms: Term[] } | undefined;
  for (let at = 0; at < codes.length; ) {
    const code = codes[at];
    if (code === 0x2a) {
      if (current === undefined || current.terms.length > 0 || !current.afterStar) {
        current = { afterStar: true, terms: [] };
        chunks.push(current);
      }
      at += 1;
      continue;
    }
    if (current === undefined) {
      current = { afterStar: false, terms: [] };
      chunks.push(current);
    }
    const read = readTerm(codes, at);
    if (read === undefined) return undefined;
    current.terms.push(read.term);
    at = read.next;
  }
  return chunks;
}

function readTerm(codes: readonly number[], at: number): { term: Term; next: number } | undefined {
  const code = codes[at] ?? 0;
  if (code === 0x3f) return { term: { kind: 'any' }, next: at + 1 };
  if (code === 0x5b) return readClass(codes, at + 1);
  if (code !== 0x5c) return { term: { kind: 'literal', code }, next: at + 1 };
  const escaped = codes[at + 1];
  return escaped === undefined ? undefined : { term: { kind: 'literal', code: escaped }, next: at + 2 };
}

function readClass(codes: readonly number[], start: number): { term: Term; next: number } | undefined {
  const negated = codes[start] === 0x5e;
  const ranges: [number, number][] = [];
  let at = negated ? start + 1 : start;
  while (!(codes[at] === 0x5d && ranges.length > 0)) {
    const low = readClassEnd(codes, at);
    if (low === undefined) return undefined;
    at = low.next;
    let high = low;
    if (codes[at] === 0x2d) {
      const read = readClassEnd(codes, at + 1);
      if (read === undefined) return undefined;
      high = read;
      at = read.next;
    }
    ranges.push([low.code, high.code]);
  }
  return { term: { kind: 'class', negated, ranges }, next: at + 1 };
}

/** One end of a range. Undefined at `-` or `]` unescaped, and where nothing follows: the class is not closed. */
function readClassEnd(codes: readonly number[], at: number): { code: number; next: number } | undefined {
  const first = codes[at];
  if (first === undefined || first === 0x2d || first === 0x5d) return undefined;
  const next = first === 0x5c ? at + 1 : at;
  const code = codes[next];
  return code === undefined || next + 1 >= codes.length ? undefined : { code, next: next + 1 };
}

/** The code points of a text, for `globMatches`. */
export function codePoints(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

/**
 * Whether the whole of `name` matches. Each chunk is searched for once and never again, so the time is bounded by
 * the square of the name's length whatever the pattern.
 */
export function globMatches(glob: Glob, name: readonly number[]): boolean {
  let at = 0;
  for (const [index, chunk] of glob.entries()) {
    const isLast = index === glob.length - 1;
    const next = findChunk(chunk, name, at, isLast);
    if (next === undefined) return false;
    at = next;
  }
  return at === name.length;
}

/** Where the chunk's match ends, or undefined. The last chunk must end where the name does. */
function findChunk(chunk: Chunk, name: readonly number[], from: number, isLast: boolean): number | undefined {
  const latest = name.length - chunk.terms.length;
  for (let at = from; at <= latest; at += 1) {
    if ((!isLast || at === latest) && matchesAt(chunk.terms, name, at)) return at + chunk.terms.length;
    if (!chunk.afterStar || name[at] === slash) return undefined;
  }
  return undefined;
}

function matchesAt(terms: readonly Term[], name: readonly number[], at: number): boolean {
  return terms.every((term, offset) => matchesTerm(term, name[at + offset] ?? 0));
}

function matchesTerm(term: Term, code: number): boolean {
  if (term.kind === 'literal') return term.code === code;
  if (term.kind === 'any') return code !== slash;
  return term.ranges.some(([low, high]) => low <= code && code <= high) !== term.negated;
}
