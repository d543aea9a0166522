/**
 * Small repositories with odd shapes, each for one rule of how Go finds modules in Git or packs them. Tests compare what
 * modferry makes of them with what the go command makes of them. Hashes are fixed, for dates and names are.
 */
import { contents } from './odd-contents.ts';
import { directories } from './odd-directories.ts';
import { goMods } from './odd-go-mods.ts';
import { majors } from './odd-majors.ts';
import type { OddRepository } from './odd-repository.ts';
import { tags } from './odd-tags.ts';

/** All of them; names are unique. */
export const oddRepositories: readonly OddRepository[] = [
  ...majors,
  ...directories,
  ...tags,
  ...goMods,
  ...contents,
];
