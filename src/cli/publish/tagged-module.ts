/**
 * A module out of a tag: which module and version it stands for, and its zip. The rules are those of Go: `v1.2.3` is of
 * the top of the repository, `sub/dir/v1.2.3` of the module in `sub/dir`; from v2 on the module may lie in `v2/` below.
 * @see https://go.dev/ref/mod#vcs-version
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { fitsPath, isCanonical, isIncompatible, isPseudoVersion } from '../../gomod/version.ts';
import { CliError } from '../cli-error.ts';
import { checkedVersion } from '../module-argument.ts';
import { type BuiltZip, declaredPath, zipArchive } from './build-zip.ts';
import { GitError, type LocalGit } from './local-git.ts';

/** A tag cut into the directory it is of and its version. */
export interface TagParts {
  readonly directory: string;
  readonly version: Version;
}

/** Undefined: it is no tag of a module. */
export function tagParts(tag: string): TagParts | undefined {
  const slash = tag.lastIndexOf('/');
  const version = tag.slice(slash + 1);
  if (!isCanonical(version) || isIncompatible(version) || isPseudoVersion(version)) return undefined;
  return { directory: slash < 0 ? '' : tag.slice(0, slash), version };
}

/**
 * The one version tag at HEAD for the module in `folder`, and the top of its repository. Rejects with CliError `usage`:
 * no repository, changes that are in no commit, no tag or several.
 */
export async function tagAtHead(git: LocalGit, folder: string): Promise<{ top: string; tag: string }> {
  const text = async (...args: readonly string[]): Promise<string> =>
    (await git.run(folder, args)).toString().trim();
  let top: string;
  try {
    top = await text('rev-parse', '--show-toplevel');
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new CliError(
      'usage',
      `${folder} is in no git repository (${error.message}); give the version with --version`,
      {
        cause: error,
      },
    );
  }
  const below = (await text('rev-parse', '--show-prefix')).replace(/\/$/, '');
  const changes = await text('status', '--porcelain');
  if (changes !== '') {
    throw new CliError(
      'usage',
      `there are changes that are in no commit (${changes.split('\n')[0]?.trim() ?? ''} …); commit them, or publish the folder as it is with --version`,
    );
  }
  const tags = (await text('tag', '--points-at', 'HEAD')).split('\n').filter((tag) => {
    const parts = tagParts(tag);
    return parts !== undefined && directoriesOf(parts).includes(below);
  });
  const [tag, second] = tags;
  if (tag === undefined) {
    const example = below === '' ? 'v1.2.3' : `${below}/v1.2.3`;
    throw new CliError(
      'usage',
      `no version tag is at HEAD; make one with "git tag ${example}", or give --version`,
    );
  }
  if (second !== undefined) {
    throw new CliError(
      'usage',
      `several version tags are at HEAD (${tags.join(', ')}); name one: ${top}@${tag}`,
    );
  }
  return { top, tag };
}

/** Where the module of a tag may lie; the first one with a fitting go.mod is it. */
function directoriesOf({ directory, version }: TagParts): string[] {
  const major = /^v\d+/.exec(version)?.[0] ?? 'v0';
  if (major === 'v0' || major === 'v1') return [directory];
  return [directory, directory === '' ? major : `${directory}/${major}`];
}

/**
 * The zip of a tag. `repository`: a folder, or a URL to clone from. `work`: an empty folder of our own. Rejects with
 * CliError `usage` or `failed`, GitError, ZipError, or the signal's reason.
 */
export async function zipTag(
  git: LocalGit,
  repository: { readonly folder: string } | { readonly url: string },
  tag: string,
  work: string,
  signal: AbortSignal,
): Promise<BuiltZip> {
  const parts = tagParts(tag);
  if (parts === undefined) {
    throw new CliError('usage', `"${tag}" is no version tag; name one such as v1.2.3 or sub/dir/v1.2.3`);
  }
  const folder = 'folder' in repository ? repository.folder : await cloned(git, repository.url, tag, work);
  const commit = await commitOf(git, folder, tag);
  const { directory, path, goMod } = await moduleOf(git, folder, commit, parts);
  const license = directory === '' ? undefined : await fileOf(git, folder, commit, 'LICENSE');
  const archive = join(work, 'archive.zip');
  await git.run(folder, ['archive', '--format=zip', `--output=${archive}`, commit]);
  return await zipArchive(
    { archive, directory, goMod, license },
    { path, version: parts.version },
    join(work, 'module.zip'),
    signal,
  );
}

async function cloned(git: LocalGit, url: string, tag: string, work: string): Promise<string> {
  const folder = join(work, 'repository');
  await mkdir(folder);
  await git.run(work, ['clone', '--quiet', '--bare', '--depth=1', `--branch=${tag}`, '--', url, folder]);
  return folder;
}

async function commitOf(git: LocalGit, folder: string, tag: string): Promise<string> {
  try {
    const found = await git.run(folder, [
      'rev-parse',
      '--verify',
      '--quiet',
      '--end-of-options',
      `refs/tags/${tag}^{commit}`,
    ]);
    return found.toString().trim();
  } catch (error) {
    if (!(error instanceof GitError) || error.code === 'missing') throw error;
    throw new CliError('failed', `${folder} has no tag ${tag}; list its tags with "git tag"`, {
      cause: error,
    });
  }
}

interface FoundModule {
  readonly directory: string;
  readonly path: ModulePath;
  readonly goMod: Buffer;
}

async function moduleOf(
  git: LocalGit,
  folder: string,
  commit: string,
  parts: TagParts,
): Promise<FoundModule> {
  const { version } = parts;
  let unfit: ModulePath | undefined;
  for (const directory of directoriesOf(parts)) {
    const name = directory === '' ? 'go.mod' : `${directory}/go.mod`;
    const goMod = await fileOf(git, folder, commit, name);
    if (goMod === undefined) continue;
    const path = declaredPath(goMod, `${name} of the tag`);
    if (fitsPath(path, version)) return { directory, path, goMod };
    unfit ??= path;
  }
  // Says what does not fit.
  if (unfit !== undefined) checkedVersion(unfit, version);
  throw new CliError(
    'failed',
    `the tag has no go.mod in ${directoriesOf(parts)
      .map((one) => (one === '' ? 'its top' : one))
      .join(' or ')}`,
  );
}

/** A regular file of a commit; undefined: there is none. */
async function fileOf(
  git: LocalGit,
  folder: string,
  commit: string,
  path: string,
): Promise<Buffer | undefined> {
  const listed = (await git.run(folder, ['ls-tree', '-z', '--full-tree', commit, '--', path])).toString();
  const blob = /^100(?:644|755|664) blob ([0-9a-f]+)\t/.exec(listed)?.[1];
  return blob === undefined ? undefined : await git.run(folder, ['cat-file', 'blob', blob]);
}
