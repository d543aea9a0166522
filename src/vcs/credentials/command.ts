/**
 * Credentials from a program as GOAUTH has them: asked without arguments at first, and with the URL and the answer
 * that refused when those do not serve. See `go help goauth`.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import { type GitCredential, VcsError } from '../types.ts';
import { parseGoauthOutput, printedFor, urlPrefix } from './goauth-output.ts';
import { Kept, type Want } from './kept.ts';
import { programName, runProgram } from './run-program.ts';

export interface CommandOptions {
  readonly argv: readonly string[];
  /** Variables of modferry's own are not passed on. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Default 30 s. */
  readonly timeoutMs?: number | undefined;
}

const defaultTimeoutMs = 30_000;
const maxOutputBytes = 1024 * 1024;
/** What was printed is used this long, unless it is refused before. */
const keptForMs = 600_000;
/** That nothing was printed for a URL is believed this long. */
const noneForMs = 60_000;
const maxPrefixes = 1000;
const maxUrls = 1000;
/** Modules that nobody has can be asked for without end: so many runs of one program at once, and waiting for it. */
const maxRuns = 4;
const maxWaiting = 256;
/** What a Git server says to a request without credentials, for programs that read it. */
const refusal = 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n';

export class CommandCredentials {
  readonly #options: CommandOptions;
  readonly #env: Readonly<Record<string, string | undefined>>;
  /** By prefix, as the program printed them; the newest wins. */
  readonly #printed: LRUCache<string, { readonly credential: GitCredential; readonly untilMs: number }>;
  readonly #runs: Kept<boolean>;
  readonly #places = new Semaphore(maxRuns, maxWaiting);

  constructor(options: CommandOptions) {
    this.#options = options;
    const own = Object.entries(options.env).filter(([name]) => !name.startsWith('MODFERRY_'));
    this.#env = Object.fromEntries(own);
    this.#printed = new LRUCache({ max: maxPrefixes });
    this.#runs = new Kept({ clock: options.clock, max: maxUrls });
  }

  /** Undefined: the program has none for it. Rejects with VcsError or the signal's reason. */
  async find(url: URL, want: Want): Promise<GitCredential | undefined> {
    if (!want.isRetry) {
      const known = this.#find(url);
      if (known !== undefined) return known;
      await this.#run(url, '', { isRetry: false, signal: want.signal });
      const general = this.#find(url);
      if (general !== undefined) return general;
    }
    await this.#run(url, urlPrefix(url), want);
    return this.#find(url);
  }

  #find(url: URL): GitCredential | undefined {
    const nowMs = this.#options.clock.monotonic();
    return printedFor((prefix) => {
      const found = this.#printed.get(prefix);
      return found !== undefined && nowMs < found.untilMs ? found.credential : undefined;
    }, url);
  }

  /** `key` '': in general; else for this URL. */
  async #run(url: URL, key: string, want: Want): Promise<void> {
    const { argv, clock, timeoutMs = defaultTimeoutMs } = this.#options;
    const isGeneral = key === '';
    await this.#runs.get(key, want, async (signal) => {
      const release = await this.#places.acquire(signal);
      if (release === undefined) {
        const text = `too many are waiting for the credential command ${programName(argv)}; try again`;
        throw new VcsError('busy', text);
      }
      let text: string;
      try {
        text = await runProgram({
          argv: isGeneral ? argv : [...argv, url.href],
          stdin: isGeneral ? '' : refusal,
          env: this.#env,
          timeoutMs,
          maxOutputBytes,
          clock,
          signal,
        });
      } finally {
        release();
      }
      const credentials = parseGoauthOutput(text, programName(argv));
      const untilMs = clock.monotonic() + keptForMs;
      for (const { prefix, credential } of credentials) this.#printed.set(prefix, { credential, untilMs });
      const isUseful = isGeneral ? credentials.length > 0 : this.#find(url) !== undefined;
      return { value: true, forMs: isUseful ? keptForMs : noneForMs };
    });
  }
}
