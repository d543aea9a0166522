import { access, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { smallTmpfs, TempError, tempDir } from './temp.ts';

describe('tempDir', () => {
  it('gives a new empty folder each time and removes it with its content', async () => {
    const first = await tempDir('a');
    const second = await tempDir('a');
    onTestFinished(second.remove);
    await writeFile(join(first.path, 'file'), 'x');

    await first.remove();
    await first.remove();

    expect(first.path).not.toBe(second.path);
    await expect(access(first.path)).rejects.toThrow('ENOENT');
    await expect(access(second.path)).resolves.toBeUndefined();
  });

  it('is removed at the end of an `await using` block', async () => {
    let path = '';
    {
      await using dir = await tempDir();
      path = dir.path;
      await access(path);
    }
    await expect(access(path)).rejects.toThrow('ENOENT');
  });
});

describe('smallTmpfs', () => {
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;

  it.runIf(isRoot)('is a disk that gets full, and goes away while a file on it is open', async () => {
    const disk = await smallTmpfs(64 * 1024);
    onTestFinished(disk.remove);
    const { bsize, blocks } = await statfs(disk.path);
    await writeFile(join(disk.path, 'small'), 'fits');

    const overfull = writeFile(join(disk.path, 'large'), Buffer.alloc(128 * 1024));

    expect(bsize * blocks).toBe(64 * 1024);
    await expect(overfull).rejects.toThrow('ENOSPC');
    await expect(readFile(join(disk.path, 'small'), 'utf8')).resolves.toBe('fits');
    await disk.remove();
    await expect(access(disk.path)).rejects.toThrow('ENOENT');
  });

  it('says what to do when the mount is refused', async () => {
    const failure: unknown = await smallTmpfs(Number.NaN).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TempError);
    expect(failure).toMatchObject({
      code: 'mount_denied',
      message: expect.stringContaining('run this test as root'),
    });
  });
});
