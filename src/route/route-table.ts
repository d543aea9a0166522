/**
 * Which route a module path belongs to: the first one with a pattern that matches. Patterns are kept under their
 * leading elements without wildcards, so that thousands of routes cost a look-up for each element of the path, and not
 * a match each.
 */
import { LRUCache } from 'lru-cache';
import { compilePatterns } from '../gomod/module-pattern.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Route, RouteTable } from './types.ts';

/** Paths whose route is remembered, and their characters together. */
const maxRemembered = 20_000;
const maxRememberedLength = 4_000_000;
const longestRemembered = 2048;
const wildcards = /[*?[\\]/;

interface Candidate {
  readonly position: number;
  /** What the path must begin with: all before the first wildcard. Cheaper to compare than to match. */
  readonly head: string;
  /** Undefined: the pattern has no wildcard, and whatever begins with its elements matches. */
  readonly matches: ((path: string) => boolean) | undefined;
}

/** Throws ModferryError `no_routes` without any, `route_twice` when two have one name. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const last = routes.at(-1);
  if (last === undefined) {
    throw new ModferryError('no_routes', 'there is no route at all; the last one must match everything');
  }
  const names = new Set<string>();
  for (const { name } of routes) {
    if (names.has(name)) {
      throw new ModferryError('route_twice', `two routes are called "${name}"; give each its own name`);
    }
    names.add(name);
  }
  return new IndexedRoutes([...routes], last);
}

class IndexedRoutes implements RouteTable {
  readonly routes: readonly Route[];
  readonly last: Route;
  readonly #byPrefix = new Map<string, Candidate[]>();
  readonly #recent = new LRUCache<string, Route>({
    max: maxRemembered,
    maxSize: maxRememberedLength,
    sizeCalculation: (_, path) => path.length + 1,
  });

  constructor(routes: readonly Route[], last: Route) {
    this.routes = routes;
    this.last = last;
    for (const [position, { patterns }] of routes.entries()) {
      for (const pattern of patterns.flatMap((text) => text.split(','))) this.#add(position, pattern);
    }
  }

  /** The last route where none matches. Takes any text: what is no module path matches as Go would match it. */
  of(path: string): Route {
    const known = this.#recent.get(path);
    if (known !== undefined) return known;
    const route = this.routes[this.#firstMatch(path)] ?? this.last;
    if (path.length <= longestRemembered) this.#recent.set(path, route);
    return route;
  }

  #add(position: number, pattern: string): void {
    const text = pattern.endsWith('/') ? pattern.slice(0, -1) : pattern;
    if (text === '' || !text.isWellFormed()) return;
    const hasWildcard = wildcards.test(text);
    const prefix = hasWildcard ? literalPrefix(text) : text;
    const candidate = {
      position,
      head: hasWildcard ? text.slice(0, text.search(wildcards)) : text,
      matches: hasWildcard ? compilePatterns(pattern) : undefined,
    };
    const there = this.#byPrefix.get(prefix);
    if (there === undefined) this.#byPrefix.set(prefix, [candidate]);
    else there.push(candidate);
  }

  #firstMatch(path: string): number {
    let first = this.#firstUnder('', path, Number.POSITIVE_INFINITY);
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      first = this.#firstUnder(path.slice(0, at), path, first);
    }
    return this.#firstUnder(path, path, first);
  }

  /** The lower of `best` and the first matching route under this prefix. Candidates stand in the order of routes. */
  #firstUnder(prefix: string, path: string, best: number): number {
    const candidates = this.#byPrefix.get(prefix);
    if (candidates === undefined) return best;
    for (const { position, head, matches } of candidates) {
      if (position >= best) return best;
      if (matches === undefined || (path.startsWith(head) && matches(path))) return position;
    }
    return best;
  }
}

/** The elements before the first one with a wildcard: `a/b` of `a/b/c*`, '' of `*.example/x`. */
function literalPrefix(pattern: string): string {
  const end = pattern.lastIndexOf('/', pattern.search(wildcards));
  return end < 0 ? '' : pattern.slice(0, end);
}
