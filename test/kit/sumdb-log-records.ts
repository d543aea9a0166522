/**
 * The records of a test checksum database and their tree. Made-up records, which only make the tree large, are not
 * kept: their text follows from their number.
 */
import { createHash } from 'node:crypto';
import { ModferryError } from '../../src/lib/errors.ts';
import type { ModuleHashes } from './module-hashes.ts';
import { type HashTree, hashTree, leafHash } from './sumdb-log-tree.ts';

export class SumdbLogError extends ModferryError<'other_record' | 'wrong_size'> {}

export interface LogRecords {
  readonly tree: HashTree;
  /** Appends a record and returns its number; that of a module version which is there already stays. */
  add(hashes: ModuleHashes): number;
  /** Appends made-up records. */
  pad(count: number): void;
  /** Number of the record of a module version, the made-up ones included. */
  find(path: string, version: string): number | undefined;
  /** Text of a record, each line with its line feed. */
  text(id: number): string;
}

/** Module path and version of the made-up record with this number, for tests that look one up. */
export function paddingModule(id: number): { readonly path: string; readonly version: string } {
  return { path: `pad.test/m${id}`, version: 'v1.0.0' };
}

export function logRecords(): LogRecords {
  const tree = hashTree();
  /** Absent: a made-up one. */
  const texts = new Map<number, string>();
  const ids = new Map<string, number>();
  const text = (id: number): string => texts.get(id) ?? paddingText(id);
  return {
    tree,
    text,
    add(hashes) {
      const key = `${hashes.path}@${hashes.version}`;
      const record = recordText(hashes);
      const known = ids.get(key);
      if (known !== undefined) {
        if (text(known) === record) return known;
        throw new SumdbLogError(
          'other_record',
          `the log has another record of ${key}, and a log never changes one; use lie()`,
        );
      }
      const id = tree.size;
      texts.set(id, record);
      ids.set(key, id);
      tree.append(leafHash(record));
      return id;
    },
    pad(count) {
      for (let made = 0; made < count; made += 1) tree.append(leafHash(paddingText(tree.size)));
    },
    find(path, version) {
      const id = Number(/^pad\.test\/m(\d+)$/.exec(path)?.[1] ?? Number.NaN);
      const isMadeUp = id < tree.size && !texts.has(id) && version === paddingModule(id).version;
      return isMadeUp ? id : ids.get(`${path}@${version}`);
    },
  };
}

/** `path version h1:…` and `path version/go.mod h1:…`. */
export function recordText({ path, version, zipH1, modH1 }: ModuleHashes): string {
  return `${path} ${version} ${zipH1}\n${path} ${version}/go.mod ${modH1}\n`;
}

/** An `h1:` hash of nothing that exists, the same for the same words. */
export function madeUpH1(words: string): string {
  return `h1:${createHash('sha256').update(words).digest('base64')}`;
}

function paddingText(id: number): string {
  const { path, version } = paddingModule(id);
  // No hashing here: a tree of 100,000 records must be there in a moment.
  const number = Buffer.alloc(32);
  number.writeUInt32BE(id, 0);
  const h1 = `h1:${number.toString('base64')}`;
  return recordText({ path, version, zipH1: h1, modH1: h1 });
}

/**
 * A second history: it shares the first `fromSize` records with `origin`, and every later one differs by a line more.
 * The lines of the modules stay true, except for those of `altered`. `follow` brings it up to the origin's size.
 */
export function forkOf(
  origin: LogRecords,
  fromSize: number,
  altered: readonly ModuleHashes[],
): { readonly records: LogRecords; follow(): void } {
  const tree = origin.tree.branch(Math.min(fromSize, origin.tree.size));
  const changed = new Map(altered.map((hashes) => [`${hashes.path} ${hashes.version}`, recordText(hashes)]));
  const text = (id: number): string => {
    const record = origin.text(id);
    if (id < fromSize) return record;
    const name = record.split(' ', 2).join(' ');
    return `${changed.get(name) ?? record}fork.test/m${id} v1.0.0 ${madeUpH1(`fork ${id}`)}\n`;
  };
  return {
    records: { ...origin, tree, text },
    follow() {
      while (tree.size < origin.tree.size) tree.append(leafHash(text(tree.size)));
    },
  };
}
