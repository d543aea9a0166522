/**
 * The tokens as a running process sees them: all in memory by their hash, read again within 2 s after any process on the
 * folder changed them. It is the first authenticator that `access/` asks.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { RevisedAuthenticator } from '../access-options.ts';
import type { EndedLogin } from '../oidc/login-api.ts';
import type { Credentials, Identity } from '../types.ts';
import { WatchedFile } from '../watched-file.ts';
import {
  keepCopy,
  maxRevokedBytes,
  maxTokensBytes,
  parseRevoked,
  parseTokens,
  revokedFileIn,
  tokensFileIn,
} from './token-file.ts';
import {
  type CreatedToken,
  createLogin,
  createToken,
  type LoginOrder,
  listTokens,
  revokeToken,
  writeLastUsed,
} from './token-orders.ts';
import { type NewToken, TokenError, type TokenInfo, type TokenRecord } from './token-record.ts';
import { tokenHash, tokenIn } from './token-text.ts';

const writeUsedEveryMs = 60_000;
/** While the disk does not give the file, what was read last holds for so long; then no token is accepted. */
const blindForMs = 60_000;
const maxRemembered = 100_000;

type FileName = 'tokens' | 'revoked';

export interface TokensOptions {
  readonly clock: Clock;
  /** Told once when the file becomes unreadable or cannot be understood, with a sentence. */
  readonly onFault?: (sentence: string) => void;
}

export class Tokens implements RevisedAuthenticator {
  readonly name = 'tokens';
  readonly #dataDir: string;
  readonly #clock: Clock;
  readonly #onFault: (sentence: string) => void;
  readonly #files: readonly WatchedFile[];
  #byHash = new Map<string, TokenRecord>();
  #revoked = new Set<string>();
  /** What is wrong with each file now: no token is accepted while there is anything. */
  readonly #faults = new Map<FileName, TokenError>();
  /** Since when the disk does not give a file, monotonic. */
  readonly #failingSinceMs = new Map<FileName, number>();
  #facts = '';
  #revision = 0;
  #used = new Map<string, number>();
  #timer: Timer | undefined;
  #lastTurn: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(dataDir: string, { clock, onFault = () => {} }: TokensOptions) {
    this.#dataDir = dataDir;
    this.#clock = clock;
    this.#onFault = onFault;
    this.#files = [
      new WatchedFile(revokedFileIn(dataDir), clock, {
        maxBytes: maxRevokedBytes,
        onText: (text) => this.#adoptRevoked(text),
        onFailure: (error) => this.#fail('revoked', error),
      }),
      new WatchedFile(tokensFileIn(dataDir), clock, {
        maxBytes: maxTokensBytes,
        onText: (text) => this.#adoptTokens(text),
        onFailure: (error) => this.#fail('tokens', error),
      }),
    ];
  }

  /** Reads the files and keeps an eye on them until `close`. Never rejects: with a damaged file no token is accepted. */
  static async open(dataDir: string, options: TokensOptions): Promise<Tokens> {
    const tokens = new Tokens(dataDir, options);
    for (const file of tokens.#files) await file.open();
    tokens.#arm();
    return tokens;
  }

  get revision(): number {
    return this.#revision;
  }

  /** What is wrong with the token file, as a sentence; undefined when all is well. */
  get fault(): string | undefined {
    return this.#firstFault?.message;
  }

  /** Tokens that are known, expired ones included. */
  get size(): number {
    return this.#byHash.size;
  }

  /** Looks at the files now. */
  async reread(): Promise<void> {
    for (const file of this.#files) await file.reread();
  }

  /** Rejects with TokenError `damaged` while the file cannot be believed. */
  authenticate(credentials: Credentials): Promise<Identity | 'wrong' | 'other'> {
    const text = tokenIn(credentials);
    if (text === undefined) return Promise.resolve('other');
    const fault = this.#firstFault;
    if (fault !== undefined) return Promise.reject(fault);
    const key = tokenHash(text);
    const record = key === undefined ? undefined : this.#byHash.get(key);
    if (key === undefined || record === undefined || this.#revoked.has(key)) return Promise.resolve('wrong');
    const nowMs = this.#clock.now();
    if (record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs) return Promise.resolve('wrong');
    this.#used.set(key, nowMs);
    return Promise.resolve(identityOf(record));
  }

  /** As `createToken`; known here when it resolves. */
  async create(asked: NewToken, by: string): Promise<CreatedToken> {
    const created = await this.#inTurn(() => createToken(this.#dataDir, this.#clock, asked, by));
    await this.reread();
    return created;
  }

  /** As `createLogin`; known here when it resolves. */
  async createLogin(order: LoginOrder): Promise<CreatedToken> {
    const created = await this.#inTurn(() => createLogin(this.#dataDir, this.#clock, order));
    await this.reread();
    return created;
  }

  /** As `revokeToken`; refused here when it resolves, and by every other process within 5 s. */
  async revoke(idOrName: string): Promise<TokenInfo> {
    const revoked = await this.#inTurn(() => revokeToken(this.#dataDir, this.#clock, idOrName));
    await this.reread();
    return revoked;
  }

  /**
   * By the token itself: whoever logged in may end that. A token of a machine is not theirs to end. Rejects as `revoke`,
   * or with TokenError `damaged`.
   */
  async endLogin(text: string): Promise<EndedLogin> {
    const key = tokenHash(text);
    if (key === undefined) return { kind: 'none' };
    const fault = this.#firstFault;
    if (fault !== undefined) throw fault;
    const record = this.#byHash.get(key);
    if (record === undefined || this.#revoked.has(key)) return { kind: 'none' };
    if (record.kind === 'static') return { kind: 'static' };
    try {
      const { id, name } = await this.revoke(record.id);
      return { kind: 'ended', id, name };
    } catch (error) {
      // Another process was quicker.
      if (error instanceof TokenError && error.code === 'absent') return { kind: 'none' };
      throw error;
    }
  }

  /** As `listTokens`. */
  list(): Promise<TokenInfo[]> {
    return listTokens(this.#dataDir);
  }

  /** Writes what was used last, and ends the watch. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const file of this.#files) file.close();
    await this.#writeUsed();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.setTimeout(() => {
      void this.#writeUsed().finally(() => this.#arm());
    }, writeUsedEveryMs);
  }

  /** Never rejects: when a token was used last is nice to know, and the folder may be read-only. */
  async #writeUsed(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#used.size === 0) return;
      const used = this.#used;
      this.#used = new Map();
      await writeLastUsed(this.#dataDir, this.#clock, used).catch(() => {});
    });
  }

  /** One change after another, so that this process never waits for its own lock. */
  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.then(
      () => {},
      () => {},
    );
    return await turn;
  }

  get #firstFault(): TokenError | undefined {
    return this.#faults.values().next().value;
  }

  #adoptRevoked(text: string | undefined): void {
    const before = this.#revoked.size;
    const listed = parseRevoked(text);
    // What was once seen to be revoked stays so for this process, whatever is put back; but not without an end.
    if (before > maxRemembered) this.#revoked = new Set();
    for (const each of listed) this.#revoked.add(each);
    const wasFaulty = this.#mend('revoked');
    if (wasFaulty || this.#revoked.size !== before) this.#revision += 1;
  }

  #adoptTokens(text: string | undefined): void {
    let records: TokenRecord[];
    try {
      records = parseTokens(text, tokensFileIn(this.#dataDir));
    } catch (error) {
      this.#setFault('tokens', error instanceof TokenError ? error : unreadable(error));
      void keepCopy(tokensFileIn(this.#dataDir));
      return;
    }
    const wasFaulty = this.#mend('tokens');
    // When tokens were used last says nothing of who may come in.
    const facts = JSON.stringify(records, (key, value: unknown) =>
      key === 'lastUsedAtMs' ? undefined : value,
    );
    if (facts === this.#facts && !wasFaulty) return;
    this.#facts = facts;
    this.#byHash = new Map(records.map((record) => [record.hash, record]));
    this.#revision += 1;
  }

  #fail(name: FileName, error: unknown): void {
    const nowMs = this.#clock.monotonic();
    const sinceMs = this.#failingSinceMs.get(name) ?? nowMs;
    this.#failingSinceMs.set(name, sinceMs);
    // At the start nothing is known that could hold on.
    if (this.#facts !== '' && nowMs - sinceMs < blindForMs) return;
    this.#setFault(name, unreadable(error));
  }

  #mend(name: FileName): boolean {
    this.#failingSinceMs.delete(name);
    return this.#faults.delete(name);
  }

  #setFault(name: FileName, fault: TokenError): void {
    const isNew = !this.#faults.has(name);
    this.#faults.set(name, fault);
    this.#revision += 1;
    if (isNew) this.#onFault(fault.message);
  }
}

function unreadable(error: unknown): TokenError {
  return new TokenError(
    'damaged',
    `the tokens cannot be read (${messageOf(error)}), so none is accepted; see to the file and its rights`,
    { cause: error },
  );
}

function identityOf({ kind, name, groups, scopes, expiresAtMs }: TokenRecord): Identity {
  return { kind: kind === 'login' ? 'user' : 'token', name, groups, scopes, expiresAtMs };
}
