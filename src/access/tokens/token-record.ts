/**
 * A token as it is kept, and what may be asked for a new one. Whatever comes from a file or from outside is read field
 * by field here.
 */
import { patternFault } from '../../gomod/module-pattern.ts';
import { ModferryError } from '../../lib/errors.ts';
import type { Scopes } from '../types.ts';

/** `static`: for machines, with a name of its own. `login`: of a person who logged in; it carries their name. */
export type TokenKind = 'static' | 'login';

export interface TokenRecord {
  /** Twelve hex digits; no secret. */
  readonly id: string;
  readonly kind: TokenKind;
  /** Unique among static tokens; of a login token the user's name. */
  readonly name: string;
  /** SHA-256 of the token, lower-case hex. */
  readonly hash: string;
  readonly groups: readonly string[];
  /** Always there for static tokens, never for login tokens. */
  readonly scopes: Scopes | undefined;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly expiresAtMs: number | undefined;
  /** To the minute, more or less. */
  readonly lastUsedAtMs: number | undefined;
}

/** What may be told of a token. */
export type TokenInfo = Omit<TokenRecord, 'hash'>;

/** A checked order for a static token. */
export interface NewToken {
  readonly name: string;
  readonly scopes: Scopes;
  readonly groups: readonly string[];
  readonly expiresAtMs: number | undefined;
}

export class TokenError extends ModferryError<
  'bad_token' | 'exists' | 'absent' | 'too_many' | 'damaged' | 'no_folder'
> {}

/** Of static tokens, and as many log-ins. */
export const maxTokens = 20_000;
const maxPatterns = 100;
const maxPatternLength = 500;
const maxGroups = 1_000;
const longestName = 100;
const longestGroup = 200;
const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/u;

/** Why a text can be no name of a token or group; undefined for a good one. */
function nameFault(name: string, longest: number): string | undefined {
  if (name === '' || name.trim() !== name) return 'it is empty or has spaces around it';
  if (name.length > longest) return `it is longer than ${longest} characters`;
  return unprintable.test(name) ? 'it has a character that cannot be printed' : undefined;
}

/** Throws TokenError `bad_token`. `nowMs`: what has expired by then is no expiry. */
export function checkNewToken(asked: NewToken, nowMs: number): NewToken {
  const { name, scopes, groups, expiresAtMs } = asked;
  const fault = nameFault(name, longestName);
  if (fault !== undefined)
    throw badToken(`the name "${name.slice(0, longestName)}" cannot be used: ${fault}`);
  // As an id it would be ambiguous when it is revoked.
  if (/^[0-9a-f]{12}$/.test(name)) throw badToken(`the name "${name}" looks like an id; choose another`);
  checkGroups(groups);
  for (const pattern of [...scopes.read, ...scopes.publish]) {
    const wrong = pattern.length > maxPatternLength ? 'The pattern is too long.' : patternFault(pattern);
    if (wrong !== undefined) throw badToken(`"${pattern.slice(0, 100)}": ${wrong}`);
  }
  if (scopes.read.length > maxPatterns || scopes.publish.length > maxPatterns)
    throw badToken(`a token has at most ${maxPatterns} patterns a right`);
  if (expiresAtMs !== undefined && !(expiresAtMs > nowMs && isTime(expiresAtMs)))
    throw badToken('the token would have expired already, or never does; choose a later or nearer time');
  return asked;
}

/** Throws TokenError `bad_token`. */
export function checkGroups(groups: readonly string[]): void {
  if (groups.length > maxGroups) throw badToken(`a token has at most ${maxGroups} groups`);
  for (const group of groups) {
    const fault = nameFault(group, longestGroup);
    if (fault !== undefined) throw badToken(`the group "${group.slice(0, 100)}" cannot be used: ${fault}`);
  }
}

export function badToken(message: string): TokenError {
  return new TokenError('bad_token', message);
}

/** Field by field: the hash of a record stays behind. */
export function infoOf(record: TokenInfo): TokenInfo {
  const { id, kind, name, groups, scopes, createdAtMs, createdBy, expiresAtMs, lastUsedAtMs } = record;
  return { id, kind, name, groups, scopes, createdAtMs, createdBy, expiresAtMs, lastUsedAtMs };
}

/** As it stands in the file: times in RFC 3339. */
export function recordToJson(record: TokenInfo | TokenRecord): object {
  const { createdAtMs, expiresAtMs, lastUsedAtMs, ...rest } = record;
  return {
    ...rest,
    createdAt: new Date(createdAtMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(lastUsedAtMs === undefined ? {} : { lastUsedAt: new Date(lastUsedAtMs).toISOString() }),
  };
}

/** As `list` of the API and `--json` show it. */
export function infoToJson(info: TokenInfo): object {
  return recordToJson(infoOf(info));
}

/** Undefined when any field is not as it must be: a file with such an entry is not believed at all. */
export function recordFromJson(value: unknown): TokenRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map(Object.entries(value));
  const text = (name: string): string | undefined => textOf(fields.get(name));
  const [id, kind, name, hash, createdBy] = ['id', 'kind', 'name', 'hash', 'createdBy'].map(text);
  const groups = textsOf(fields.get('groups'));
  const scopes = fields.has('scopes') ? scopesOf(fields.get('scopes')) : undefined;
  const createdAtMs = timeOf(fields.get('createdAt'));
  const expiresAtMs = timeOf(fields.get('expiresAt'));
  const lastUsedAtMs = timeOf(fields.get('lastUsedAt'));
  if (id === undefined || !/^[0-9a-f]{12}$/.test(id)) return undefined;
  if (hash === undefined || !/^[0-9a-f]{64}$/.test(hash)) return undefined;
  if (name === undefined || createdBy === undefined || groups === undefined) return undefined;
  if (createdAtMs === undefined) return undefined;
  // A time that cannot be read is no token for ever.
  if (fields.has('expiresAt') && expiresAtMs === undefined) return undefined;
  const rest = { id, name, hash, groups, createdAtMs, createdBy, expiresAtMs, lastUsedAtMs };
  // A static token without its scopes would be one without limits.
  if (kind === 'static') return scopes === undefined ? undefined : { ...rest, kind, scopes };
  return kind === 'login' && !fields.has('scopes') ? { ...rest, kind, scopes: undefined } : undefined;
}

function scopesOf(value: unknown): Scopes | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map(Object.entries(value));
  const read = textsOf(fields.get('read'));
  const publish = textsOf(fields.get('publish'));
  const admin: unknown = fields.get('admin');
  if (read === undefined || publish === undefined || typeof admin !== 'boolean') return undefined;
  return { read, publish, admin };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined;
}

/** RFC 3339 in UTC, as `toISOString` writes it; undefined for anything else. */
export function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/.test(value))
    return undefined;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** Years of four digits only: what `timeOf` reads back. */
function isTime(timeMs: number): boolean {
  return Number.isSafeInteger(timeMs) && timeMs > 0 && timeMs < Date.UTC(10_000, 0);
}
