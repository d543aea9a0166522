/** Routes for tests: what everybody may do with everything, and private ones beside it. */
import { createRouteTable } from './route-table.ts';
import type { Route, RouteTable } from './types.ts';

export function testRoute(more: Partial<Route> = {}): Route {
  return {
    name: 'public',
    patterns: ['*'],
    isPrivate: false,
    sources: undefined,
    access: { read: [{ kind: 'anonymous' }], publish: [], admin: [], allow: [], deny: [] },
    checksums: undefined,
    freshMs: { list: undefined, query: undefined },
    keepMs: undefined,
    ...more,
  };
}

/** `privatePatterns` belong to a private route, everything else to the public one. */
export function testRoutes(privatePatterns: readonly string[] = []): RouteTable {
  const last = testRoute();
  if (privatePatterns.length === 0) return createRouteTable([last]);
  return createRouteTable([testRoute({ name: 'private', patterns: privatePatterns, isPrivate: true }), last]);
}
