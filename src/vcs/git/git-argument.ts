/**
 * Checks of everything that reaches git's arguments from outside. Git and ssh read options where names are expected
 * (`-oProxyCommand=…`, `--upload-pack=…`) and run programs for some URLs (`ext::`), so what looks like that is refused
 * before anything is started; `--end-of-options` and `--` stand in front of them all the same.
 */
import { VcsError } from '../types.ts';
import type { GitProtocol } from './git-options.ts';

const maxUrlLength = 2_048;
const maxPathLength = 4_096;

// oxlint-disable-next-line no-control-regex -- that is what it looks for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** The URL as it was given. Throws VcsError `refused` when it is not plainly a repository by an allowed protocol. */
export function checkedUrl(url: string, protocols: readonly GitProtocol[]): URL {
  if (url.length > maxUrlLength) throw refused('the repository URL is too long');
  if (control.test(url) || /[\s\\"'<>^`{|}]/.test(url) || !isPrintableAscii(url)) {
    throw refused('the repository URL has characters that no URL may have; percent-encode them');
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(url)?.[1];
  const protocol = protocols.find((each) => each === scheme);
  if (protocol === undefined) {
    throw refused(
      `repositories are reached by ${protocols.join(', ')}, and ${shown(url)} is none of these; write it as PROTOCOL://HOST/PATH`,
    );
  }
  const parsed = URL.parse(url);
  if (parsed === null) throw refused(`${shown(url)} is not a URL`);
  if (parsed.password !== '' || (protocol !== 'ssh' && parsed.username !== '')) {
    throw refused('the repository URL has credentials in it; put them into the credentials of its host');
  }
  if (parsed.search !== '' || parsed.hash !== '' || /[?#]/.test(url)) {
    throw refused(`${shown(url)} has a query or a fragment, which no repository has`);
  }
  if (protocol === 'file' ? parsed.host !== '' : !/^[\da-z[]/i.test(parsed.hostname)) {
    throw refused(`${shown(url)} has a host that cannot be`);
  }
  // The user may be taken for an option of ssh; git decodes it first.
  if (!/^[\w.]?[\w.+-]*$/.test(parsed.username))
    throw refused(`${shown(url)} has a user name that cannot be`);
  checkUrlPath(url, parsed);
  return parsed;
}

function checkUrlPath(url: string, parsed: URL): void {
  let path: string;
  try {
    path = decodeURIComponent(parsed.pathname);
  } catch {
    throw refused(`${shown(url)} has a percent sign that encodes nothing`);
  }
  if (control.test(path) || path.includes('\\')) throw refused(`${shown(url)} hides control characters`);
  const elements = path.split('/').slice(1);
  if (elements.join('') === '') throw refused(`${shown(url)} names a server but no repository`);
  // URL() has taken dots away already, in silence: what was written must be what is asked for.
  if (/(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(url.slice(url.indexOf('://') + 3))) {
    throw refused(`${shown(url)} has "." or ".." in its path`);
  }
  if (elements.some((element) => element.startsWith('-') || element.startsWith('~-'))) {
    throw refused(`${shown(url)} has an element that begins with "-", which could be taken for an option`);
  }
}

/** Throws VcsError `absent` for what cannot be a full hash of a commit. */
export function checkedHash(hash: string): string {
  if (!/^(?:[\da-f]{40}|[\da-f]{64})$/.test(hash)) {
    throw new VcsError('absent', 'a revision was asked for by something that is no full commit hash');
  }
  return hash;
}

/** True when this may be the beginning of a commit hash that Go would look up. */
export function isHashPrefix(text: string): boolean {
  return text.length >= 7 && text.length <= 64 && /^[\da-f]+$/.test(text);
}

/**
 * A path inside a repository, '' for its top. Undefined: no repository can have it. What Git knows and Go does not
 * (control characters, a leading `-`) is refused too, because no module has a file or folder of such a name.
 */
export function checkedPath(path: string): string | undefined {
  if (path === '') return path;
  if (path.length > maxPathLength || control.test(path) || path.startsWith('-')) return undefined;
  const elements = path.split('/');
  const isPlain = elements.every((element) => element !== '' && element !== '.' && element !== '..');
  return isPlain ? path : undefined;
}

/** True for a full ref name that may be passed on; a server can send anything as one. */
export function isRefName(name: string): boolean {
  if (name === 'HEAD') return true;
  return (
    /^refs\/(?:heads|tags)\/[^\s~^:?*[\\]+$/.test(name) &&
    !control.test(name) &&
    name.length <= 1_024 &&
    !/\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(name)
  );
}

function isPrintableAscii(text: string): boolean {
  return /^[\x21-\x7e]*$/.test(text);
}

/** For error texts: short, and without what may be a secret. */
function shown(url: string): string {
  const bare = url.replace(/\/\/[^/]*@/, '//');
  return `"${bare.length > 120 ? `${bare.slice(0, 119)}…` : bare}"`;
}

function refused(message: string): VcsError {
  return new VcsError('refused', message);
}
