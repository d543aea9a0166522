/**
 * Credentials for upstreams: basic or bearer, from the configuration, a URL's userinfo or `.netrc`. They are held
 * in a type that prints as `***`, and become text only where the request is written.
 */
import { inspect } from 'node:util';

/** Anything that holds a secret and gives it only when asked by name. */
export interface SecretText {
  reveal(): string;
}

const mask = '***';

/** A secret string. Logs, JSON, templates and inspection show `***`. */
export class HiddenText implements SecretText {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}

export type UpstreamAuth =
  | { readonly kind: 'basic'; readonly username: string; readonly password: SecretText }
  | { readonly kind: 'bearer'; readonly token: SecretText };

/** The value of the `Authorization` header. */
export function authorizationOf(auth: UpstreamAuth): string {
  if (auth.kind === 'bearer') return `Bearer ${auth.token.reveal()}`;
  const pair = `${auth.username}:${auth.password.reveal()}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

/** Userinfo of a URL as basic credentials; undefined without one. Broken percent escapes are taken literally. */
export function authFromUrl(url: URL): UpstreamAuth | undefined {
  if (url.username === '' && url.password === '') return undefined;
  return { kind: 'basic', username: decoded(url.username), password: new HiddenText(decoded(url.password)) };
}

/** A copy of the URL without userinfo, query and fragment: what may be shown and used as a name. */
export function bareUrl(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.search = '';
  bare.hash = '';
  return bare;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
