import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ModulePath } from '../gomod/types.ts';
import { versionOf } from '../store/contract/kit.ts';
import type { VersionEntry } from '../store/store.ts';
import { versionsAfter } from './resume.ts';

function walkOf(names: readonly string[]) {
  return {
    async *versions(under?: ModulePath): AsyncGenerator<VersionEntry> {
      for (const name of names) {
        const [path = '', version = ''] = name.split('@');
        if (under !== undefined && path !== under && !path.startsWith(`${under}/`)) continue;
        yield { path: parseModulePath(path), version: versionOf(version), artifacts: {} };
      }
    },
  };
}

async function after(names: readonly string[], cursor: string | undefined): Promise<string[]> {
  const [path = '', version = ''] = cursor?.split('@') ?? [];
  const at = cursor === undefined ? undefined : { path, version };
  const all: string[] = [];
  for await (const entry of versionsAfter(walkOf(names), at, async () => {}))
    all.push(`${entry.path}@${entry.version}`);
  return all;
}

const [a1, a2, ab1, c1, c2] = [
  'x.com/a@v1.0.0',
  'x.com/a@v2.0.0',
  'x.com/a/b@v1.0.0',
  'x.com/c@v1.0.0',
  'x.com/c@v2.0.0',
];
const stored = [a1, a2, ab1, c1, c2];

describe('what is left of a pass', () => {
  it('is everything without a cursor', async () => {
    expect(await after(stored, undefined)).toEqual(stored);
  });

  it('is what follows the cursor', async () => {
    expect(await after(stored, a2)).toEqual([ab1, c1, c2]);
    expect(await after(stored, c2)).toEqual([]);
  });

  it('is the whole module and what follows it when its version was purged', async () => {
    expect(await after(stored, 'x.com/a@v9.0.0')).toEqual([a1, a2, ab1, c1, c2]);
    expect(await after(stored, 'x.com/c@v9.0.0')).toEqual([c1, c2]);
  });

  it('is everything when the module was purged', async () => {
    expect(await after(stored, 'x.com/gone@v1.0.0')).toEqual(stored);
  });

  it('never lacks what follows the cursor, whatever was purged or stored', async () => {
    const name = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }));
    const names = fc
      .uniqueArray(name, { selector: String, maxLength: 16 })
      .map((pairs) =>
        pairs.toSorted(([a, b], [c, d]) => a - c || b - d).map(([m, v]) => `x.com/m${m}@v1.0.${v}`),
      );
    await fc.assert(
      fc.asyncProperty(names, name, async (all, [m, v]) => {
        const cursor = `x.com/m${m}@v1.0.${v}`;
        const due = all.filter((each) => each > cursor);
        expect(await after(all, cursor)).toEqual(expect.arrayContaining(due));
      }),
    );
  });
});
