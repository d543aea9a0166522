/** The `h1:` hash of a go.mod file, as go.sum's `/go.mod` lines have it (dirhash.Hash1 over one name). */
import { createHash } from 'node:crypto';

export function goModHash(body: Buffer): string {
  const inner = createHash('sha256').update(body).digest('hex');
  return `h1:${createHash('sha256').update(`${inner}  go.mod\n`).digest('base64')}`;
}
