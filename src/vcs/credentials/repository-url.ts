/** A repository's URL as far as credentials depend on it. */
import { bareHost, isLoopbackHost } from '../../outbound/network-address.ts';
import { VcsError } from '../types.ts';

export interface RepositoryUrl {
  readonly scheme: 'https' | 'http' | 'ssh' | 'other';
  /** Lower case, without brackets. */
  readonly host: string;
  /** As written; '' for the usual one. */
  readonly port: string;
  /** `team/repo`, without `.git` and outer slashes. */
  readonly path: string;
  /** The URL without userinfo, query and fragment: for commands and texts. */
  readonly bare: string;
  /** False: what is sent could be read on the way. */
  readonly isSafe: boolean;
}

/** Throws VcsError `refused` for a text that is no URL. */
export function readRepositoryUrl(text: string): RepositoryUrl {
  if (!URL.canParse(text)) throw new VcsError('refused', 'the address of the repository is no URL');
  const url = new URL(text);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  const scheme = schemeOf(url.protocol);
  const host = bareHost(url.hostname);
  return {
    scheme,
    host,
    port: url.port,
    path: url.pathname.replaceAll(/^\/+|\/+$/g, '').replace(/\.git$/, ''),
    bare: url.href,
    isSafe: scheme === 'https' || scheme === 'ssh' || isLoopbackHost(host),
  };
}

function schemeOf(protocol: string): RepositoryUrl['scheme'] {
  if (protocol === 'https:') return 'https';
  if (protocol === 'http:') return 'http';
  return protocol === 'ssh:' || protocol === 'git+ssh:' ? 'ssh' : 'other';
}
