/**
 * Which directory of a commit is the module: the one the path names, or the `/vN` below it; and whether its go.mod lets
 * it be that module. See https://go.dev/ref/mod#vcs-dir.
 */
import { moduleLinePath } from '../../gomod/module-line.ts';
import { splitPathVersion } from '../../gomod/module-path.ts';
import { major } from '../../gomod/semver.ts';
import { VcsError } from '../types.ts';
import { inDirectory, type ModulePlace } from './module-place.ts';

export interface ModuleDirectory {
  /** '' is the top of the repository. */
  readonly directory: string;
  /** Undefined: there is none, and none is needed. */
  readonly goMod: Buffer | undefined;
}

/** Reads a file of the commit in question; undefined: it is not there. */
export type ReadFile = (path: string) => Promise<Buffer | undefined>;

/** Rejects with VcsError `absent` and Go's kind of reason when the commit has no such module. */
export async function findModuleDirectory(
  place: ModulePlace,
  version: string,
  read: ReadFile,
): Promise<ModuleDirectory> {
  const goMod = await read(inDirectory(place.directory, 'go.mod'));
  const own = goMod === undefined ? undefined : moduleLinePath(goMod);
  const isOwn = own !== undefined && (isOfMajor(own, place.pathMajor) || wasTakenByMistake(own, place));
  if (place.majorDirectory !== undefined) {
    const found = await inMajorDirectory(place, place.majorDirectory, isOwn, version, read);
    if (found !== undefined) return found;
  }
  if (goMod !== undefined && isOwn) return { directory: place.directory, goMod };
  if (own !== undefined) throw absent(place, version, mismatch(place, own, version));
  const isAtTop = place.directory === '' && !place.pathMajor.startsWith('/');
  if (isAtTop) return { directory: '', goMod: undefined };
  const other = place.majorDirectory === undefined ? '' : ` and no ${place.majorDirectory}/go.mod`;
  throw absent(place, version, `there is no ${inDirectory(place.directory, 'go.mod')}${other}`);
}

async function inMajorDirectory(
  place: ModulePlace,
  directory: string,
  isOwn: boolean,
  version: string,
  read: ReadFile,
): Promise<ModuleDirectory | undefined> {
  const file = `${directory}/go.mod`;
  const goMod = await read(file);
  if (goMod === undefined) return undefined;
  const declared = moduleLinePath(goMod);
  if (isOfMajor(declared, place.pathMajor)) {
    if (!isOwn) return { directory, goMod };
    const upper = inDirectory(place.directory, 'go.mod');
    throw absent(place, version, `both ${upper} and ${file} declare a ${place.pathMajor} module path`);
  }
  if (declared === '') throw absent(place, version, `${file} has no module path`);
  throw absent(
    place,
    version,
    `${file} declares the module path ${JSON.stringify(declared)}, which does not end in ${place.pathMajor}`,
  );
}

function mismatch(place: ModulePlace, declared: string, version: string): string {
  const file = inDirectory(place.directory, 'go.mod');
  const other = place.majorDirectory === undefined ? '' : ` and there is no ${place.majorDirectory}/go.mod`;
  if (declared === '') return `${file} has no module path${other}`;
  const quoted = JSON.stringify(declared);
  if (place.pathMajor !== '') {
    return `${file} declares the module path ${quoted}, which does not end in ${place.pathMajor}${other}`;
  }
  if (splitPathVersion(declared) === undefined) {
    return `${file} declares the malformed module path ${quoted}${other}`;
  }
  return `${file} declares the module path ${quoted}, of a major version after ${major(version) ?? version}${other}`;
}

/** Whether the versions of the declared path can be those of a path with this suffix. */
function isOfMajor(declared: string, pathMajor: string): boolean {
  const own = declared === '' ? undefined : splitPathVersion(declared)?.pathMajor;
  if (own === undefined) return false;
  // gopkg.in's .v0 and .v1 follow the rules of a path without suffix.
  if (pathMajor === '') return ['', 'v0', 'v1'].includes(own.slice(1).replace(/-unstable$/, ''));
  return own !== '' && own.slice(1) === pathMajor.slice(1);
}

/** An old bug of Go took gopkg.in modules for replacements of paths without suffix; builds rest on it. */
function wasTakenByMistake(declared: string, { pathMajor }: ModulePlace): boolean {
  return pathMajor === '' && declared.startsWith('gopkg.in/');
}

/** The error for a version that cannot be had, in one sentence. */
export function absent({ path }: ModulePlace, version: string, why: string): VcsError {
  return new VcsError('absent', `${path}@${version} is not in the repository: ${why}`);
}
