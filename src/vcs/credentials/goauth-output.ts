/**
 * What a GOAUTH command prints: lines of URLs, an empty line, header lines, an empty line, and so on. See
 * `go help goauth`. Here a header must be one that git can send for us: `Authorization`, Basic or Bearer.
 */
import { bareHost, isLoopbackHost } from '../../outbound/network-address.ts';
import { type GitCredential, VcsError } from '../types.ts';

export interface PrintedCredential {
  /** `https://host/path`, without a trailing slash: for this and all below it. */
  readonly prefix: string;
  readonly credential: GitCredential;
}

const maxCredentials = 1000;

/** Throws VcsError `auth`, whose text quotes nothing of what was printed. */
export function parseGoauthOutput(text: string, program: string): PrintedCredential[] {
  const found: PrintedCredential[] = [];
  let prefixes: string[] = [];
  let authorization: string | undefined;
  let isInHeaders = false;
  const finish = (): void => {
    if (isInHeaders && authorization !== undefined) {
      const credential = credentialOf(authorization, program);
      for (const prefix of prefixes) found.push({ prefix, credential });
    }
    prefixes = [];
    authorization = undefined;
    isInHeaders = false;
  };
  for (const line of [...text.split('\n').map((each) => each.replace(/\r$/, '')), '']) {
    if (found.length + prefixes.length > maxCredentials) throw wrong(program, 'too many lines');
    if (line === '') {
      if (isInHeaders) finish();
      else isInHeaders = prefixes.length > 0;
    } else if (!isInHeaders) {
      prefixes.push(prefixOf(line, program));
    } else {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw wrong(program, 'a header line without a name');
      if (name.toLowerCase() === 'authorization') authorization = value.trim();
    }
  }
  return found;
}

function prefixOf(line: string, program: string): string {
  if (!URL.canParse(line)) throw wrong(program, 'a line that is no URL where one should be');
  const url = new URL(line);
  const isPlainHere = url.protocol === 'http:' && isLoopbackHost(bareHost(url.hostname));
  if (url.protocol !== 'https:' && !isPlainHere) throw wrong(program, 'a URL that is not https');
  return urlPrefix(url);
}

/** `https://host/path`, as `prefix` above. */
export function urlPrefix(url: URL): string {
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function credentialOf(authorization: string, program: string): GitCredential {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +([\x21-\x7e]+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: value };
  const pair = scheme.toLowerCase() === 'basic' ? Buffer.from(value, 'base64').toString('utf8') : '';
  const colon = pair.indexOf(':');
  if (colon < 0) throw wrong(program, 'a header that git cannot send (only Authorization, Basic or Bearer)');
  return { kind: 'basic', username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function wrong(program: string, what: string): VcsError {
  return new VcsError(
    'auth',
    `the credential command ${program} prints ${what}; it must print what go help goauth describes`,
  );
}

/** The credential for a URL: that of the longest prefix. */
export function printedFor(
  lookup: (prefix: string) => GitCredential | undefined,
  url: URL,
): GitCredential | undefined {
  let prefix = urlPrefix(url);
  // Paths are bounded by the URL; a hostile one of thousands of slashes costs as many look-ups.
  for (;;) {
    const found = lookup(prefix);
    if (found !== undefined || prefix.length <= url.origin.length) return found;
    prefix = prefix.slice(0, prefix.lastIndexOf('/'));
  }
}
