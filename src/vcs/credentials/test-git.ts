/** Test help: the finder's credentials used by real git, through modferry's own runner. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { makeGitRepo } from '../../../test/kit/git-repo.ts';
import { systemClock } from '../../lib/clock.ts';
import { GitCaller } from '../git/git-caller.ts';
import { GitRunner } from '../git/git-command.ts';
import type { CredentialFinder } from '../types.ts';
import { signal } from './test-finder.ts';

export interface GitTried {
  /** `ok`, or the code of the VcsError. */
  readonly code: string;
  readonly message: string;
  /** All that git printed, and all arguments it was started with. */
  readonly printed: string;
  readonly argv: string;
}

/** A folder with `team/lib.git`, tag v1.0.0. */
export async function repositories(): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'modferry-repos-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  await makeGitRepo(join(root, 'team/lib.git'), [{ files: { 'a.go': 'package a\n' }, tags: ['v1.0.0'] }]);
  return root;
}

/** `git ls-remote` with what the finder gives. `caFile`: authority of the server. */
export async function lsRemote(
  credentials: CredentialFinder,
  url: string,
  caFile?: string,
): Promise<GitTried> {
  const dir = mkdtempSync(join(tmpdir(), 'modferry-git-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const [command, log] = [join(dir, 'git'), join(dir, 'argv')];
  writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' "$@" >> '${log}'\nexec git "$@"\n`, { mode: 0o755 });
  const transport = { protocols: ['https', 'http', 'ssh'] as const, caFileFor: () => caFile };
  const searchPath = process.env['PATH'] ?? '';
  const runner = new GitRunner({ command, searchPath, homeDir: join(dir, 'home'), transport }, systemClock);
  const caller = new GitCaller(runner, credentials, transport);
  const args = ['ls-remote', '--tags', '--', url];
  const { error, stdout, stderr } = await caller.remote({ url, path: undefined }, args, { signal });
  return {
    code: error?.code ?? 'ok',
    message: error?.message ?? '',
    printed: `${stdout.toString()}${stderr}`,
    argv: readFileSync(log, 'utf8'),
  };
}
