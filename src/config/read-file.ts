/**
 * Reads a text file with a limit. The configuration and secret files come from an operator, but a path that
 * names a device or a log by mistake must not fill the memory.
 */
import { open } from 'node:fs/promises';
import { ModferryError } from '../lib/errors.ts';

/**
 * The text of a file as UTF-8 (a byte order mark is dropped).
 * @throws Node's own error, or a ModferryError `too_large` when the file has more than `maxBytes`.
 */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  await using file = await open(path, 'r');
  const target = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length < target.length) {
    const { bytesRead } = await file.read(target, length, target.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length > maxBytes) {
    throw new ModferryError('too_large', `${path} is larger than ${maxBytes} bytes; name another file`);
  }
  return new TextDecoder().decode(target.subarray(0, length));
}
