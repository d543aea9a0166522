/**
 * Names that cannot stand side by side in a module: twice the same, the same but for case, or a file where a directory
 * is. The rule of golang.org/x/mod/zip's collisionChecker.
 */
import { foldName } from './fold-name.ts';

/** The two names, without a slash at the end, and what is wrong. */
export interface NameCollision {
  readonly kind: 'duplicate' | 'file_and_directory' | 'case';
  readonly earlier: string;
  /** The path that was added, or the parent of it that collides. */
  readonly later: string;
}

/** Remembers every name it is given, with its parents. */
export class NameCollisions {
  /** Folded path → the path itself, with a trailing slash for a directory. */
  readonly #seen = new Map<string, string>();

  /** Takes a path without a slash at its end; undefined: it fits. */
  add(path: string, isDirectory: boolean): NameCollision | undefined {
    const folded = foldName(path);
    const known = this.#seen.get(folded);
    const own = isDirectory ? `${path}/` : path;
    if (known === undefined) {
      this.#seen.set(folded, own);
      const slash = path.lastIndexOf('/');
      return slash > 0 ? this.add(path.slice(0, slash), true) : undefined;
    }
    if (known === own) {
      // A directory may come again, and its parents were checked when it came first.
      return isDirectory ? undefined : { kind: 'duplicate', earlier: path, later: path };
    }
    const earlier = known.endsWith('/') ? known.slice(0, -1) : known;
    return { kind: earlier === path ? 'file_and_directory' : 'case', earlier, later: path };
  }
}
