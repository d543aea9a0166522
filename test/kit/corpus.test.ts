import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const PROJECT = join(import.meta.dirname, '../../bench/corpus');

describe('the corpus project', () => {
  it('pins at least 150 modules, each with the hash of its zip', async () => {
    const goMod = await readFile(join(PROJECT, 'go.mod'), 'utf8');
    const goSum = await readFile(join(PROJECT, 'go.sum'), 'utf8');
    const required = [...goMod.matchAll(/^\t(\S+) (v\S+)/gm)].map(
      ([, path, version]) => `${path} ${version}`,
    );
    const hashed = new Set([...goSum.matchAll(/^(\S+ \S+) h1:/gm)].map(([, what]) => what));

    expect(required.length).toBeGreaterThanOrEqual(150);
    expect(required.filter((module) => !hashed.has(module))).toEqual([]);
  });
});
