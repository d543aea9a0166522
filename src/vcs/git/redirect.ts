/**
 * Redirects of servers that get credentials. Git would take the credentials along to wherever it is sent, so it follows
 * none; those that stay on the same server (a renamed repository, a `.git` that was left out) are followed here.
 */
import { VcsError } from '../types.ts';
import { checkedUrl } from './git-argument.ts';
import type { GitProtocol } from './git-options.ts';

const query = '/info/refs?service=git-upload-pack';

/** True when git ended at a redirect. */
export function isRedirect(stderr: string): boolean {
  return /returned error: 30\d\b/.test(stderr);
}

/**
 * The new URL of a repository, from the headers of the answer (as GIT_TRACE_CURL writes them) to a question at `asked`.
 * Undefined: it is on another server, or no repository's URL.
 */
export function movedTo(asked: string, stderr: string): string | undefined {
  const location = [...stderr.matchAll(/Recv header: location: *(\S+) *$/gim)].at(-1)?.[1];
  const base = URL.parse(asked);
  const target = location === undefined ? null : URL.parse(location, `${asked}${query}`);
  if (base === null || target === null || target.origin !== base.origin) return undefined;
  if (!target.href.endsWith(query)) return undefined;
  const url = target.href.slice(0, -query.length);
  try {
    checkedUrl(url, [base.protocol.slice(0, -1) as GitProtocol]);
  } catch (error) {
    if (error instanceof VcsError) return undefined;
    throw error;
  }
  return url === asked ? undefined : url;
}
