/**
 * Credentials for repositories: the first entry that matches, else the machine's `.netrc`. Secrets are resolved at each
 * use, so that what was rotated is used at once.
 */
import type { Clock } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import { revealNow, type SecretSource } from '../../lib/secret-reference.ts';
import type { ProxyRule } from '../../outbound/proxy-rule.ts';
import type { PrivateRoutes } from '../private-routes.ts';
import { type CredentialFinder, type GitCredential, VcsError } from '../types.ts';
import { CommandCredentials } from './command.ts';
import { type CredentialEntry, entryName } from './entries.ts';
import { tokenUsername } from './forge.ts';
import { GithubApp } from './github-app.ts';
import type { Want } from './kept.ts';
import { compileMatcher, foreignRoute, type Match, type Matcher } from './match.ts';
import { NetrcFile } from './netrc-file.ts';
import { type RepositoryUrl, readRepositoryUrl } from './repository-url.ts';
import { SshKeys } from './ssh-key.ts';

/**
 * To a public module of another host no credentials are lent: its readers are not checked, and its author says where
 * its repository is. Nor to a module whose repository, or whose path in another spelling, is on another private route:
 * that is refused.
 */
export interface CredentialFinderOptions extends PrivateRoutes {
  /** In order: the first that matches is used. */
  readonly entries: readonly CredentialEntry[];
  /**
   * Absolute path of the machine's `.netrc`, asked where no entry matches, for private modules and for hosts that an
   * entry names; undefined: it is not. See `netrcPath`.
   */
  readonly machineNetrc: string | undefined;
  /** What credential commands see, but for variables that begin with `MODFERRY_`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For the API of GitHub Apps. */
  readonly proxy: ProxyRule;
  /** PEM file of further authorities. */
  readonly caFile: string | undefined;
  /** For each step of a connection to an API. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** How long a credential command may take. Default 30 s. */
  readonly commandTimeoutMs?: number;
  /** Of this modferry, for `User-Agent`. */
  readonly version: string;
  readonly clock: Clock;
}

/** Which credentials would be used, without having them. */
export interface CredentialChoice {
  /** `token for git.corp.example`, `the machine's .netrc`; undefined: none. */
  readonly name: string | undefined;
  /** Why an entry that speaks of the module or host is not used, each a sentence. */
  readonly remarks: readonly string[];
}

/** A finder that can also say what it would use, for `modferry upstreams test`. */
export interface ExplainingCredentialFinder extends CredentialFinder {
  /** Throws VcsError `refused` for a text that is no URL. */
  explain(url: string, path: string | undefined): CredentialChoice;
}

interface Ready {
  readonly name: string;
  readonly matches: Matcher;
  find(repository: RepositoryUrl, want: Want): Promise<GitCredential | undefined>;
}

const remarks: Readonly<Partial<Record<Match, string>>> = {
  elsewhere: 'is for the module, but not for the host of its repository; add that host to its match',
  foreign: 'is not lent to a public module of another host; make the module private',
  unsafe: 'is not sent over plain http; use the https address of the repository',
  other_scheme: 'is not of a kind for this address; SSH keys are for ssh, all others for https',
};

/** Opens and reads nothing yet. */
export function createCredentialFinder(options: CredentialFinderOptions): ExplainingCredentialFinder {
  const keys = new SshKeys();
  const ready = options.entries.map(
    (entry): Ready => ({
      name: entryName(entry),
      matches: compileMatcher(entry, options.isPrivate),
      find: findBy(entry, options, keys),
    }),
  );
  const machine =
    options.machineNetrc === undefined
      ? undefined
      : new NetrcFile({ path: options.machineNetrc, isNamed: false });
  return {
    async find(url, { path, isRetry = false, signal }) {
      signal.throwIfAborted();
      const repository = readRepositoryUrl(url);
      const found = ready.map(({ matches }) => matches(repository, path));
      const chosen = ready[found.indexOf('yes')];
      const route = path === undefined ? undefined : foreignRoute(repository, path, options);
      if (chosen !== undefined) {
        if (route !== undefined) throw refusal(repository, path, route);
        return await chosen.find(repository, { isRetry, signal });
      }
      if (!mayUseNetrc(repository, path, found, options.isPrivate)) return undefined;
      const credential = await machine?.find(repository.host);
      if (credential !== undefined && route !== undefined) throw refusal(repository, path, route);
      return credential;
    },
    explain(url, path) {
      const repository = readRepositoryUrl(url);
      const said: string[] = [];
      const found: Match[] = [];
      const route = path === undefined ? undefined : foreignRoute(repository, path, options);
      const choice = (name: string): CredentialChoice =>
        route === undefined
          ? { name, remarks: said }
          : { name: undefined, remarks: [...said, refusal(repository, path, route).message] };
      for (const { name, matches } of ready) {
        const match = matches(repository, path);
        if (match === 'yes') return choice(name);
        found.push(match);
        const remark = remarks[match];
        if (remark !== undefined) said.push(`${name} ${remark}`);
      }
      const isNetrc = machine !== undefined && mayUseNetrc(repository, path, found, options.isPrivate);
      return isNetrc ? choice("the machine's .netrc") : { name: undefined, remarks: said };
    },
  };
}

/**
 * It is the machine's, not modferry's: a public module, which anybody may read, is given nothing of it unless an entry
 * names the host, if only for ssh (`found`: what the entries say of this repository).
 */
function mayUseNetrc(
  repository: RepositoryUrl,
  path: string | undefined,
  found: readonly Match[],
  isPrivate: (path: string) => boolean,
): boolean {
  const { scheme, isSafe } = repository;
  if (!isSafe || (scheme !== 'https' && scheme !== 'http')) return false;
  return path === undefined || isPrivate(path) || found.includes('other_scheme');
}

function refusal({ host }: RepositoryUrl, path: string | undefined, route: string): VcsError {
  return new VcsError(
    'refused',
    `the credentials of ${host} are not lent to ${path}: its repository belongs to the private route ${route}; ` +
      'ask by the path that the route names, or put both on one route',
  );
}

function findBy({ use }: CredentialEntry, options: CredentialFinderOptions, keys: SshKeys): Ready['find'] {
  switch (use.kind) {
    case 'token':
      return async ({ host }) => {
        const token = await secretNow(use.token);
        if (use.header === 'bearer') return { kind: 'bearer', token };
        return { kind: 'basic', username: use.username ?? tokenUsername(host), password: token };
      };
    case 'password':
      return async () => ({
        kind: 'basic',
        username: use.username,
        password: await secretNow(use.password),
      });
    case 'ssh_key':
      return async () => await keys.credential(use);
    case 'netrc': {
      const path = use.file ?? options.machineNetrc;
      const file = path === undefined ? undefined : new NetrcFile({ path, isNamed: true });
      return async ({ host }) => await file?.find(host);
    }
    case 'command': {
      const { argv } = use;
      const { env, clock, commandTimeoutMs } = options;
      const command = new CommandCredentials({ argv, env, clock, timeoutMs: commandTimeoutMs });
      return async ({ bare }, want) => await command.find(new URL(bare), want);
    }
    default: {
      const { proxy, caFile, connectTimeoutMs = 10_000, clock, version } = options;
      const connections = { proxy, caFile, connectTimeoutMs, clock };
      const app = new GithubApp({ ...use, connections, version });
      return async (repository, want) => await app.find(repository, want);
    }
  }
}

/** Rejects with VcsError `auth`, in the words of where the secret should have been. */
async function secretNow(source: SecretSource): Promise<string> {
  try {
    const secret = await revealNow(source);
    // A line break would end the header that carries it.
    if (!/[\r\n\0]/.test(secret)) return secret;
  } catch (error) {
    if (!(error instanceof ModferryError)) throw error;
    throw new VcsError('auth', error.message, { cause: error });
  }
  throw new VcsError('auth', 'a secret for repositories has more than one line; write only the secret');
}
