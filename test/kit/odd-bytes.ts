/** Bytes that cannot be compressed and are the same on every machine. */
import { createCipheriv } from 'node:crypto';

export function randomBytesOf(length: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}
