/** Hashes of passwords as they stand in an htpasswd file: bcrypt and scrypt, and nothing that is quick to guess. */

export type PasswordHash =
  | { readonly kind: 'bcrypt'; readonly text: string }
  | {
      readonly kind: 'scrypt';
      /** N is 2 to the power of that. */
      readonly costBits: number;
      readonly blockSize: number;
      readonly parallel: number;
      readonly salt: Buffer;
      readonly key: Buffer;
    };

/** More than 2 s of one processor: whoever asks for a password could keep the server busy. */
const mostBcryptCost = 15;
const mostScryptCostBits = 17;
const mostBlockSize = 16;
const mostParallel = 4;

const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** As passlib writes it: https://passlib.readthedocs.io/en/stable/lib/passlib.hash.scrypt.html. */
const scrypt =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/.]{8,128})\$([A-Za-z0-9+/.]{22,128})$/;

/** The hash, or why it cannot be used, as the end of a sentence. */
export function parsePasswordHash(text: string): PasswordHash | string {
  const cost = bcrypt.exec(text)?.[1];
  if (cost !== undefined) {
    const isFine = Number(cost) >= 4 && Number(cost) <= mostBcryptCost;
    return isFine ? { kind: 'bcrypt', text } : `its bcrypt cost is not 4 to ${mostBcryptCost}`;
  }
  const [, ln, r, p, salt, key] = scrypt.exec(text) ?? [];
  if (salt === undefined || key === undefined) return `its hash is ${nameOf(text)}; make it with htpasswd -B`;
  const [costBits, blockSize, parallel] = [Number(ln), Number(r), Number(p)];
  const isFine =
    costBits >= 10 &&
    costBits <= mostScryptCostBits &&
    blockSize >= 1 &&
    blockSize <= mostBlockSize &&
    parallel >= 1 &&
    parallel <= mostParallel;
  if (!isFine) return `its scrypt has other limits than ln 10 to 17, r up to ${mostBlockSize}, p up to 4`;
  return { kind: 'scrypt', costBits, blockSize, parallel, salt: bytes(salt), key: bytes(key) };
}

/**
 * A hash of no password that takes as long to check as the most frequent kind among these: whoever names a user that
 * does not exist must not be answered sooner.
 */
export function dummyHash(hashes: Iterable<PasswordHash>): PasswordHash {
  const counts = new Map<string, { hash: PasswordHash; count: number }>();
  for (const hash of hashes) {
    const kind = costOf(hash);
    const seen = counts.get(kind);
    if (seen === undefined) counts.set(kind, { hash, count: 1 });
    else seen.count += 1;
  }
  const [most] = [...counts.values()].sort((a, b) => b.count - a.count);
  const like = most?.hash ?? { kind: 'bcrypt', text: '$2b$10$' };
  if (like.kind === 'scrypt') return { ...like, salt: Buffer.alloc(16), key: Buffer.alloc(like.key.length) };
  return { kind: 'bcrypt', text: `${like.text.slice(0, 7)}${'.'.repeat(53)}` };
}

function costOf(hash: PasswordHash): string {
  if (hash.kind === 'bcrypt') return hash.text.slice(4, 7);
  return `scrypt ${hash.costBits} ${hash.blockSize} ${hash.parallel}`;
}

function nameOf(text: string): string {
  if (text.startsWith('$apr1$') || text.startsWith('$1$')) return 'MD5';
  if (text.startsWith('{SHA}')) return 'SHA-1';
  if (text.startsWith('$5$') || text.startsWith('$6$')) return 'of crypt(3)';
  return 'none that is known here, or a plain password';
}

function bytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}
