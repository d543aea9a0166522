/**
 * The one ordered list of routes that a configuration means: its own, then its `private`, then what this machine's Go
 * calls private, then everything else (design rule 5).
 */
import type { Config } from '../config/snapshot.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import { createRouteTable } from '../route/route-table.ts';
import { builtInSources, type Route, type RouteTable } from '../route/types.ts';

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
  return withMachine(createRouteTable(routes), machinePatterns);
}

/** What the machine's Go calls private stays so, even if a route of the configuration that is not private names it. */
function withMachine(table: RouteTable, machinePatterns: readonly string[]): RouteTable {
  const machine = table.routes.find(({ name }) => name === 'GOPRIVATE');
  if (machine === undefined) return table;
  const isMachine = compilePatterns(machinePatterns.join(','));
  return {
    routes: table.routes,
    last: table.last,
    of(path) {
      const route = table.of(path);
      return !route.isPrivate && isMachine(path) ? machine : route;
    },
  };
}
