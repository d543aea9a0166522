import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

function generate(...args: string[]) {
  return spawnSync(process.execPath, [join(import.meta.dirname, 'generate.ts'), ...args], {
    encoding: 'utf8',
  });
}

describe('scripts/generate.ts', () => {
  it('writes both files, and its check notices when one of them differs', async () => {
    const root = await mkdtemp(join(tmpdir(), 'modferry-generate-'));
    try {
      const before = generate('--check', '--root', root);
      const writing = generate('--root', root);
      const after = generate('--check', '--root', root);
      await writeFile(join(root, 'docs/configuration.md'), 'changed by hand');
      const changed = generate('--check', '--root', root);

      expect([before.status, writing.status, after.status, changed.status]).toEqual([1, 0, 0, 1]);
      expect(changed.stdout).toBe('docs/configuration.md is not up to date; run "npm run generate"\n');
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
