/**
 * Temporary folders and tiny file systems for tests. Every maker returns an object with `remove`, so that a test
 * writes `onTestFinished(dir.remove)` or `await using dir = await tempDir()`. It does not import vitest, because
 * the bench uses it too.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ModferryError, messageOf } from '../../src/lib/errors.ts';

const run = promisify(execFile);

export class TempError extends ModferryError<'mount_denied'> {}

/** A folder of one's own. */
export interface TempDir extends AsyncDisposable {
  /** Absolute path; exists and is empty at first. */
  readonly path: string;
  /** Removes it with all content. Idempotent; usable detached, e.g. `onTestFinished(dir.remove)`. */
  readonly remove: () => Promise<void>;
}

/** Makes a folder under the system's temporary one. `label` shows in its name, for whoever finds a leftover. */
export async function tempDir(label = 'test'): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), `modferry-${label}-`));
  return disposable(path, () => removeTree(path));
}

/**
 * Mounts a tmpfs that holds at most `sizeBytes` (rounded up to whole pages by the kernel), to fill a disk for real.
 * Needs root on Linux: throws TempError `mount_denied` otherwise.
 */
export async function smallTmpfs(sizeBytes: number): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), 'modferry-tmpfs-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'modferry-test', path]);
  } catch (error) {
    await removeTree(path);
    throw new TempError(
      'mount_denied',
      `cannot mount a tmpfs of ${sizeBytes} bytes (${messageOf(error)}); run this test as root on Linux, in a container with CAP_SYS_ADMIN`,
      { cause: error, fields: { sizeBytes } },
    );
  }
  let isMounted = true;
  return disposable(path, async () => {
    if (isMounted) {
      isMounted = false;
      // Lazy: a process under test that still has a file open must not make the clean-up fail.
      await run('umount', ['-l', path]);
    }
    await removeTree(path);
  });
}

function disposable(path: string, remove: () => Promise<void>): TempDir {
  return { path, remove, [Symbol.asyncDispose]: remove };
}

function removeTree(path: string): Promise<void> {
  // Retries: a process that was just killed may still be creating files.
  return rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}
