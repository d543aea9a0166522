/** Creating, listing and revoking tokens in a data folder: what the server, its API and the command line share. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { changeTokens, readTokens } from './token-file.ts';
import {
  badToken,
  checkGroups,
  checkNewToken,
  infoOf,
  type NewToken,
  TokenError,
  type TokenInfo,
  type TokenRecord,
} from './token-record.ts';
import { newTokenText, tokenHash } from './token-text.ts';

/** A person's log-ins beyond that end the oldest ones: laptops are lost, and nobody tells. */
const loginsPerUser = 20;

export interface CreatedToken {
  readonly info: TokenInfo;
  /** Shown once, kept nowhere. */
  readonly token: string;
}

export interface LoginOrder {
  /** The user's name. */
  readonly name: string;
  readonly groups: readonly string[];
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/**
 * Rejects with TokenError `bad_token`, `exists` (a static token of that name), or as `changeTokens`. `by` is who
 * ordered it: `local`, `token:admin`.
 */
export async function createToken(
  dataDir: string,
  clock: Clock,
  asked: NewToken,
  by: string,
): Promise<CreatedToken> {
  const { name, scopes, groups, expiresAtMs } = checkNewToken(asked, clock.now());
  const token = newTokenText();
  const record = recordOf(token, { kind: 'static', name, scopes, groups, expiresAtMs }, clock, by);
  await changeTokens(dataDir, clock, ({ tokens, revoked }) => {
    if (tokens.some((each) => each.kind === 'static' && each.name === name)) {
      throw new TokenError(
        'exists',
        `there is a token called "${name}" already; revoke it first, or choose another name`,
      );
    }
    return { tokens: [...tokens, record], revoked };
  });
  return { info: infoOf(record), token };
}

/** A token for somebody who logged in. The oldest log-ins of the same user give way. Rejects as `createToken`. */
export async function createLogin(
  dataDir: string,
  clock: Clock,
  { name, groups, expiresAtMs }: LoginOrder,
): Promise<CreatedToken> {
  // The same rules as for static tokens, but for ids: a user may be called anything.
  if (name === '' || name.length > 200 || /\p{Cc}/u.test(name)) throw badToken('the user has no usable name');
  checkGroups(groups);
  if (!(expiresAtMs > clock.now())) throw badToken('the login has expired already');
  const token = newTokenText();
  const record = recordOf(
    token,
    { kind: 'login', name, scopes: undefined, groups, expiresAtMs },
    clock,
    `user:${name}`,
  );
  await changeTokens(dataDir, clock, ({ tokens, revoked }) => {
    const own = tokens.filter((each) => each.kind === 'login' && each.name === name);
    const ended = new Set(own.slice(0, Math.max(0, own.length - loginsPerUser + 1)));
    return {
      tokens: [...tokens.filter((each) => !ended.has(each)), record],
      revoked: [...revoked, ...[...ended].map((each) => each.hash)],
    };
  });
  return { info: infoOf(record), token };
}

/**
 * By id, or by the name of a static token. Resolves to what was revoked. Rejects with TokenError `absent`, or as
 * `changeTokens`.
 */
export async function revokeToken(dataDir: string, clock: Clock, idOrName: string): Promise<TokenInfo> {
  let found: TokenRecord | undefined;
  await changeTokens(dataDir, clock, ({ tokens, revoked }) => {
    found =
      tokens.find(({ id }) => id === idOrName) ??
      tokens.find(({ kind, name }) => kind === 'static' && name === idOrName);
    if (found === undefined) {
      throw new TokenError('absent', 'there is no such token; see modferry token list');
    }
    const { hash } = found;
    return { tokens: tokens.filter((each) => each.hash !== hash), revoked: [...revoked, hash] };
  });
  if (found === undefined) throw new TokenError('absent', 'there is no such token; see modferry token list');
  return infoOf(found);
}

/** In the order of creation, without the revoked. Rejects as `readTokens`. */
export async function listTokens(dataDir: string): Promise<TokenInfo[]> {
  const { tokens, revoked } = await readTokens(dataDir);
  const gone = new Set(revoked);
  return tokens.filter(({ hash }) => !gone.has(hash)).map(infoOf);
}

/** Writes when tokens were used last; what another process wrote later stays. Rejects as `changeTokens`. */
export async function writeLastUsed(
  dataDir: string,
  clock: Clock,
  usedAtMs: ReadonlyMap<string, number>,
): Promise<void> {
  await changeTokens(dataDir, clock, ({ tokens, revoked }) => {
    let isChanged = false;
    const marked = tokens.map((record) => {
      const atMs = usedAtMs.get(record.hash);
      if (atMs === undefined || atMs <= (record.lastUsedAtMs ?? 0)) return record;
      isChanged = true;
      return { ...record, lastUsedAtMs: atMs };
    });
    return isChanged ? { tokens: marked, revoked } : undefined;
  });
}

function recordOf(
  token: string,
  rest: Pick<TokenRecord, 'kind' | 'name' | 'scopes' | 'groups' | 'expiresAtMs'>,
  clock: Clock,
  createdBy: string,
): TokenRecord {
  const tokenSha256 = tokenHash(token);
  if (tokenSha256 === undefined) throw new Error('a new token is not as tokens are');
  const createdAtMs = clock.now();
  const id = randomBytes(6).toString('hex');
  return { id, hash: tokenSha256, ...rest, createdAtMs, createdBy, lastUsedAtMs: undefined };
}
