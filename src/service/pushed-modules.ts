/**
 * What a push means for modules: a tag is a version of one of them, a branch moves what queries and @latest answer.
 * @see https://go.dev/ref/mod#vcs-version
 */
import { isModulePath, splitPathVersion } from '../gomod/module-path.ts';
import { parseSemver } from '../gomod/semver.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { isCanonical, isPseudoVersion, parseCanonicalVersion } from '../gomod/version.ts';
import type { KnownRepository } from '../vcs/module-register.ts';
import type { Push } from '../webhooks/types.ts';

export interface PushedVersion {
  readonly path: ModulePath;
  readonly version: Version;
}

export interface PushedModules {
  /** For each new or moved tag that is a version: which it may be, the likeliest first. At least one. */
  readonly versions: readonly (readonly PushedVersion[])[];
  /** Modules whose lists and @latest may have changed. */
  readonly lists: readonly ModulePath[];
  /** Modules whose queries (branches, commits, other tags) may have changed. */
  readonly queries: readonly ModulePath[];
}

/** Of one repository. Tags of modules that nobody has asked for yet count too: their lists may be remembered as empty. */
export function pushedModules(push: Push, repository: Omit<KnownRepository, 'url'>): PushedModules {
  const versions: (readonly PushedVersion[])[] = [];
  const lists = new Set<ModulePath>();
  const queries = new Set<ModulePath>();
  for (const { ref, after } of push.refs) {
    const tag = ref.startsWith('refs/tags/') ? ref.slice('refs/tags/'.length) : undefined;
    const found = tag === undefined ? [] : versionsOfTag(tag, repository);
    if (found.length > 0) {
      for (const { path } of found) lists.add(path);
      if (after !== undefined) versions.push(found);
    } else if (tag === undefined || !isVersionTag(tag)) {
      // What is neither branch nor tag (refs/pull/…) has commits that may be asked for.
      for (const path of repository.paths) queries.add(path);
      if (ref.startsWith('refs/heads/')) for (const path of repository.paths) lists.add(path);
    }
  }
  return { versions, lists: [...lists], queries: [...queries] };
}

/** `[PREFIX/]vX.Y.Z` as the module versions it may be; none when it is none in this repository. */
export function versionsOfTag(
  tag: string,
  { root, subdir }: Pick<KnownRepository, 'root' | 'subdir'>,
): readonly PushedVersion[] {
  if (!isVersionTag(tag) || tag.startsWith('/')) return [];
  const slash = tag.lastIndexOf('/');
  const version = tag.slice(slash + 1);
  const directory = insideOf(tag.slice(0, Math.max(0, slash)), subdir);
  const major = parseSemver(version)?.major;
  if (directory === undefined || major === undefined) return [];
  const base = directory === '' ? root : `${root}/${directory}`;
  const candidates: [path: string, version: string][] = [[base, version]];
  if (splitPathVersion(base)?.pathMajor === '') {
    // The major version may be a branch or a folder: the path is the same.
    candidates.push([`${base}/v${major}`, version]);
    // Only where there is no go.mod, which a module in a folder always has.
    if (directory === '') candidates.push([base, `${version}+incompatible`]);
  }
  return candidates.flatMap(([path, text]) => {
    if (!isModulePath(path)) return [];
    const parsed = parseCanonicalVersion(path, text);
    return parsed === undefined || isNeedless(text) ? [] : [{ path, version: parsed }];
  });
}

/** Go passes over tags with build metadata and those that look like pseudo-versions. */
function isVersionTag(tag: string): boolean {
  const version = tag.slice(tag.lastIndexOf('/') + 1);
  return isCanonical(version) && !version.includes('+') && !isPseudoVersion(version);
}

/** v0 and v1 are never incompatible. */
function isNeedless(version: string): boolean {
  return version.endsWith('+incompatible') && /^v[01]\./.test(version);
}

/** Where the module lies below the folder that stands for the root; undefined: beside it. */
function insideOf(directory: string, subdir: string): string | undefined {
  if (subdir === '') return directory;
  if (directory === subdir) return '';
  return directory.startsWith(`${subdir}/`) ? directory.slice(subdir.length + 1) : undefined;
}
