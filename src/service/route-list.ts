/**
 * The one ordered list of routes that a configuration means: its own, then its `private`, then what this machine's Go
 * calls private, then everything else (design rule 5).
 */
import type { Config } from '../config/snapshot.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import { createRouteTable } from '../route/route-table.ts';
import { builtInSources, type Route, type RouteTable } from '../route/types.ts';
import { foldedPath } from '../vcs/private-routes.ts';

const asGenerally = {
  checksums: undefined,
  freshMs: { list: undefined, query: undefined },
  keepMs: undefined,
} as const;

/**
 * `machinePatterns`: GOPRIVATE and GONOPROXY of this machine. `privateUpstreams`: names of those declared private, in
 * order.
 */
export function routeList(
  config: Config,
  machinePatterns: readonly string[],
  privateUpstreams: readonly string[],
): RouteTable {
  const { access, direct } = config;
  const noAddresses = { allow: [], deny: [] };
  const privateSources = [
    ...privateUpstreams,
    ...builtInSources.filter((source) => source !== 'direct' || direct.isEnabled),
  ];
  const routes: Route[] = config.routes.map((route) => ({
    ...route,
    sources: route.sources ?? (route.isPrivate ? privateSources : undefined),
  }));
  if (config.privatePatterns.length > 0) {
    routes.push({
      ...asGenerally,
      name: 'private',
      patterns: config.privatePatterns,
      isPrivate: true,
      sources: privateSources,
      access: { ...access.private, ...noAddresses },
    });
  }
  if (machinePatterns.length > 0) {
    // Such a list says what must not be told to others. Serving it from here takes a line in the configuration.
    routes.push({
      ...asGenerally,
      name: 'GOPRIVATE',
      patterns: machinePatterns,
      isPrivate: true,
      sources: privateUpstreams,
      access: { ...access.private, ...noAddresses },
    });
  }
  routes.push({
    ...asGenerally,
    name: 'public',
    patterns: ['*'],
    isPrivate: false,
    sources: undefined,
    access: { ...access.public, ...noAddresses },
  });
  return withSpellings(withParents(withPrivateFirst(createRouteTable(routes))));
}

/**
 * `go get` asks for every prefix of a path, and `git.corp.example/*` leaves the bare host out: what stands before such
 * wildcards is as private as what is below it, unless a route of the configuration names it.
 */
function withParents(table: RouteTable): RouteTable {
  const { routes, last } = table;
  const parents = createRouteTable([
    ...routes.flatMap((route) =>
      route.isPrivate ? [{ ...route, patterns: route.patterns.flatMap(parentsOf) }] : [],
    ),
    last,
  ]);
  const byName = new Map(routes.map((route) => [route.name, route]));
  return {
    routes,
    last,
    of(path) {
      const route = table.of(path);
      return route === last ? (byName.get(parents.of(path).name) ?? last) : route;
    },
  };
}

function parentsOf(pattern: string): string[] {
  const parent = /^(.+)\/\*\/?$/.exec(pattern)?.[1] ?? '';
  return parent === '' ? [] : [parent, ...parentsOf(parent)];
}

/**
 * Forges take `Team/X` and `team/x.git` for the same repository as `team/x`. Another spelling of a private path belongs
 * to the route of that path, so that it opens no other door.
 */
function withSpellings(table: RouteTable): RouteTable {
  const { routes, last } = table;
  const folded = createRouteTable([
    ...routes
      .filter(({ isPrivate }) => isPrivate)
      .map((route) => ({ ...route, patterns: route.patterns.map(foldedPath) })),
    last,
  ]);
  const placeOf = new Map(routes.map((route, place) => [route.name, { route, place }]));
  return {
    routes,
    last,
    of(path) {
      const route = table.of(path);
      const spelling = foldedPath(path);
      const strict = placeOf.get(folded.of(spelling).name);
      if (strict === undefined || strict.route === last) return route;
      const place = placeOf.get(route.name)?.place ?? 0;
      return !route.isPrivate || strict.place < place ? strict.route : route;
    },
  };
}

/**
 * What `private` or the machine's Go names stays private, even if a route that is not private names it too: one list says
 * what is never told to others, and a `*` above it must not undo it.
 */
function withPrivateFirst(table: RouteTable): RouteTable {
  const strict = table.routes
    .filter(({ name }) => name === 'private' || name === 'GOPRIVATE')
    .map((route) => ({ route, matches: compilePatterns(route.patterns.join(',')) }));
  if (strict.length === 0) return table;
  return {
    routes: table.routes,
    last: table.last,
    of(path) {
      const route = table.of(path);
      return route.isPrivate ? route : (strict.find(({ matches }) => matches(path))?.route ?? route);
    },
  };
}
