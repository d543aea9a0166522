/**
 * The log-ins of this user, in a file that only the user can read: `modferry login` writes them, `modferry goauth` hands
 * them to go. Several commands may change it at once, so changes are made under a lock and put in place whole.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { type HeldLock, LockFile } from '../../lib/lock-file.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';

const maxFileBytes = 1024 * 1024;
const touchEveryMs = 2000;

/** How a log-in is made anew without the browser. */
export interface Renewal {
  readonly issuer: string;
  readonly clientId: string;
  readonly refreshToken: string;
}

export interface SavedLogin {
  readonly token: string;
  /** As the server knows the user; `token` for a static token. */
  readonly name: string;
  /** Milliseconds since the epoch; undefined: not known. */
  readonly expiresAtMs: number | undefined;
  readonly savedAtMs: number;
  /** `browser`: the token is this log-in's own, and ends with it. `token`: it was made elsewhere. */
  readonly kind: 'browser' | 'token';
  readonly renewal: Renewal | undefined;
  /** PEM file with the authority of the server and the issuer; undefined: those of the system. */
  readonly caFile: string | undefined;
}

/** By server URL, as `checkedUrl` writes it. */
export type Logins = ReadonlyMap<string, SavedLogin>;

export class CredentialsFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #hasModes: boolean;

  /** In `XDG_CONFIG_HOME`, else `~/.config`. Throws CliError `failed` where there is no home. */
  constructor(context: Pick<CliContext, 'env' | 'clock' | 'runtime'>) {
    const { env, clock, runtime } = context;
    const named = env['XDG_CONFIG_HOME'] ?? '';
    const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
    if (!isAbsolute(named) && !isAbsolute(home)) {
      throw new CliError(
        'failed',
        'there is no home folder to keep the log-in in; set HOME or XDG_CONFIG_HOME',
      );
    }
    this.path = join(isAbsolute(named) ? named : join(home, '.config'), 'modferry', 'credentials.json');
    this.#clock = clock;
    this.#hasModes = runtime.platform !== 'win32';
  }

  /** Empty when there is no file. Rejects with CliError `failed` for one that others can read, or that is damaged. */
  async read(): Promise<Logins> {
    let text: string;
    try {
      const { mode, size } = await stat(this.path);
      if (this.#hasModes && (mode & 0o077) !== 0) {
        throw new CliError('failed', `other users can read ${this.path}; run: chmod 600 ${this.path}`);
      }
      if (size > maxFileBytes) throw damaged(this.path);
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return new Map();
      if (error instanceof CliError) throw error;
      throw new CliError('failed', `${this.path} cannot be read: ${messageOf(error)}`, { cause: error });
    }
    return parseLogins(text, this.path);
  }

  /**
   * Changes it as `change` says, which sees what is in it now and has it to itself. Rejects as `change` does, or with
   * CliError `failed`; nothing is changed then.
   */
  async update(change: (logins: Map<string, SavedLogin>) => Promise<void> | void): Promise<void> {
    const folder = dirname(this.path);
    await this.#orFail(mkdir(folder, { recursive: true, mode: 0o700 }));
    const lock = new LockFile(`${this.path}.lock`, this.#clock);
    await this.#orFail(
      lock.run(async (held) => {
        const release = this.#keepTouched(held);
        try {
          const logins = new Map(await this.read());
          await change(logins);
          await this.#write(logins);
        } finally {
          release();
        }
      }),
    );
  }

  async #write(logins: Logins): Promise<void> {
    const temporary = `${this.path}.${randomBytes(6).toString('hex')}`;
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(
          `${JSON.stringify({ version: 1, servers: Object.fromEntries(logins) }, null, 2)}\n`,
        );
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** A renewal asks servers, which takes longer than a lock is believed in. */
  #keepTouched(lock: HeldLock): () => void {
    let isDone = false;
    let timer = this.#clock.setTimeout(touch, touchEveryMs);
    const touchAgain = (): void => {
      if (!isDone) timer = this.#clock.setTimeout(touch, touchEveryMs);
    };
    function touch(): void {
      void lock.touch().then(touchAgain, () => {});
    }
    return () => {
      isDone = true;
      timer.cancel();
    };
  }

  async #orFail<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw new CliError('failed', `${this.path} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** What goes into a header as it is. */
export function isHeaderToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text) && text.length <= 8192;
}

function parseLogins(text: string, path: string): Logins {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(path);
  }
  const servers = fieldOf(value, 'servers');
  if (typeof servers !== 'object' || servers === null) throw damaged(path);
  const logins = new Map<string, SavedLogin>();
  for (const [url, entry] of Object.entries(servers)) {
    const login = parseLogin(entry);
    if (login === undefined || !URL.canParse(url)) throw damaged(path);
    logins.set(url, login);
  }
  return logins;
}

function parseLogin(entry: unknown): SavedLogin | undefined {
  const text = (name: string): string | undefined => textOf(fieldOf(entry, name));
  const number = (name: string): number | undefined => {
    const value = fieldOf(entry, name);
    return typeof value === 'number' ? value : undefined;
  };
  const token = text('token');
  if (token === undefined || !isHeaderToken(token)) return undefined;
  return {
    token,
    name: text('name') ?? '',
    expiresAtMs: number('expiresAtMs'),
    savedAtMs: number('savedAtMs') ?? 0,
    kind: text('kind') === 'browser' ? 'browser' : 'token',
    renewal: parseRenewal(fieldOf(entry, 'renewal')),
    caFile: text('caFile'),
  };
}

function parseRenewal(value: unknown): Renewal | undefined {
  const [issuer, clientId, refreshToken] = ['issuer', 'clientId', 'refreshToken'].map((name) =>
    textOf(fieldOf(value, name)),
  );
  if (issuer === undefined || clientId === undefined || refreshToken === undefined) return undefined;
  return { issuer, clientId, refreshToken };
}

function damaged(path: string): CliError {
  return new CliError('failed', `${path} is damaged; remove it and log in again`);
}

/** What a JSON object itself has under this name. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** Undefined: no text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
