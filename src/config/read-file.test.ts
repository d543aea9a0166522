import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTextFile } from './read-file.ts';

describe('readTextFile', () => {
  it('reads up to the limit and no further', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modferry-read-'));
    try {
      const file = join(folder, 'x');
      await writeFile(file, '\uFEFFlisten');

      expect(await readTextFile(file, 9)).toBe('listen');
      await expect(readTextFile(file, 8)).rejects.toMatchObject({ code: 'too_large' });
      await expect(readTextFile(join(folder, 'none'), 8)).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('does not read a device without end', async () => {
    await expect(readTextFile('/dev/zero', 1000)).rejects.toMatchObject({ code: 'too_large' });
  });
});
