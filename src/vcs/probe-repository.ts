/** Asks whether there is a Git repository: what rules with `root: probe` and paths like `host/repo.git` need. */
import type { ModulePath } from '../gomod/types.ts';
import { type GitMirrors, VcsError } from './types.ts';

/** Answers of a moment ago are good enough, and serve the questions that follow. */
const maxAgeMs = 60_000;

/**
 * True where git can list its refs; false where its server knows it not. Rejects with VcsError where nobody can tell,
 * or with the signal's reason.
 */
export async function probeRepository(
  mirrors: Pick<GitMirrors, 'open'>,
  url: string,
  path: ModulePath,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const place = { vcs: 'git', url, root: path, subdir: '' } as const;
    const repository = await mirrors.open(place, path, signal);
    await repository.refs(maxAgeMs, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof VcsError && error.code === 'absent') return false;
    throw error;
  }
}
