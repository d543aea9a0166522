/**
 * The HTTP API of the tokens, without HTTP: parsed JSON in, status and JSON out. Whoever calls it has decided before
 * that the asker has the right `admin` on the server.
 */
import { parseDuration } from '../../lib/duration.ts';
import { ModferryError } from '../../lib/errors.ts';
import { troubleOf } from '../trouble.ts';
import { badToken, infoToJson, type NewToken, TokenError, timeOf } from './token-record.ts';
import type { Tokens } from './tokens.ts';

export interface TokenReply {
  readonly status: number;
  readonly body: object;
}

export interface TokenApi {
  /** `POST /-/v1/tokens`. `who`: for `createdBy`, e.g. `token:admin`. 201 with the token, shown once. */
  create(json: unknown, who: string): Promise<TokenReply>;
  /** `GET /-/v1/tokens`. */
  list(): Promise<TokenReply>;
  /** `DELETE /-/v1/tokens/ID`, by id or name. */
  revoke(idOrName: string): Promise<TokenReply>;
}

const statusByCode: Readonly<Record<TokenError['code'], number>> = {
  bad_token: 400,
  exists: 409,
  absent: 404,
  too_many: 503,
  damaged: 503,
  no_folder: 503,
};

/** What the fields of an order may be; the same in the API, on the admin socket and for the command. */
const orderFields = ['name', 'read', 'publish', 'admin', 'groups', 'expiresIn', 'expiresAt'] as const;
type OrderField = (typeof orderFields)[number];

/**
 * An order for a static token: `name`, and optionally `read` (patterns, default `*`: all that the rules give),
 * `publish` (patterns, default none), `admin` (default false), `groups`, `expiresIn` (`90d`) or `expiresAt` (RFC 3339,
 * UTC). Nothing else may be in it. Throws TokenError `bad_token`.
 */
export function readTokenOrder(json: unknown, nowMs: number): NewToken {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw badToken('send a JSON object with at least a name');
  }
  const fields = new Map<string, unknown>(Object.entries(json));
  const unknown = [...fields.keys()].find((key) => !(orderFields as readonly string[]).includes(key));
  if (unknown !== undefined) {
    throw badToken(`"${unknown.slice(0, 50)}" is not known; write ${orderFields.join(', ')}`);
  }
  const get = (field: OrderField): unknown => fields.get(field);
  const name = get('name');
  const admin = get('admin') ?? false;
  if (typeof name !== 'string') throw badToken('"name" must be a text');
  if (typeof admin !== 'boolean') throw badToken('"admin" must be true or false');
  return {
    name,
    scopes: {
      read: texts('read', get('read') ?? ['*']),
      publish: texts('publish', get('publish') ?? []),
      admin,
    },
    groups: texts('groups', get('groups') ?? []),
    expiresAtMs: expiryOf(get('expiresIn'), get('expiresAt'), nowMs),
  };
}

function texts(field: OrderField, value: unknown): string[] {
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  throw badToken(`"${field}" must be a list of texts`);
}

function expiryOf(inText: unknown, atText: unknown, nowMs: number): number | undefined {
  if (inText !== undefined && atText !== undefined)
    throw badToken('write only one of "expiresIn", "expiresAt"');
  if (atText !== undefined) {
    const atMs = timeOf(atText);
    if (atMs === undefined) throw badToken('"expiresAt" must be a time such as 2027-01-31T00:00:00Z');
    return atMs;
  }
  if (inText === undefined) return undefined;
  const durationMs = typeof inText === 'string' ? parseDuration(inText) : undefined;
  if (durationMs === undefined) throw badToken('"expiresIn" must be a duration such as 90d or 12h');
  return nowMs + durationMs;
}

/** Never rejects with a ModferryError or the system's: those become replies. `nowMs`: as `Clock.now`. */
export function tokenApi(tokens: Tokens, nowMs: () => number): TokenApi {
  return {
    create: (json, who) =>
      replied(async () => {
        const { info, token } = await tokens.create(readTokenOrder(json, nowMs()), who);
        return { status: 201, body: { ...infoToJson(info), token } };
      }),
    list: () =>
      replied(async () => ({ status: 200, body: { tokens: (await tokens.list()).map(infoToJson) } })),
    revoke: (idOrName) =>
      replied(async () => ({ status: 200, body: { revoked: infoToJson(await tokens.revoke(idOrName)) } })),
  };
}

async function replied(work: () => Promise<TokenReply>): Promise<TokenReply> {
  try {
    return await work();
  } catch (error) {
    const message = troubleOf(error);
    if (message === undefined) throw error;
    // A lock that others hold, or a disk that gives nothing, is no fault of whoever asks.
    const status = error instanceof TokenError ? statusByCode[error.code] : 503;
    const code = error instanceof ModferryError ? error.code : 'unavailable';
    return { status, body: { error: { code, message } } };
  }
}
