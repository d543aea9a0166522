/**
 * What a token looks like: `mfy_`, 32 random bytes in base64url (43 characters), and a CRC-32 of all of that in base 62
 * (6 characters), so that scanners for leaked secrets can tell one from chance, and a typing error is no look-up.
 */
import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Credentials } from '../types.ts';

export const tokenPrefix = 'mfy_';
const form = /^mfy_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$/;
const randomLength = tokenPrefix.length + 43;
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function newTokenText(): string {
  const text = tokenPrefix + randomBytes(32).toString('base64url');
  return text + checksumOf(text);
}

/** What is kept of a token, lower-case hex SHA-256; undefined for a text that cannot be one. */
export function tokenHash(text: string): string | undefined {
  if (!form.test(text)) return undefined;
  return checksumOf(text.slice(0, randomLength)) === text.slice(randomLength)
    ? hash('sha256', text, 'hex')
    : undefined;
}

/** What was sent as a token: a Bearer, or either field of Basic. Undefined: nothing of it begins like one. */
export function tokenIn(credentials: Credentials): string | undefined {
  const texts =
    credentials.kind === 'bearer' ? [credentials.token] : [credentials.password, credentials.username];
  return texts.find((text) => text.startsWith(tokenPrefix));
}

function checksumOf(text: string): string {
  let rest = crc32(text);
  let sum = '';
  for (let place = 0; place < 6; place += 1) {
    sum = (digits[rest % 62] ?? '') + sum;
    rest = Math.floor(rest / 62);
  }
  return sum;
}
