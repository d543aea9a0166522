import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ArtifactKey } from '../../gomod/types.ts';
import { collect, evidenceOf, keyOf, textOf } from '../contract/kit.ts';
import type { FsStore } from './fs-store.ts';
import { makeTestFolder, type TestFolder } from './test-folder.ts';
import { killAfter } from './test-killed.ts';
import { bodyOf, database, headOf } from './test-suspects.ts';
import { renderList } from './versions-folder.ts';

const rounds = 7;

/** The last number that the child told of each word. */
async function lastTold(folder: string, round: number, lines: number): Promise<Map<string, number>> {
  const last = new Map<string, number>();
  for (const line of await killAfter('test-suspects.ts', [folder, `${round}`], lines)) {
    const [word = '', number = ''] = line.split(' ');
    last.set(word, Number(number));
  }
  return last;
}

/** Who was killed may have left its locks: they age here at once. */
function ageLocks(folder: TestFolder): void {
  for (const name of folder.files()) {
    if (!/(?:lock|\.breaking)$/.test(name)) continue;
    const then = Date.now() / 1_000 - 60;
    fs.utimesSync(join(folder.path, name), then, then);
  }
}

/** The bytes in quarantine; undefined when there are none. */
async function quarantined(store: FsStore, key: ArtifactKey): Promise<string | undefined> {
  const entries = await store.quarantine.of(key);
  expect(entries.length).toBeLessThan(2);
  const file = await store.quarantine.fileOf(entries[0]?.id ?? '');
  return file === undefined ? undefined : fs.readFileSync(file, 'utf8');
}

describe('a process killed while it withdraws, quarantines and swaps', () => {
  it('leaves each file whole in one of the two places, each told suspect kept, and the head of one step', async () => {
    const folder = makeTestFolder();
    const path = parseModulePath('example.com/withdrawn');
    for (let round = 0; round < rounds; round++) {
      const last = await lastTold(folder.path, round, 3 + round * 7);
      ageLocks(folder);
      const store = await folder.open();
      await store.idle();

      const published = last.get('published') ?? -1;
      const withdrawn = last.get('withdrawn') ?? -1;
      for (let index = 0; index <= published + 1; index++) {
        const key = keyOf(path, `v1.${round}.${index}`, index % 2 === 0 ? 'zip' : 'mod');
        const places = [await textOf(store, key), await quarantined(store, key)].map((text) =>
          text === undefined ? undefined : text === bodyOf(key),
        );
        if (index <= withdrawn) expect(places).toEqual([undefined, true]);
        else if (index <= published)
          expect(places.filter((isWhole) => isWhole !== undefined)).toEqual([true]);
        else expect(places).not.toContain(false);
      }
      for (let index = 0; index <= (last.get('added') ?? -1); index++) {
        const key = keyOf('example.com/refused', `v1.${round}.${index}`, 'zip');
        expect((await quarantined(store, key)) === bodyOf(key)).toBe(true);
      }
      const head = await store.readSumdbState(database, 'head');
      const told = last.get('swapped') ?? -1;
      const step = Number.parseInt(head?.toString() ?? '-1', 10);
      if (told >= 0) expect([told, told + 1]).toContain(step);
      expect(head).toEqual(step < 0 ? undefined : headOf(step));

      await expectOrder(folder, store, path);
      await store.close();
    }
  }, 60_000);
});

/** What a kill may leave behind is taken up or of no harm. */
async function expectOrder(folder: TestFolder, store: FsStore, path: ArtifactKey['path']): Promise<void> {
  expect(folder.text('download', path, '@v/list') ?? '').toBe(renderList(await store.completeVersions(path)));
  const names = folder.files('quarantine');
  expect(
    names.filter((name) => name.endsWith('.bytes') && !names.includes(name.replace('bytes', 'json'))),
  ).toEqual([]);
  // What is still published can still be withdrawn, and what waits for a proof is what is still published.
  for (const key of await collect(store.awaitingProof())) {
    const entry = await store.withdraw(key, evidenceOf(key, bodyOf(key)));
    expect(entry?.hasBytes).toBe(true);
  }
  expect(await collect(store.versions(path))).toEqual([]);
}
