/** Which entry is for which repository: the first that matches, in the order written. */
import { compilePatterns } from '../../gomod/module-pattern.ts';
import { foldedPath, otherRoute, type PrivateRoutes } from '../private-routes.ts';
import type { CredentialEntry } from './entries.ts';
import type { RepositoryUrl } from './repository-url.ts';

/**
 * `elsewhere`: it is for the module, but the repository stands on another host. `foreign`: it is for the repository,
 * but a public module of another host has led there. `other_scheme`, `unsafe`: it does not go to such an address.
 */
export type Match = 'yes' | 'no' | 'elsewhere' | 'foreign' | 'other_scheme' | 'unsafe';

export type Matcher = (repository: RepositoryUrl, path: string | undefined) => Match;

/** Compiled once. `isPrivate` says whether a module path is one whose readers are checked. */
export function compileMatcher(entry: CredentialEntry, isPrivate: (path: string) => boolean): Matcher {
  const isForSsh = entry.use.kind === 'ssh_key';
  const onHost = compilePatterns(
    entry.match
      .filter((text) => !isPattern(text))
      .map((text) => text.toLowerCase())
      .join(','),
  );
  const onPath = compilePatterns(entry.match.filter(isPattern).join(','));
  return (repository, path) => {
    const { host, port, scheme } = repository;
    const isOfModule = path !== undefined && (onHost(hostOf(path)) || onPath(path));
    const isOfRepository =
      onHost(host) ||
      (port !== '' && onHost(`${host}:${port}`)) ||
      onPath(`${host}/${repository.path}`) ||
      (path !== undefined && onPath(path) && hostOf(path) === host);
    if (!isOfRepository) return isOfModule ? 'elsewhere' : 'no';
    if (path !== undefined && !isOfModule && !isOwn(repository, path, isPrivate)) return 'foreign';
    if (scheme === 'other' || isForSsh !== (scheme === 'ssh')) return 'other_scheme';
    return repository.isSafe ? 'yes' : 'unsafe';
  };
}

/**
 * False: whoever may read this public module would read a repository of another host with our credentials, because a
 * page of its author says so.
 */
export function isOwn(
  repository: RepositoryUrl,
  path: string,
  isPrivate: (path: string) => boolean,
): boolean {
  return hostOf(path) === repository.host || isPrivate(path);
}

/**
 * The private route that the repository, or another spelling of the module's path, belongs to, where that is not the
 * module's own: whoever may read the module need not be one who may read what is there. A repository above the module
 * is the module's own, whatever route the rest of it is on.
 */
export function foreignRoute(
  repository: RepositoryUrl,
  path: string,
  routes: PrivateRoutes,
): string | undefined {
  const asked = foldedPath(path);
  const own = foldedPath(`${repository.host}/${decoded(repository.path)}`);
  const byRepository = `${asked}/`.startsWith(`${own}/`) ? undefined : otherRoute(routes, path, own);
  return byRepository ?? otherRoute(routes, path, asked);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function isPattern(text: string): boolean {
  return text.includes('/');
}

/** The first element of a module path or pattern, without a port. */
export function hostOf(path: string): string {
  return (path.split('/', 1)[0] ?? '').toLowerCase().replace(/:\d+$/, '');
}
