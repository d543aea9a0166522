/**
 * Which stored versions a command is about: `[PATTERN][@VERSION]`, where a pattern is as in GOPRIVATE (globs of
 * leading path elements). A pattern without wildcards narrows the walk to its folder.
 */
import { modulePathFault } from '../gomod/module-path.ts';
import { compilePatterns, patternFault } from '../gomod/module-pattern.ts';
import type { ModulePath } from '../gomod/types.ts';
import { compareVersions } from '../gomod/version.ts';
import type { Store, VersionEntry } from '../store/store.ts';
import { CliError } from './cli-error.ts';
import { splitAtVersion } from './module-argument.ts';

/** Versions of one module, in semantic order. */
export interface ModuleEntries {
  readonly path: ModulePath;
  readonly versions: readonly VersionEntry[];
}

export interface Selection {
  /** Where the walk may start; undefined for the whole store. */
  readonly under: ModulePath | undefined;
  matches(entry: VersionEntry): boolean;
}

/** Undefined selects everything. Throws CliError `usage` for a malformed pattern. */
export function parseSelection(text: string | undefined): Selection {
  if (text === undefined || text === '') return { under: undefined, matches: () => true };
  const { pathText, versionText } = splitAtVersion(text);
  const fault = patternFault(pathText);
  if (fault !== undefined) throw new CliError('usage', `"${pathText}" is no module pattern. ${fault}`);
  const matchesPath = compilePatterns(pathText);
  const bare = pathText.replace(/\/$/, '');
  return {
    under: modulePathFault(bare) === undefined ? (bare as ModulePath) : undefined,
    matches: ({ path, version }) =>
      matchesPath(path) && (versionText === undefined || version === versionText),
  };
}

/** Module by module; memory is bounded by the versions of one module. */
export async function* selectModules(
  store: Pick<Store, 'versions'>,
  selection: Selection,
): AsyncGenerator<ModuleEntries> {
  let current: VersionEntry[] = [];
  for await (const entry of store.versions(selection.under)) {
    if (!selection.matches(entry)) continue;
    if (current[0] !== undefined && current[0].path !== entry.path) {
      yield grouped(current[0].path, current);
      current = [];
    }
    current.push(entry);
  }
  if (current[0] !== undefined) yield grouped(current[0].path, current);
}

function grouped(path: ModulePath, versions: VersionEntry[]): ModuleEntries {
  return { path, versions: versions.sort((a, b) => compareVersions(a.version, b.version)) };
}
