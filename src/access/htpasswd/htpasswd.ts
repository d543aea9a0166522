/**
 * Users of an htpasswd file, with their groups from a second one. Both are read again within 2 s of a change, so that
 * who is removed is out. A password is compared also where there is no such user, so that time tells nothing.
 */
import type { Clock } from '../../lib/clock.ts';
import { ModferryError, messageOf } from '../../lib/errors.ts';
import type { RevisedAuthenticator } from '../access-options.ts';
import type { Credentials, Identity } from '../types.ts';
import { WatchedFile } from '../watched-file.ts';
import { type HtpasswdUser, type Parsed, parseGroups, parseHtpasswd } from './htpasswd-lines.ts';
import { type CheckPassword, PasswordChecker } from './password-checker.ts';
import { dummyHash, type PasswordHash } from './password-hash.ts';

const maxFileBytes = 4 * 1024 * 1024;
/** While the disk does not give a file, what was read last holds for so long. */
const blindForMs = 60_000;
/** A file that is not there is being replaced, or was taken away. */
const absentForMs = 3_000;

export interface HtpasswdOptions {
  /** Absolute. */
  readonly file: string;
  /** Absolute; lines of `group: user user`. Undefined: nobody is in a group. */
  readonly groupsFile: string | undefined;
  readonly clock: Clock;
  /** Told of faults in a file that changed, with a sentence; its good lines hold. */
  readonly onFault?: (sentence: string) => void;
  /** Default: bcrypt in a thread, scrypt by node:crypto. */
  readonly check?: CheckPassword;
}

/** `htpasswd`: the files have faults or cannot be read. */
export class HtpasswdError extends ModferryError<'htpasswd'> {}

export class Htpasswd implements RevisedAuthenticator {
  readonly name = 'htpasswd';
  readonly #clock: Clock;
  readonly #onFault: (sentence: string) => void;
  readonly #checker: PasswordChecker;
  readonly #check: CheckPassword;
  readonly #watched: WatchedFile[] = [];
  #users: ReadonlyMap<string, HtpasswdUser> = new Map();
  #groups: ReadonlyMap<string, readonly string[]> = new Map();
  #dummy: PasswordHash = dummyHash([]);
  #revision = 0;
  /** By file: what is wrong with its lines, and with reading it. */
  readonly #faults = new Map<string, string>();
  readonly #failing = new Map<string, Failing>();

  private constructor({ clock, onFault = () => {}, check }: HtpasswdOptions) {
    this.#clock = clock;
    this.#onFault = onFault;
    this.#checker = new PasswordChecker(clock);
    this.#check = check ?? ((hash, password, signal) => this.#checker.check(hash, password, signal));
  }

  /**
   * Reads the files and keeps an eye on them until `close`. Rejects with HtpasswdError when one of them is not there or
   * has a fault: each with its line.
   */
  static async open(options: HtpasswdOptions): Promise<Htpasswd> {
    const users = new Htpasswd(options);
    await users.#watch(options.file, parseHtpasswd, (entries) => users.#adoptUsers(entries));
    const { groupsFile } = options;
    if (groupsFile !== undefined) {
      await users.#watch(groupsFile, parseGroups, (entries) => {
        users.#groups = entries;
      });
    }
    const reasons = [...users.#faults.values(), ...[...users.#failing.values()].map(({ reason }) => reason)];
    if (reasons.length === 0) return users;
    await users.close();
    throw new HtpasswdError('htpasswd', reasons.join('\n'));
  }

  get revision(): number {
    // What was said before the file went away holds no longer, either.
    return this.#revision * 2 + (this.#blindBecause() === undefined ? 0 : 1);
  }

  /** Looks at the files now. */
  async reread(): Promise<void> {
    for (const file of this.#watched) await file.reread();
  }

  /** Rejects with HtpasswdError when a file cannot be read for long, or as `CheckPassword`. */
  async authenticate(credentials: Credentials, signal: AbortSignal): Promise<Identity | 'wrong' | 'other'> {
    if (credentials.kind !== 'basic') return 'other';
    const blindBecause = this.#blindBecause();
    if (blindBecause !== undefined) throw new HtpasswdError('htpasswd', blindBecause);
    const { username, password } = credentials;
    const user = this.#users.get(username);
    const isGood = await this.#check(user?.hash ?? this.#dummy, password, signal);
    if (user === undefined) return 'other';
    if (!isGood) return 'wrong';
    return {
      kind: 'user',
      name: user.name,
      groups: this.#groups.get(user.name) ?? [],
      scopes: undefined,
      expiresAtMs: undefined,
    };
  }

  async close(): Promise<void> {
    for (const file of this.#watched) file.close();
    await this.#checker.close();
  }

  async #watch<Entry>(
    file: string,
    parse: (text: string) => Parsed<Entry>,
    adopt: (entries: ReadonlyMap<string, Entry>) => void,
  ): Promise<void> {
    const watched = new WatchedFile(file, this.#clock, {
      maxBytes: maxFileBytes,
      onText: (text) => {
        if (text === undefined) {
          this.#fail(file, 'it is not there', absentForMs);
          return;
        }
        this.#failing.delete(file);
        const { entries, faults } = parse(text);
        adopt(entries);
        this.#revision += 1;
        if (faults.length === 0) {
          this.#faults.delete(file);
          return;
        }
        const sentence = `${file}: ${faults.join('; ')}`;
        this.#faults.set(file, sentence);
        this.#onFault(sentence);
      },
      onFailure: (error) => this.#fail(file, messageOf(error), blindForMs),
    });
    this.#watched.push(watched);
    await watched.open();
  }

  #adoptUsers(users: ReadonlyMap<string, HtpasswdUser>): void {
    this.#users = users;
    this.#dummy = dummyHash([...users.values()].map(({ hash }) => hash));
  }

  #fail(file: string, why: string, graceMs: number): void {
    if (this.#failing.has(file)) return;
    const reason = `${file} cannot be read: ${why}`;
    this.#failing.set(file, { untilMs: this.#clock.monotonic() + graceMs, reason });
    this.#onFault(reason);
  }

  #blindBecause(): string | undefined {
    for (const { untilMs, reason } of this.#failing.values()) {
      if (this.#clock.monotonic() >= untilMs) return reason;
    }
    return undefined;
  }
}

/** A file that cannot be read: until when what it said last holds, monotonic. */
interface Failing {
  readonly untilMs: number;
  readonly reason: string;
}
