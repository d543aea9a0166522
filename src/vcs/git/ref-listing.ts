/** What a server says of its refs: read from `git ls-remote` line by line, and kept in files. */
import { readFile } from 'node:fs/promises';
import { type GitRef, VcsError } from '../types.ts';
import { isRefName } from './git-argument.ts';
import { writeWhole } from './whole-file.ts';

/** More names than this are no repository of modules. */
const maxRefs = 100_000;
/** Of all names together; those of 100,000 tags take some 3 MB. */
const maxNamesBytes = 16 * 2 ** 20;
const maxLineBytes = 4_096;
/** What a ref takes in memory besides its texts, in a listing and in the tables that are made from it. */
const refOverheadBytes = 300;

/** HEAD, branches and tags, tag objects peeled, in the order of the server. */
export type RefListing = readonly GitRef[];

/** Reads the output of ls-remote in pieces and keeps only what modferry knows: a million other refs cost nothing. */
export class RefParser {
  readonly #found = new Map<string, string>();
  #rest = '';
  #namesBytes = 0;

  /** Throws VcsError `too_large`. */
  readonly push = (chunk: Buffer): void => {
    // latin1 keeps the bytes of a character that the end of a chunk cuts.
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > maxLineBytes) throw tooMany();
    for (const line of lines) this.#line(Buffer.from(line, 'latin1').toString());
  };

  refs(): RefListing {
    return [...this.#found].map(([name, commit]) => ({ name, commit }));
  }

  #line(line: string): void {
    const [, commit, name, peeled] = /^([\da-f]{40}|[\da-f]{64})\t(.+?)(\^\{\})?$/.exec(line) ?? [];
    if (commit === undefined || name === undefined || !isRefName(name)) return;
    // The peeled one comes behind its tag and takes its place.
    if (peeled === undefined && this.#found.has(name)) return;
    if (!this.#found.has(name)) this.#namesBytes += name.length;
    this.#found.set(name, commit);
    if (this.#found.size > maxRefs || this.#namesBytes > maxNamesBytes) throw tooMany();
  }
}

/** What a listing takes in memory, about. */
export function listingBytes(listing: RefListing): number {
  return listing.reduce(
    (sum, { name, commit }) => sum + refOverheadBytes + name.length + commit.length,
    // With none in it, it is not for nothing.
    1_000,
  );
}

/** Tags that both know and that point elsewhere now. */
export function movedTags(
  before: RefListing,
  after: RefListing,
): readonly { readonly tag: string; readonly from: string; readonly to: string }[] {
  const was = new Map(before.map(({ name, commit }) => [name, commit]));
  return after.flatMap(({ name, commit }) => {
    const from = was.get(name);
    if (!name.startsWith('refs/tags/') || from === undefined || from === commit) return [];
    return [{ tag: name.slice('refs/tags/'.length), from, to: commit }];
  });
}

/** True when both name the same commits by the same names. */
export function isSameListing(a: RefListing, b: RefListing): boolean {
  if (a.length !== b.length) return false;
  const known = new Map(a.map(({ name, commit }) => [name, commit]));
  return b.every(({ name, commit }) => known.get(name) === commit);
}

/** Undefined when there is none that can be read. */
export async function readListing(file: string): Promise<RefListing | undefined> {
  try {
    const [head, ...lines] = (await readFile(file, 'utf8')).split('\n');
    const refs = lines.flatMap((line): RefListing => {
      const [, commit, name] = /^([\da-f]{40,64}) (.+)$/.exec(line) ?? [];
      return commit === undefined || name === undefined ? [] : [{ name, commit }];
    });
    return head === headOf(refs) ? refs : undefined;
  } catch {
    return undefined;
  }
}

/** Rejects with the system's error. */
export async function writeListing(file: string, refs: RefListing): Promise<void> {
  const lines = refs.map(({ name, commit }) => `${commit} ${name}\n`);
  await writeWhole(file, `${headOf(refs)}\n${lines.join('')}`);
}

function headOf(refs: RefListing): string {
  return `refs 1 ${refs.length}`;
}

function tooMany(): VcsError {
  return new VcsError(
    'too_large',
    `the repository has more than ${maxRefs} branches and tags, or very long names of them; remove those that are no versions`,
  );
}
