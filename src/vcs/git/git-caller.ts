/** Git with credentials: finds those of a repository, asks for others once when they are refused, and tells failures apart. */
import type { ModulePath } from '../../gomod/types.ts';
import type { CredentialFinder, GitCredential, VcsError } from '../types.ts';
import type { GitCall, GitResult, GitRunner } from './git-command.ts';
import { gitError } from './git-error.ts';
import type { GitTransportOptions, RemoteReach } from './git-options.ts';
import { isRedirect, movedTo } from './redirect.ts';

/** A new name, then its `.git`; more is a loop. */
const maxRedirects = 3;
const maxMoved = 1_024;

export interface RemoteTarget {
  /** Checked. */
  readonly url: string;
  readonly path: ModulePath | undefined;
}

/** `error` says what the exit code means, where it is not 0. */
export interface RemoteResult extends GitResult {
  readonly error: VcsError | undefined;
}

export class GitCaller {
  readonly #runner: GitRunner;
  readonly #credentials: CredentialFinder;
  readonly #transport: GitTransportOptions;
  /** By URL: where the same server said that a repository is now. Oldest first. */
  readonly #moved = new Map<string, string>();

  constructor(runner: GitRunner, credentials: CredentialFinder, transport: GitTransportOptions = {}) {
    this.#runner = runner;
    this.#credentials = credentials;
    this.#transport = transport;
  }

  /** Without any server. Resolves whatever the exit code is; rejects as `GitRunner.run`. */
  async local(args: readonly string[], call: Omit<GitCall, 'reach'>): Promise<GitResult> {
    return await this.#runner.run(args, call);
  }

  /**
   * With the credentials of the repository; once more with others when the server refuses them. Resolves when git has
   * ended by itself. Rejects as `GitRunner.run` and as the finder of credentials.
   */
  async remote(
    target: RemoteTarget,
    args: readonly string[],
    call: Omit<GitCall, 'reach'>,
  ): Promise<RemoteResult> {
    const { signal } = call;
    const { url, path } = target;
    const credential = await this.#credentials.find(url, { path, signal });
    const first = await this.#try(url, credential, args, call);
    if (first.error?.code !== 'auth') return first;
    const other = await this.#credentials.find(url, { path, signal, isRetry: true });
    if (other === undefined) return first;
    return await this.#try(url, other, args, call);
  }

  async #try(
    url: string,
    credential: GitCredential | undefined,
    args: readonly string[],
    call: Omit<GitCall, 'reach'>,
  ): Promise<RemoteResult> {
    const proxy = await this.#transport.proxyFor?.(url);
    for (let redirects = 0; ; redirects += 1) {
      const reach = { url, proxy, credential, movedTo: this.#moved.get(url) };
      const result = await this.#runner.run(args, { ...call, reach });
      if (result.exitCode === 0) return { ...result, error: undefined };
      // What a server said about a move holds no longer than it works.
      this.#moved.delete(url);
      const isOver = !this.#followsItself(reach) || redirects === maxRedirects || !isRedirect(result.stderr);
      const to = isOver ? undefined : await this.#newPlace(reach, call.signal);
      if (to === undefined) return { ...result, error: this.#errorOf(result, reach) };
      this.#remember(url, to);
    }
  }

  /** True where git follows no redirect: with credentials, and where the address is held to. */
  #followsItself({ url, credential }: RemoteReach): boolean {
    const { addressFor, followsRedirects } = this.#transport;
    return credential !== undefined || addressFor?.(url) !== undefined || followsRedirects?.(url) === false;
  }

  /** Asks once more, to see where it is sent. */
  async #newPlace(reach: RemoteReach, signal: AbortSignal): Promise<string | undefined> {
    const { stderr } = await this.#runner.run(
      ['ls-remote', '--quiet', '--end-of-options', reach.url, 'HEAD'],
      {
        signal,
        reach: { ...reach, showsHeaders: true },
      },
    );
    return movedTo(reach.movedTo ?? reach.url, stderr);
  }

  #remember(url: string, to: string): void {
    this.#moved.set(url, to);
    const [oldest] = this.#moved.keys();
    if (this.#moved.size > maxMoved && oldest !== undefined) this.#moved.delete(oldest);
  }

  #errorOf({ exitCode, stderr }: GitResult, { url, proxy, credential }: RemoteReach): VcsError {
    return gitError({
      exitCode,
      stderr,
      url,
      hasCredential: credential !== undefined,
      proxy,
      secrets: secretsOf(credential),
    });
  }
}

function secretsOf(credential: GitCredential | undefined): readonly string[] {
  if (credential?.kind === 'basic') {
    const { username, password } = credential;
    return [
      Buffer.from(`${username}:${password}`).toString('base64'),
      password,
      encodeURIComponent(password),
    ];
  }
  return credential?.kind === 'bearer' ? [credential.token] : [];
}
