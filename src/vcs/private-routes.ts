/**
 * Which door a private module is behind. Nothing may lead from one door to what is behind another: no second spelling
 * of a path, no page, no go.mod.
 */

export interface PrivateRoutes {
  /** Of modules on private routes, those included that only keep names from being told. */
  readonly isPrivate: (path: string) => boolean;
  /**
   * Name of the private route that says who may read the module; undefined: there is none. Default: everything private
   * is behind one door.
   */
  readonly privateRouteOf?: ((path: string) => string | undefined) | undefined;
}

/** The private route that `other` is on, where that is not the route of `path`, by which an asker came in. */
export function otherRoute(routes: PrivateRoutes, path: string, other: string): string | undefined {
  const { isPrivate, privateRouteOf = (one) => (isPrivate(one) ? 'private' : undefined) } = routes;
  const name = privateRouteOf(other);
  if (name !== undefined) return name === privateRouteOf(path) ? undefined : name;
  return isPrivate(other) && !isPrivate(path) ? 'private' : undefined;
}

/** One spelling for paths that forges take for the same repository: lower case, without `.git` and empty elements. */
export function foldedPath(path: string): string {
  return path
    .toLowerCase()
    .replaceAll(/\/{2,}/g, '/')
    .replaceAll(/\.git(?=\/|$)/g, '');
}
