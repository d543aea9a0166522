/**
 * Credentials for upstreams: basic or bearer, from the configuration, a URL's userinfo or `.netrc`. They are held
 * in a type that prints as `***`, and become text only where the request is written.
 */
import { Secret } from '../lib/secret.ts';

export type UpstreamAuth =
  | { readonly kind: 'basic'; readonly username: string; readonly password: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret };

/** The value of the `Authorization` header. */
export function authorizationOf(auth: UpstreamAuth): string {
  if (auth.kind === 'bearer') return `Bearer ${auth.token.reveal()}`;
  const pair = `${auth.username}:${auth.password.reveal()}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

/** Userinfo of a URL as basic credentials; undefined without one. Broken percent escapes are taken literally. */
export function authFromUrl(url: URL): UpstreamAuth | undefined {
  if (url.username === '' && url.password === '') return undefined;
  return { kind: 'basic', username: decoded(url.username), password: new Secret(decoded(url.password)) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
