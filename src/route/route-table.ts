/**
 * Which route a module path belongs to: the first one with a pattern that matches. Patterns are kept by what stands
 * before their first wildcard, so that thousands of routes cost a look-up for each length of these heads, and not a match
 * each.
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
  /** Whether a path that begins with the candidate's head matches. */
  readonly matches: (path: string) => boolean;
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
  readonly #byHead = new Map<string, Candidate[]>();
  /** Each once; few, however many routes there are. */
  readonly #headLengths: number[] = [];
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
    const at = text.search(wildcards);
    const head = at < 0 ? text : text.slice(0, at);
    const matches = at < 0 ? (path: string) => endsElement(path, text.length) : compilePatterns(pattern);
    const there = this.#byHead.get(head);
    if (there === undefined) this.#byHead.set(head, [{ position, matches }]);
    else there.push({ position, matches });
    if (!this.#headLengths.includes(head.length)) this.#headLengths.push(head.length);
  }

  #firstMatch(path: string): number {
    let first = Number.POSITIVE_INFINITY;
    for (const length of this.#headLengths) {
      if (length > path.length) continue;
      // Candidates stand in the order of routes.
      for (const { position, matches } of this.#byHead.get(path.slice(0, length)) ?? []) {
        if (position >= first) break;
        if (matches(path)) first = position;
      }
    }
    return first;
  }
}

/** True when an element of the path ends there. */
function endsElement(path: string, at: number): boolean {
  return at === path.length || path[at] === '/';
}
