/** Credentials from a `.netrc`, read again when it changed. */
import { FileError, RereadFile } from '../../lib/reread-file.ts';
import { type NetrcEntry, netrcAuth, parseNetrc } from '../../upstream/netrc.ts';
import { type GitCredential, VcsError } from '../types.ts';

const maxFileBytes = 1024 * 1024;

export interface NetrcFileOptions {
  /** Absolute. */
  readonly path: string;
  /** False: an entry `default` counts for no host, and a missing or unreadable file is as an empty one. */
  readonly isNamed: boolean;
}

export class NetrcFile {
  readonly #options: NetrcFileOptions;
  readonly #file: RereadFile;
  #text: string | undefined;
  #entries: readonly NetrcEntry[] = [];

  constructor(options: NetrcFileOptions) {
    this.#options = options;
    this.#file = new RereadFile({ path: options.path, maxBytes: maxFileBytes });
  }

  /** Undefined: it has none for the host. Rejects with VcsError `auth` when a named file cannot be read. */
  async find(host: string): Promise<GitCredential | undefined> {
    if (!(await this.#read())) return undefined;
    const auth = netrcAuth(this.#entries, host);
    if (auth?.kind !== 'basic') return undefined;
    return { kind: 'basic', username: auth.username, password: auth.password.reveal() };
  }

  /** Those it has entries for, lower case. Rejects as `find` does. */
  async hosts(): Promise<readonly string[]> {
    if (!(await this.#read())) return [];
    return [...new Set(this.#entries.flatMap(({ machine }) => machine?.toLowerCase() ?? []))];
  }

  async #read(): Promise<boolean> {
    try {
      const { text } = await this.#file.read();
      if (text !== this.#text) {
        const { isNamed } = this.#options;
        this.#entries = parseNetrc(text).filter(({ machine }) => isNamed || machine !== undefined);
        this.#text = text;
      }
      return true;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (!this.#options.isNamed) return false;
      throw new VcsError('auth', error.message, { cause: error });
    }
  }
}
