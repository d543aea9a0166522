/** The zip maker itself: same arguments, same bytes; exact sizes. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { bigModuleZip, makeModuleZip, writeBigModuleZip } from './make-zip.ts';

describe('makeModuleZip', () => {
  it('gives the same bytes for the same arguments', () => {
    const files = { 'go.mod': 'module example.com/m\n', 'a/b.go': 'package b\n' };

    expect(makeModuleZip('example.com/m', 'v1.0.0', files)).toEqual(
      makeModuleZip('example.com/m', 'v1.0.0', files),
    );
  });
});

describe('bigModuleZip', () => {
  it('has exactly the size asked for', () => {
    for (const sizeBytes of [4096, 1_000_003, 33_600_000]) {
      expect(bigModuleZip('example.com/big', 'v1.0.0', sizeBytes, 1).length).toBe(sizeBytes);
    }
  });

  it('differs by seed', () => {
    expect(bigModuleZip('example.com/big', 'v1.0.0', 5000, 1)).not.toEqual(
      bigModuleZip('example.com/big', 'v1.0.0', 5000, 2),
    );
  });

  it('writes the same bytes to a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modferry-zip-'));
    try {
      await writeBigModuleZip(join(folder, 'big.zip'), 'example.com/big', 'v1.0.0', 3_000_000, 7);

      const written = await readFile(join(folder, 'big.zip'));
      expect(written.equals(bigModuleZip('example.com/big', 'v1.0.0', 3_000_000, 7))).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
