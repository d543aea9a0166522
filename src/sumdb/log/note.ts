/**
 * Signed notes and the keys that verify them, exactly as golang.org/x/mod/sumdb/note has them. A note is text, an
 * empty line, and signature lines: an em dash, the key's name, base64 of the key's hash and the signature.
 */
import { isUtf8 } from 'node:buffer';
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';

import { decodeGoBase64 } from './go-base64.ts';
import { LogError } from './log-error.ts';

/** A key that can tell whether a signature is its own. */
export interface Verifier {
  readonly name: string;
  /** The first four bytes of the SHA-256 of name and key: with the name it says which key signed. */
  readonly hash: number;
  verify(text: Buffer, signature: Buffer): boolean;
}

export interface OpenedNote {
  /** What was signed, with its last line feed. */
  readonly text: Buffer;
  /** Names of the known keys whose signatures are right, in the note's order; at least one. */
  readonly signedBy: readonly string[];
}

/** Longest note that is read, in bytes; tlog reads no longer tree either. */
export const maxNoteBytes = 1_000_000;

const maxSignatureLines = 100;
const signaturePrefix = '— ';
const hashOfKeyBytes = 4;
const ed25519 = 1;
const ed25519KeyBytes = 32;
/** What DER puts before the 32 bytes of an Ed25519 public key (RFC 8410). */
const ed25519SpkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const maxKeyLength = 4096;

/** Parses `NAME+HASH+KEY`: Ed25519 only, and HASH must be that of NAME and KEY. Throws LogError `bad_key`. */
export function parseVerifierKey(text: string): Verifier {
  if (text.length > maxKeyLength)
    throw new LogError('bad_key', 'a verifier key is NAME+HASH+KEY, not that long');
  const afterName = text.indexOf('+');
  const afterHash = text.indexOf('+', afterName + 1);
  const name = text.slice(0, Math.max(afterName, 0));
  const hashText = text.slice(afterName + 1, afterHash);
  const key = decodeGoBase64(text.slice(afterHash + 1));
  if (
    afterName < 0 ||
    afterHash < 0 ||
    !isValidName(name) ||
    !/^[0-9a-fA-F]{8}$/.test(hashText) ||
    key === undefined ||
    key.length === 0
  ) {
    throw new LogError(
      'bad_key',
      'a verifier key is NAME+HASH+KEY, HASH of 8 hexadecimal digits, KEY in base64',
    );
  }
  const keyHash = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').readUInt32BE(0);
  if (Number.parseInt(hashText, 16) !== keyHash) {
    throw new LogError(
      'bad_key',
      `the verifier key of ${name} does not fit its hash ${hashText}: copy it whole`,
    );
  }
  if (key[0] !== ed25519) {
    throw new LogError('bad_key', `the verifier key of ${name} is of an unknown kind; only Ed25519 is known`);
  }
  if (key.length !== 1 + ed25519KeyBytes) {
    throw new LogError('bad_key', `the verifier key of ${name} is not of ${ed25519KeyBytes} bytes`);
  }
  return new Ed25519Verifier(name, keyHash, key.subarray(1));
}

/**
 * Opens a note and checks its signatures. Those of unknown keys are ignored, and so are further ones of the same key.
 * Throws LogError `bad_note` for what is no note, `bad_signature` when a known key's signature is wrong, `unverified`
 * when no known key has signed it, `bad_key` when two of `verifiers` cannot be told apart, `too_large`.
 */
export function openNote(bytes: Buffer, verifiers: readonly Verifier[]): OpenedNote {
  if (bytes.length > maxNoteBytes) {
    throw new LogError('too_large', `a signed note of ${bytes.length} bytes is beyond ${maxNoteBytes}`);
  }
  if (!isPlainText(bytes))
    throw new LogError('bad_note', 'a signed note is UTF-8 without control characters');
  const split = bytes.lastIndexOf('\n\n');
  if (split < 0) throw new LogError('bad_note', 'no empty line parts text and signatures of the note');
  const text = bytes.subarray(0, split + 1);
  const signatures = bytes.subarray(split + 2);
  if (signatures.length === 0 || signatures.at(-1) !== newline) {
    throw new LogError('bad_note', 'the note ends without a whole signature line');
  }

  const lines = signatures.toString('utf8', 0, signatures.length - 1).split('\n');
  if (lines.length > maxSignatureLines) {
    throw new LogError('bad_note', `the note has more than ${maxSignatureLines} signature lines`);
  }
  const seen = new Set<Verifier>();
  for (const line of lines) {
    const { name, keyHash, signature } = parseSignatureLine(line);
    const known = verifiers.filter((verifier) => verifier.name === name && verifier.hash === keyHash);
    if (known.length > 1)
      throw new LogError('bad_key', `two verifier keys have the name and hash of ${name}`);
    const [verifier] = known;
    if (verifier === undefined || seen.has(verifier)) continue;
    seen.add(verifier);
    if (!verifier.verify(text, signature)) {
      throw new LogError('bad_signature', `the signature of ${name} does not fit the note: it was altered`);
    }
  }
  if (seen.size === 0) throw new LogError('unverified', 'the note has no signature of a known key');
  return { text, signedBy: Array.from(seen, ({ name }) => name) };
}

const newline = 0x0a;

/** UTF-8 whose only control characters (below U+0020) are line feeds: what notes and records are made of. */
export function isPlainText(bytes: Buffer): boolean {
  return isUtf8(bytes) && bytes.every((byte) => byte >= 0x20 || byte === newline);
}

function parseSignatureLine(line: string): { name: string; keyHash: number; signature: Buffer } {
  const space = line.indexOf(' ', signaturePrefix.length);
  const name = line.slice(signaturePrefix.length, space);
  const bytes = decodeGoBase64(line.slice(space + 1));
  if (
    !line.startsWith(signaturePrefix) ||
    space < 0 ||
    !isValidName(name) ||
    bytes === undefined ||
    bytes.length <= hashOfKeyBytes
  ) {
    throw new LogError('bad_note', 'a line of the note behind its text is no signature line');
  }
  return { name, keyHash: bytes.readUInt32BE(0), signature: bytes.subarray(hashOfKeyBytes) };
}

function isValidName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name);
}

class Ed25519Verifier implements Verifier {
  readonly name: string;
  readonly hash: number;
  readonly #key: KeyObject;

  /** Throws LogError `bad_key`. */
  constructor(name: string, hash: number, key: Buffer) {
    this.name = name;
    this.hash = hash;
    try {
      this.#key = createPublicKey({
        key: Buffer.concat([ed25519SpkiPrefix, key]),
        format: 'der',
        type: 'spki',
      });
    } catch (cause) {
      throw new LogError('bad_key', `the verifier key of ${name} is no Ed25519 key`, { cause });
    }
  }

  verify(text: Buffer, signature: Buffer): boolean {
    return verify(null, text, this.#key, signature);
  }
}
