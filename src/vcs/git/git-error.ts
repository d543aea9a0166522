/**
 * What git, ssh and curl said when they failed, as a VcsError: how far it came, and a sentence for a person. The texts
 * are those of LC_ALL=C. What a server said of its own (`remote: …`) is read to tell failures apart and never repeated.
 */
import { VcsError, type VcsErrorCode } from '../types.ts';

/** What the failed run was about. */
export interface GitFailure {
  readonly exitCode: number;
  readonly stderr: string;
  /** Repository it talked to; undefined: it read a mirror. */
  readonly url?: string | undefined;
  readonly hasCredential?: boolean | undefined;
  /** The outbound proxy it went through. */
  readonly proxy?: string | undefined;
  /** Texts that must not be shown. */
  readonly secrets?: readonly string[] | undefined;
}

interface Rule {
  readonly code: VcsErrorCode;
  readonly pattern: RegExp;
  readonly say: (host: string, failure: GitFailure, match: RegExpExecArray) => string;
}

/** The first that matches counts: each stands before those whose texts come along with its own. */
const rules: readonly Rule[] = [
  {
    code: 'proxy',
    pattern: /could not resolve proxy/i,
    say: (host) => `the name of the outbound proxy on the way to ${host} could not be resolved`,
  },
  {
    code: 'proxy',
    pattern:
      /CONNECT tunnel failed, response (\d+)|HTTP code (\d+) from proxy|Proxy CONNECT aborted|(?:complete|receive|send)[^\n]*SOCKS|SOCKS[45][^\n]*(?:fail|refus|error|reject)/i,
    say: (host, _failure, match) => {
      const status = match[1] ?? match[2];
      return `the outbound proxy let nothing through to ${host}${status === undefined ? '' : ` (it answered ${status})`}`;
    },
  },
  {
    code: 'dns',
    pattern: /could not resolve host|name or service not known|temporary failure in name resolution/i,
    say: (host) => `the name ${host} could not be resolved`,
  },
  {
    code: 'auth',
    pattern: /host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known/i,
    say: (host) =>
      `the host key of ${host} is not in the known hosts, or is another one than there; check it, then add it to the known-hosts file`,
  },
  {
    code: 'auth',
    pattern: /permission denied \([a-z,-]*\)|Too many authentication failures/i,
    say: (host, { hasCredential }) =>
      hasCredential === true
        ? `${host} does not accept the SSH key that is configured for it`
        : `${host} asks for an SSH key, and none is configured for it`,
  },
  {
    code: 'failed',
    pattern: /Load key|identity file [^\n]* not accessible|bad permissions|UNPROTECTED PRIVATE KEY/i,
    say: (host) =>
      `the SSH key for ${host} cannot be read; it must be a key file without passphrase, for its owner only`,
  },
  {
    code: 'tls',
    pattern:
      /SSL certificate problem|certificate verification failed|gnutls_handshake|SSL_connect|SSL_ERROR|OpenSSL SSL|no alternative certificate subject name|certificate subject name|SSL peer certificate|error setting certificate|CAfile|schannel:|unsupported protocol|SSL: /i,
    say: (host) =>
      `the TLS connection to ${host} failed; if its certificate is of an authority of your own, name that in ca_file`,
  },
  {
    code: 'timeout',
    pattern:
      /operation too slow|timed out after|operation timed out|curl 28\b|ssh: connect to [^\n]*timed out/i,
    say: (host) => `${host} was too slow and was given up`,
  },
  {
    code: 'auth',
    pattern:
      /authentication failed|could not read (?:username|password)|returned error: 401\b|HTTP Basic: Access denied|invalid credentials|invalid username or (?:password|token)/i,
    say: (host, { hasCredential }) =>
      hasCredential === true
        ? `${host} does not accept the credentials that are configured for it (expired, or for something else?)`
        : `${host} asks for credentials, and none are configured for it`,
  },
  {
    code: 'absent',
    pattern:
      /repository not found|repository '[^']*' not found|does not appear to be a git repository|returned error: (?:404|410)\b|project you were looking for could not be found|does not exist or you do not have|no such repository|could not find repository|repository [^\n]*does not exist/i,
    say: (host) => `${host} has no such repository, or does not show it to these credentials`,
  },
  {
    code: 'forbidden',
    pattern:
      /returned error: 403\b|permission to [^\n]* denied|you are not allowed|access denied|not authorized/i,
    say: (host) => `${host} knows these credentials and does not allow them this repository`,
  },
  {
    code: 'failed',
    pattern: /returned error: 30\d\b|unable to update url base from redirection/i,
    say: (host) =>
      `${host} redirects to another address, where credentials are never sent to; name the repository by its new URL`,
  },
  {
    code: 'failed',
    pattern: /returned error: 429\b/i,
    say: (host) => `${host} answered 429: it is asked too often`,
  },
  {
    code: 'failed',
    pattern: /returned error: (\d{3})\b/i,
    say: (host, _failure, match) => `${host} answered ${match[1] ?? 'an error'}`,
  },
  {
    code: 'refused',
    pattern:
      /transport '[^']*' not allowed|protocol "?[^"\n]*"? not (?:supported|allowed)|strange (?:hostname|pathname|port) [^\n]*blocked/i,
    say: () => 'the repository would be reached by a protocol that is not allowed',
  },
  {
    code: 'failed',
    pattern: /dubious ownership/i,
    say: () => 'the repository belongs to another user of this machine; let the account of modferry own it',
  },
  {
    code: 'failed',
    pattern: /no space left on device|disk quota exceeded/i,
    say: () => 'the disk with the mirrors is full',
  },
  {
    code: 'connect',
    pattern:
      /failed to connect|couldn't connect to server|connection (?:refused|reset|timed out|was reset|closed by)|no route to host|network is unreachable|ssh: connect to|empty reply from server|recv (?:failure|error)|send failure|early EOF|unexpected disconnect|transfer closed with|the remote end hung up|curl (?:7|18|52|55|56|92)\b|stream [^\n]*(?:not closed cleanly|was reset)|kex_exchange_identification|expected (?:flush|packfile)|unable to find remote helper|bytes of (?:body|length header)/i,
    say: (host) => `the connection to ${host} could not be made, or broke`,
  },
];

const corrupt =
  /not a git repository|object file [^\n]*is empty|(?:loose object|packed object|packfile|pack|index)[^\n]*(?:is )?corrupt|bad packed object|inflate:|packfile [^\n]*(?:cannot be accessed|does not match index|is truncated|is far too short|signature mismatch|claims to have)|index file [^\n]*(?:too small|corrupt|is not supported|error)|wrong index|non-monotonic index|did not send all necessary objects|unable to (?:read|parse|unpack|open) (?:object|tree|commit|loose object)|missing (?:blob|tree|commit) object|could not read [\da-f]{40}|unable to resolve reference|cannot lock ref [^\n]*unable to resolve|packed-refs|unrecognized line|bad config|unknown repository extension|invalid object format|mismatched algorithms|sha1 (?:mismatch|collision)|hash mismatch|failed to read (?:delta|object)|unresolved deltas/i;

/** True for failures that come from the mirror's own files and not from the server. */
export function looksCorrupt(stderr: string): boolean {
  return corrupt.test(stderr);
}

/** True when a lock file of a git that was killed stands in the way. */
export function isLockedByLeftover(stderr: string): boolean {
  return /unable to create '[^']*\.lock': file exists/i.test(stderr);
}

/** The failure as VcsError; `failed` when nothing is known of it. */
export function gitError(failure: GitFailure): VcsError {
  const host = hostOf(failure.url);
  const stderr = ofStatus(failure.stderr) ?? failure.stderr;
  const fields = { exitCode: failure.exitCode };
  if (failure.url !== undefined && isOfProxy(failure)) {
    return new VcsError('proxy', `the outbound proxy on the way to ${host} cannot be reached`, { fields });
  }
  for (const { code, pattern, say } of failure.url === undefined ? [] : rules) {
    const match = pattern.exec(stderr);
    if (match !== null) return new VcsError(code, say(host, failure, match), { fields });
  }
  const where = failure.url === undefined ? 'git failed in a mirror' : `git failed with ${host}`;
  return new VcsError('failed', `${where}: ${lineOf(failure)}`, { fields });
}

/**
 * The line of git's own that names the status of a refused answer. With such a status nothing that the server wrote
 * beside it counts: a gateway in trouble must not pass for a missing repository. 404 and 410 go on to be told apart.
 */
function ofStatus(stderr: string): string | undefined {
  const line = stderr
    .split('\n')
    .findLast((each) => /^(?:fatal|error): .*returned error: \d{3}\b/.test(each));
  return line === undefined || /returned error: (?:404|410)\b/.test(line) ? undefined : line;
}

function isOfProxy({ proxy, stderr }: GitFailure): boolean {
  const host = proxy === undefined ? undefined : URL.parse(proxy)?.hostname;
  if (host === undefined || host === '') return false;
  const named = /failed to connect to (\S+)/i.exec(stderr)?.[1];
  return named === host;
}

function hostOf(url: string | undefined): string {
  const parsed = url === undefined ? null : URL.parse(url);
  return parsed === null || parsed.host === '' ? 'the repository' : parsed.host;
}

/** The line of git itself that tells most, made fit for people. */
function lineOf({ stderr, exitCode, secrets = [] }: GitFailure): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => !/^\s*remote:/i.test(line));
  const line =
    lines.findLast((each) => each.startsWith('fatal: ')) ??
    lines.findLast((each) => each.startsWith('error: '));
  if (line === undefined) return `it ended with ${exitCode} and said nothing of use`;
  let text = line.replace(/^\w+: /, '').replaceAll(/\/\/[^/\s@]*@/g, '//');
  for (const secret of secrets) if (secret !== '') text = text.replaceAll(secret, '***');
  // oxlint-disable-next-line no-control-regex -- it takes them away
  text = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, ' ').trim();
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
