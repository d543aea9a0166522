/**
 * A GitHub App: its key signs a short JWT, the API gives a token of one installation for it, and that is git's
 * password for an hour.
 * @see https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
 */
import { createPrivateKey, createSign, type KeyObject } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import { revealNow, type SecretSource } from '../../lib/secret-reference.ts';
import { isLoopbackHost } from '../../outbound/network-address.ts';
import { type GitCredential, VcsError } from '../types.ts';
import { type ApiAnswer, type ApiConnections, askApi } from './api-client.ts';
import { githubApiUrl } from './forge.ts';
import { Kept, type Want } from './kept.ts';
import type { RepositoryUrl } from './repository-url.ts';

export interface GithubAppOptions {
  /** App id or client id. */
  readonly appId: string;
  /** PEM. */
  readonly privateKey: SecretSource;
  /** Undefined: looked up for the owner of the repository. */
  readonly installationId: string | undefined;
  /** Undefined: by the repository's host. */
  readonly apiUrl: string | undefined;
  readonly connections: ApiConnections;
  readonly version: string;
}

/** Clocks differ: the JWT begins this much earlier. */
const skewS = 60;
/** GitHub takes at most 10 minutes. */
const jwtForS = 540;
/** A token is used until this long before its end, so that none runs out while git works. */
const reserveMs = 300_000;
const installationForMs = 3_600_000;
const maxOwners = 1000;

export class GithubApp {
  readonly #options: GithubAppOptions;
  readonly #clock: Clock;
  readonly #installations: Kept<string>;
  readonly #tokens: Kept<string>;

  constructor(options: GithubAppOptions) {
    this.#options = options;
    this.#clock = options.connections.clock;
    this.#installations = new Kept({ clock: this.#clock, max: maxOwners });
    this.#tokens = new Kept({ clock: this.#clock, max: maxOwners });
  }

  /** Rejects with VcsError or the signal's reason. */
  async find(repository: RepositoryUrl, want: Want): Promise<GitCredential> {
    const api = this.#apiUrl(repository.host);
    const installation = this.#options.installationId ?? (await this.#installation(api, repository, want));
    const password = await this.#tokens.get(`${api} ${installation}`, want, async (signal) => {
      const { token, expiresAtMs } = await this.#askToken(api, installation, signal);
      return { value: token, forMs: Math.max(0, expiresAtMs - reserveMs - this.#clock.now()) };
    });
    return { kind: 'basic', username: 'x-access-token', password };
  }

  #apiUrl(host: string): string {
    const text = (this.#options.apiUrl ?? githubApiUrl(host)).replace(/\/+$/, '');
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
    if (isSafe) return text;
    throw new VcsError('refused', `the API of GitHub App ${this.#options.appId} is no https URL; correct it`);
  }

  async #installation(api: string, repository: RepositoryUrl, want: Want): Promise<string> {
    const owner = repository.path.split('/', 1)[0] ?? '';
    const fresh = { isRetry: false, signal: want.signal };
    return await this.#installations.get(`${api} ${owner.toLowerCase()}`, fresh, async (signal) => {
      const name = encodeURIComponent(owner);
      for (const kind of ['orgs', 'users']) {
        const answer = await this.#ask('GET', `${api}/${kind}/${name}/installation`, undefined, signal);
        if (answer.status === 404) continue;
        this.#check(answer, `installation for ${owner}`);
        const id = field(answer.json, 'id');
        if (typeof id === 'number' || typeof id === 'string') {
          return { value: String(id), forMs: installationForMs };
        }
        throw this.#fault('failed', 'is told no installation id; is this the API of a GitHub?');
      }
      throw this.#fault('auth', `is not installed for ${owner}; install it there, or name the installation`);
    });
  }

  async #askToken(
    api: string,
    installation: string,
    signal: AbortSignal,
  ): Promise<{ token: string; expiresAtMs: number }> {
    const path = `/app/installations/${encodeURIComponent(installation)}/access_tokens`;
    // Reading is all that is wanted, whatever else the app may.
    const body = JSON.stringify({ permissions: { contents: 'read' } });
    const answer = await this.#ask('POST', `${api}${path}`, body, signal);
    if (answer.status === 404) {
      throw this.#fault('auth', `has no installation ${installation}; correct it, or install the app`);
    }
    if (answer.status === 422) {
      throw this.#fault('forbidden', 'may not read the contents of repositories; permit it: Contents, read');
    }
    this.#check(answer, 'token');
    const token = field(answer.json, 'token');
    const expires = field(answer.json, 'expires_at');
    const expiresAtMs = typeof expires === 'string' ? Date.parse(expires) : Number.NaN;
    if (typeof token !== 'string' || token === '' || Number.isNaN(expiresAtMs)) {
      throw this.#fault('failed', 'is given no token; is this the API of a GitHub?');
    }
    return { token, expiresAtMs };
  }

  async #ask(
    method: 'GET' | 'POST',
    url: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<ApiAnswer> {
    const headers = {
      accept: 'application/vnd.github+json',
      'x-github-api-version': '2022-11-28',
      'user-agent': `modferry/${this.#options.version}`,
      authorization: `Bearer ${await this.#jwt()}`,
    };
    const question = { method, url: new URL(url), headers, signal, ...(body === undefined ? {} : { body }) };
    return await askApi(question, this.#options.connections);
  }

  /** Throws for every status but 2xx. GitHub's own text is not quoted: a proxy may have put anything in its place. */
  #check({ status, dateMs }: ApiAnswer, what: string): void {
    if (status >= 200 && status < 300) return;
    if (status === 401) {
      const offS = dateMs === undefined ? 0 : Math.round((this.#clock.now() - dateMs) / 1000);
      throw this.#fault(
        'auth',
        Math.abs(offS) > skewS
          ? `is refused (401), and this machine's clock is ${Math.abs(offS)} s ${offS > 0 ? 'ahead' : 'behind'}; set it right`
          : 'is refused (401); do app id and private key belong together?',
      );
    }
    if (status === 403 || status === 429) {
      throw this.#fault('forbidden', `gets no ${what} (${status}); is it suspended, or over its rate limit?`);
    }
    throw this.#fault('failed', `gets no ${what}: the API answers ${status}`);
  }

  async #jwt(): Promise<string> {
    const nowS = Math.floor(this.#clock.now() / 1000);
    const claims = { iat: nowS - skewS, exp: nowS + jwtForS - skewS, iss: this.#options.appId };
    const unsigned = [{ alg: 'RS256', typ: 'JWT' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = createSign('RSA-SHA256')
      .update(unsigned)
      .sign(await this.#key());
    return `${unsigned}.${signature.toString('base64url')}`;
  }

  async #key(): Promise<KeyObject> {
    let pem: string;
    try {
      pem = await revealNow(this.#options.privateKey);
    } catch (error) {
      if (!(error instanceof ModferryError)) throw error;
      throw new VcsError('auth', error.message, { cause: error });
    }
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType === 'rsa') return key;
    } catch {
      // Node's text may quote what it was given.
    }
    throw this.#fault('auth', 'has no RSA key in PEM form; take the file that GitHub made for it');
  }

  #fault(code: 'auth' | 'forbidden' | 'failed', text: string): VcsError {
    return new VcsError(code, `GitHub App ${this.#options.appId} ${text}`);
  }
}

function field(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined;
}
