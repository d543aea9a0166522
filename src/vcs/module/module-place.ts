/**
 * Where in its repository a module is: its directory, the prefix of its tags, and what its path says of the major
 * version. By the rules of https://go.dev/ref/mod#vcs-dir and #vcs-version.
 */
import { splitPathVersion } from '../../gomod/module-path.ts';
import type { ModulePath } from '../../gomod/types.ts';
import { type RepositoryPlace, VcsError } from '../types.ts';

export interface ModulePlace {
  readonly path: ModulePath;
  /** The module path that the top of the repository stands for. */
  readonly root: string;
  /** The path without its major version suffix; the whole path where that is the repository's root. */
  readonly prefix: string;
  /** '', `/v2` or `.v2` (also `.v2-unstable`). */
  readonly pathMajor: string;
  /** Major version that pseudo-versions get: `v2`, or '' for v0 or v1. */
  readonly pseudoMajor: string;
  /** The module's directory ('' is the top) if it is not in a `/vN` below it. What `Origin` calls Subdir. */
  readonly directory: string;
  /** '' or the directory with a slash. */
  readonly tagPrefix: string;
  /** The directory `/vN` below `directory`, where the module may be instead; undefined: there can be none. */
  readonly majorDirectory: string | undefined;
}

/**
 * Throws VcsError: `absent` when a repository with that root cannot have the module, `refused` for a sub-directory that
 * is none.
 */
export function modulePlaceOf(
  { root, subdir }: Pick<RepositoryPlace, 'root' | 'subdir'>,
  path: ModulePath,
): ModulePlace {
  const split = splitPathVersion(path);
  if (split === undefined || !isBelow(path, root)) throw cannotContain(root, path);
  const isRoot = path === root;
  if (!isRoot && !isBelow(split.prefix, root)) throw cannotContain(root, path);
  const below = isRoot ? '' : split.prefix.slice(root.length).replaceAll(/^\/+|\/+$/g, '');
  const directory = [below, checkedDirectory(subdir)].filter((part) => part !== '').join('/');
  const { pathMajor } = split;
  const mayHaveMajorDirectory = pathMajor.startsWith('/') && !isRoot;
  return {
    path,
    root,
    prefix: isRoot ? path : split.prefix,
    pathMajor,
    pseudoMajor: pathMajor.slice(1).replace(/-unstable$/, ''),
    directory,
    tagPrefix: directory === '' ? '' : `${directory}/`,
    majorDirectory: mayHaveMajorDirectory ? inDirectory(directory, pathMajor.slice(1)) : undefined,
  };
}

/** `name` in `directory`, where '' is the top. */
export function inDirectory(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`);
}

function cannotContain(root: string, path: string): VcsError {
  return new VcsError('absent', `the repository of ${root} cannot contain the module ${path}`);
}

/** The place comes from a page of the module's host: what is no plain directory goes no further. */
function checkedDirectory(subdir: string): string {
  const parts = subdir.split('/').filter((part) => part !== '' && part !== '.');
  const isPlain = parts.every((part) => /^[^\p{C}\\:*?[\]"<>|]+$/u.test(part) && part !== '..');
  if (isPlain && subdir.length <= 1024 && !subdir.startsWith('-')) return parts.join('/');
  throw new VcsError(
    'refused',
    'the sub-directory that the host names for this module is no plain directory; correct its go-import tag',
  );
}
