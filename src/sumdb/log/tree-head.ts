/** The head of a log: how many records its tree has and their hash, as signed text. */
import { decodeGoBase64 } from './go-base64.ts';
import { hashBytes } from './hash.ts';
import { LogError } from './log-error.ts';
import { maxNoteBytes, openNote, type Verifier } from './note.ts';
import { maxTreeSize } from './stored-index.ts';

export interface TreeHead {
  /** Records in the tree. */
  readonly size: number;
  /** The hash of the whole tree. */
  readonly hash: Buffer;
}

const firstLine = 'go.sum database tree';

/**
 * Parses `go.sum database tree`, the size in plain decimal, the hash in base64, each with its line feed. Further lines
 * are allowed and mean nothing. Throws LogError `bad_tree`; `too_large` for longer text than a note has and for sizes
 * beyond 2^52, the hashes of whose trees cannot be numbered exactly.
 */
export function parseTreeHead(text: Buffer): TreeHead {
  if (text.length > maxNoteBytes) {
    throw new LogError('too_large', `a tree head of ${text.length} bytes is beyond ${maxNoteBytes}`);
  }
  const [first, sizeText = '', hashText = '', rest] = text.toString('utf8').split('\n', 4);
  if (first !== firstLine || rest === undefined || !/^(?:0|[1-9][0-9]*)$/.test(sizeText)) {
    throw new LogError('bad_tree', `the text is no head of a tree ("${firstLine}", size, hash)`);
  }
  const size = Number(sizeText);
  if (size > maxTreeSize) throw new LogError('too_large', 'the tree head claims more than 2^52 records');
  const hash = decodeGoBase64(hashText);
  if (hash === undefined || hash.length !== hashBytes) {
    throw new LogError('bad_tree', `the tree head has no hash of ${hashBytes} bytes in base64`);
  }
  return { size, hash };
}

/** The text that is signed: `parseTreeHead` reads it back. */
export function formatTreeHead(head: TreeHead): string {
  return `${firstLine}\n${head.size}\n${head.hash.toString('base64')}\n`;
}

/** Opens a signed note and parses its text. Throws LogError as `openNote` and `parseTreeHead`. */
export function openTreeHead(note: Buffer, verifiers: readonly Verifier[]): TreeHead {
  return parseTreeHead(openNote(note, verifiers).text);
}
