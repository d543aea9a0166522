/** What a repository of an odd shape is, and the parts of which `odd-*.ts` describe many. */
import type { FakeCommit, FakeGitRepo } from './git-repo.ts';

/** A module in a repository. */
export interface OddModule {
  /** Put behind the repository's own module path: '', `/sub`, `/v2`. */
  readonly suffix: string;
  /** Versions and queries to ask for, besides those of the list; gets the hashes of the commits. */
  readonly asks?: (commits: readonly string[]) => readonly string[];
}

export interface OddRepository {
  /** Name of the repository, and what is odd about it. */
  readonly name: string;
  /** Gets the module path of the repository's top. */
  readonly commits: (path: string) => readonly FakeCommit[];
  /** Where HEAD points. Default `main`. */
  readonly head?: string;
  readonly objectFormat?: 'sha1' | 'sha256';
  /** What a description cannot say. */
  readonly after?: (repo: FakeGitRepo) => Promise<void>;
  /** Default: the one at the top, nothing more asked. */
  readonly modules?: readonly OddModule[];
}

/** Module path of a repository's top. */
export function oddModulePath(name: string): string {
  return `git.example.test/team/${name}.git`;
}

/** A Go file, so that there is a package. */
export const go = { 'x.go': 'package x\n' };
/** The module at the top, nothing more asked. */
export const top: OddModule = { suffix: '' };

/** Text of a go.mod. */
export function mod(path: string, rest = ''): string {
  return `module ${path}\n${rest}`;
}

/** Time of a commit as pseudo-versions show it, by its place in the description. */
export function at(index: number): string {
  const iso = new Date((1_700_000_000 + 60 * index) * 1000).toISOString();
  return iso.replaceAll(/[-T:]|\..*/g, '');
}

/** As much of a hash as pseudo-versions show. */
export function short(hash: string | undefined): string {
  return (hash ?? '').slice(0, 12);
}

/** One commit with these files, tagged v1.0.0. */
export function tagged(
  files: FakeCommit['files'],
  goMod?: (path: string) => string,
): OddRepository['commits'] {
  return (path) => [{ files: { 'go.mod': (goMod ?? mod)(path), ...go, ...files }, tags: ['v1.0.0'] }];
}

/** The same without a go.mod. */
export function bare(files: FakeCommit['files']): OddRepository['commits'] {
  return () => [{ files: { ...go, ...files }, tags: ['v1.0.0'] }];
}

/** The module at the top, and the branch main. */
export const asksMain: OddModule = { suffix: '', asks: () => ['main'] };
