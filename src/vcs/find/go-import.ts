/**
 * Which of a page's go-import tags is for a module path, and whether the repository it names may be used. The pages are
 * written by strangers: nothing of them is believed before it is checked.
 * @see https://go.dev/ref/mod#vcs-find
 */
import { type RepositoryPlace, type Vcs, VcsError } from '../types.ts';
import type { GoImportTag } from './go-import-tags.ts';
import { subdirFault } from './repository-rule.ts';

const systems: ReadonlySet<string> = new Set<Vcs>(['git', 'hg', 'svn', 'fossil', 'bzr']);
const shownTags = 3;

/**
 * The tag for this path. As in Go, one with `mod` wins over the others of its prefix. Throws VcsError `absent` when none
 * is for it, `refused` when several are.
 */
export function matchingTag(tags: readonly GoImportTag[], path: string, shown: string): GoImportTag {
  const proxied = new Set(tags.filter(({ vcs }) => vcs === 'mod').map(({ prefix }) => prefix));
  const matching = tags
    .filter(({ vcs, prefix }) => vcs === 'mod' || !proxied.has(prefix))
    .filter(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  const [first, second] = [
    ...matching.filter(({ vcs }) => vcs === 'mod'),
    ...matching.filter(({ vcs }) => vcs !== 'mod'),
  ];
  if (first === undefined) {
    const others = tags.slice(0, shownTags).map(({ prefix }) => quoted(prefix));
    const hint = others.length === 0 ? '' : ` (it has one for ${others.join(', ')})`;
    throw new VcsError('absent', `${shown} has no go-import tag for ${path}${hint}`);
  }
  if (second !== undefined && (first.vcs !== 'mod' || second.vcs === 'mod')) {
    throw new VcsError('refused', `${shown} has several go-import tags for ${path}; one must be removed`);
  }
  return first;
}

export function isSameTag(a: GoImportTag, b: GoImportTag): boolean {
  return a.prefix === b.prefix && a.vcs === b.vcs && a.url === b.url && a.subdir === b.subdir;
}

/**
 * What the tag names, with its URL taken apart for the guard. Throws VcsError `refused`. Host and port are still to be
 * judged.
 */
export function placeOfTag(tag: GoImportTag, shown: string): { place: RepositoryPlace; url: URL } {
  const { prefix, vcs, subdir } = tag;
  const refuse = (why: string): never => {
    throw new VcsError('refused', `the go-import tag of ${shown} ${why}`);
  };
  if (vcs === 'mod') {
    refuse(
      `says that ${prefix} comes from the module proxy ${quoted(tag.url)} and not from a repository; to use it, declare that address as an upstream and name it in a route for ${prefix}`,
    );
  }
  if (!systems.has(vcs)) refuse(`names the unknown version control system ${quoted(vcs)}`);
  const fault = subdirFault(subdir);
  if (fault !== undefined) refuse(fault);
  const url = repositoryUrl(tag.url, refuse);
  return { place: { vcs: vcs as Vcs, url: textOf(url), root: prefix, subdir }, url };
}

function repositoryUrl(text: string, refuse: (why: string) => never): URL {
  // oxlint-disable-next-line no-control-regex -- what must not reach a command line
  const isOdd = text.length > 2048 || text.startsWith('-') || /[\u0000-\u0020\u007f\\]/.test(text);
  // `ext::sh -c …` and other helpers of git, and scp's `host:path`, have no `//`.
  if (isOdd || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) {
    return refuse(`has the repository ${quoted(text)}, which is no URL with a scheme`);
  }
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:' && url.protocol !== 'ssh:') {
    const scheme = quoted(url.protocol.slice(0, -1));
    refuse(`has a repository with the scheme ${scheme}; only https and ssh are allowed`);
  }
  if (url.password !== '' || (url.username !== '' && url.protocol !== 'ssh:')) {
    refuse('has credentials in its URL, which are not used');
  }
  if (!/^[\w.~+][\w.~+-]*$|^$/.test(url.username)) refuse('has a user name that is none');
  if (url.search !== '' || url.hash !== '') refuse('has a query or fragment in its URL');
  if (/^\/(?:-|%2d)/i.test(url.pathname)) refuse('has a path that could be taken for an option');
  if (/%0[0-9a-f]|%1[0-9a-f]|%7f/i.test(url.pathname)) refuse('has control characters in its URL');
  return url;
}

/** As written but for what the URL parser makes plain: the scheme and host in lower case, addresses in one notation. */
function textOf(url: URL): string {
  return url.pathname === '/' ? url.href.replace(/\/$/, '') : url.href;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);
}
