/** Records of a checksum database's log: a lookup's answer, and the go.sum lines of one module version. */
import { hashBytes } from './hash.ts';
import { LogError } from './log-error.ts';
import { isPlainText } from './note.ts';

/** A lookup's answer, nothing of which is proven yet. */
export interface LookupAnswer {
  /** The record's number in the log. */
  readonly id: number;
  /** The record: go.sum lines, each with its line feed. */
  readonly text: Buffer;
  /** What follows: the signed tree head. */
  readonly note: Buffer;
}

/** Longest answer to a lookup, in bytes. */
export const maxLookupBytes: number = 1024 * 1024;

/**
 * Parses the record's number, its text up to the first empty line, and the note behind. Nothing of the note is looked
 * at. Throws LogError `bad_record`; `too_large` for a number beyond 2^53-1 and bodies beyond `maxLookupBytes`.
 */
export function parseLookup(body: Buffer): LookupAnswer {
  if (body.length > maxLookupBytes) {
    throw new LogError('too_large', `a lookup's answer of ${body.length} bytes is beyond ${maxLookupBytes}`);
  }
  const idEnd = body.indexOf('\n');
  // Latin-1 keeps bytes that are no digits what they are.
  const idText = body.toString('latin1', 0, Math.max(idEnd, 0));
  // Go reads signs and leading zeros too; a number below zero stands for no record.
  if (!/^(?:\+?[0-9]+|-0+)$/.test(idText)) {
    throw new LogError('bad_record', "a lookup's answer begins with no number of a record");
  }
  const id = Math.abs(Number(idText));
  if (id > Number.MAX_SAFE_INTEGER)
    throw new LogError('too_large', 'the number of the record is beyond 2^53-1');
  const textEnd = body.indexOf('\n\n', idEnd + 1);
  if (textEnd < 0) throw new LogError('bad_record', "no empty line ends the record in a lookup's answer");
  const text = body.subarray(idEnd + 1, textEnd + 1);
  assertRecordText(text);
  return { id, text, note: body.subarray(textEnd + 2) };
}

/**
 * The number, the text and the closing empty line: an answer to a lookup but for the note. Throws LogError
 * `bad_record` for what cannot be a record's text, `bad_index` for what is no number of one.
 */
export function formatRecord(id: number, text: Buffer): Buffer {
  if (!Number.isSafeInteger(id) || id < 0) throw new LogError('bad_index', `${id} is no number of a record`);
  assertRecordText(text);
  return Buffer.concat([Buffer.from(`${id}\n`), text, Buffer.from('\n')]);
}

/**
 * The `h1:` hashes of a module version's zip and go.mod, undefined where the record has no such line: then the record
 * proves nothing of it. `text` must be the authenticated record and nothing else of an answer. Lines of other modules
 * and of hashes that are not known are ignored. Throws LogError `bad_record` when two lines contradict each other, or
 * one has no `h1:` hash behind that name.
 */
export function goSumLines(
  text: Buffer,
  path: string,
  version: string,
): { readonly zipH1: string | undefined; readonly modH1: string | undefined } {
  const lines = text.toString('utf8').split('\n');
  return {
    zipH1: hashBehind(lines, `${path} ${version} `),
    modH1: hashBehind(lines, `${path} ${version}/go.mod `),
  };
}

const h1Name = 'h1:';

function hashBehind(lines: readonly string[], prefix: string): string | undefined {
  let found: string | undefined;
  for (const line of lines) {
    if (!line.startsWith(prefix + h1Name)) continue;
    const h1 = line.slice(prefix.length);
    if (!isH1(h1)) throw new LogError('bad_record', `the record has a malformed line of ${prefix.trimEnd()}`);
    if (found !== undefined && found !== h1) {
      throw new LogError('bad_record', `the record has two different hashes of ${prefix.trimEnd()}`);
    }
    found = h1;
  }
  return found;
}

/** Only as hashing writes it: another spelling of the same bytes would never compare equal. */
function isH1(text: string): boolean {
  const hash = Buffer.from(text.slice(h1Name.length), 'base64');
  return hash.length === hashBytes && text === h1Name + hash.toString('base64');
}

function assertRecordText(text: Buffer): void {
  if (text.at(-1) !== 0x0a || text.includes('\n\n') || !isPlainText(text)) {
    throw new LogError('bad_record', 'a record is UTF-8 lines, none empty, without control characters');
  }
}
