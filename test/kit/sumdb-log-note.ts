/**
 * Signed notes and their keys (https://pkg.go.dev/golang.org/x/mod/sumdb/note), and the tree head that a checksum
 * database signs. Written for the kit alone, from the format's description.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

export interface NoteSigner {
  readonly name: string;
  /** `NAME+HASH+KEY`. */
  readonly verifierKey: string;
  /** First four bytes of SHA-256(name ‖ line feed ‖ key type ‖ key). */
  readonly keyHash: Buffer;
  /** Ed25519 over the text's bytes. */
  sign(text: string): Buffer;
}

/** What DER wants before the 32 bytes of an Ed25519 private key (RFC 8410). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
/** Ed25519. */
const KEY_TYPE = 1;

/** The same seed gives the same key. */
export function noteSigner(name: string, seed: string): NoteSigner {
  const secret = createHash('sha256').update(seed).digest();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, secret]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const typed = Buffer.concat([Buffer.of(KEY_TYPE), spki.subarray(-32)]);
  const keyHash = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4);
  return {
    name,
    verifierKey: `${name}+${keyHash.toString('hex')}+${typed.toString('base64')}`,
    keyHash,
    sign: (text) => sign(undefined, Buffer.from(text), key),
  };
}

/** `— NAME BASE64`, with its line feed. */
export function signatureLine(signer: NoteSigner, signature: Buffer): string {
  return `— ${signer.name} ${Buffer.concat([signer.keyHash, signature]).toString('base64')}\n`;
}

/** Text, an empty line and the signature of each signer. `text` ends in a line feed. */
export function signedNote(text: string, ...signers: readonly NoteSigner[]): string {
  const lines = signers.map((signer) => signatureLine(signer, signer.sign(text)));
  return `${text}\n${lines.join('')}`;
}

/** The text that is signed as the head of a tree. `size` may be text, to say what no number can. */
export function treeText(size: number | string, root: Buffer): string {
  return `go.sum database tree\n${size}\n${root.toString('base64')}\n`;
}
