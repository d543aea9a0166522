/** Test help: a real Git server with one repository, and mirrors of it in a folder of the test. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type FakeCommit, type GitRepoOptions, makeGitRepo } from '../../../test/kit/git-repo.ts';
import { type GitServerOptions, startGitServer } from '../../../test/kit/git-server.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import type { ModulePath } from '../../gomod/types.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { CredentialFinder, GitCredential, GitRepository, VcsError } from '../types.ts';
import { GitMirrorFolder } from './git-mirrors.ts';
import type { GitRunnerOptions } from './git-options.ts';
import type { GitMirrorOptions } from './mirror-options.ts';

export const modulePath = 'example.com/lib' as ModulePath;
export const never = new AbortController().signal;

export interface TestMirrorsOptions {
  readonly commits?: readonly FakeCommit[];
  readonly repo?: GitRepoOptions;
  readonly server?: Partial<GitServerOptions>;
  readonly git?: Partial<GitRunnerOptions>;
  readonly mirrors?: Partial<GitMirrorOptions>;
  readonly clock?: Clock;
  /** What the finder gives, one after another; the last one stays. Default: none. */
  readonly credentials?: readonly (GitCredential | undefined)[];
}

export interface FinderCall {
  readonly url: string;
  readonly path: string | undefined;
  readonly isRetry: boolean;
}

/** A finder that gives these one after another, and its record. */
export function listedCredentials(credentials: readonly (GitCredential | undefined)[]): {
  readonly finder: CredentialFinder;
  readonly calls: readonly FinderCall[];
} {
  const calls: FinderCall[] = [];
  const finder: CredentialFinder = {
    find(url, { path, isRetry = false }) {
      calls.push({ url, path, isRetry });
      return Promise.resolve(credentials[Math.min(calls.length, credentials.length) - 1]);
    },
  };
  return { finder, calls };
}

/** Commits of a small module, for tests that need just any. */
export const twoCommits: readonly FakeCommit[] = [
  { files: { 'go.mod': 'module example.com/lib\n', 'sub/a.go': 'package sub\n' }, tags: ['v1.0.0'] },
  { files: { 'lib.go': 'package lib\n' }, annotatedTags: ['v1.1.0'] },
];

/** `http` is allowed, because the server stands on 127.0.0.1. */
export async function testMirrors(options: TestMirrorsOptions = {}) {
  const dir = await tempDir('git-mirrors');
  onTestFinished(dir.remove);
  const repo = await makeGitRepo(
    join(dir.path, 'repos/team/lib.git'),
    options.commits ?? twoCommits,
    options.repo,
  );
  const server = await startGitServer({ root: join(dir.path, 'repos'), ...options.server });
  onTestFinished(server.close);
  const { finder, calls } = listedCredentials(options.credentials ?? [undefined]);
  const mirrorsDir = join(dir.path, 'mirrors');
  const git: GitRunnerOptions = {
    searchPath: process.env['PATH'] ?? '',
    homeDir: join(dir.path, 'home'),
    ...options.git,
    transport: { protocols: ['https', 'ssh', 'http'], ...options.git?.transport },
  };
  /** As another process, or a later one, would make them. */
  const again = (): GitMirrorFolder => {
    const mirrors = new GitMirrorFolder({
      git,
      mirrors: { dir: mirrorsDir, ...options.mirrors },
      credentials: finder,
      clock: options.clock ?? systemClock,
    });
    onTestFinished(() => mirrors.close());
    return mirrors;
  };
  const mirrors = again();
  const url = `${server.url}/team/lib.git`;
  const open = async (folder = mirrors, of = url): Promise<GitRepository> =>
    await folder.open({ vcs: 'git', url: of, root: modulePath, subdir: '' }, modulePath, never);
  return { dir: dir.path, mirrorsDir, repo, server, mirrors, again, open, url, finderCalls: calls };
}

/** What a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<VcsError> {
  try {
    await promise;
  } catch (error) {
    return error as VcsError;
  }
  throw new Error('it did not fail');
}
