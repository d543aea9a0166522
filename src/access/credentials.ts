/**
 * The `Authorization` header, read strictly: what is not exactly Basic or Bearer as the RFCs write them is no
 * credentials at all.
 * @see https://www.rfc-editor.org/rfc/rfc7617 Basic
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 Bearer
 */
import type { Credentials } from './types.ts';

/** Of the whole header; a JWT with many groups has some 4 KiB. */
export const maxAuthorizationBytes = 8 * 1024;

const scheme = /^(basic|bearer) +([A-Za-z0-9+/=._~-]+)$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const bearerToken = /^[A-Za-z0-9._~+/-]+=*$/;
const control = /\p{Cc}/u;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined: malformed, too long, or another scheme. */
export function parseAuthorization(header: string): Credentials | undefined {
  if (header.length > maxAuthorizationBytes) return undefined;
  const [, name = '', value = ''] = scheme.exec(header.trim()) ?? [];
  if (name.toLowerCase() === 'bearer') {
    return bearerToken.test(value) ? { kind: 'bearer', token: value } : undefined;
  }
  return name === '' ? undefined : parseBasic(value);
}

function parseBasic(value: string): Credentials | undefined {
  if (!base64.test(value)) return undefined;
  let text: string;
  try {
    text = utf8.decode(Buffer.from(value, 'base64'));
  } catch {
    return undefined;
  }
  const colon = text.indexOf(':');
  if (colon < 0 || control.test(text)) return undefined;
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}
