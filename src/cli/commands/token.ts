/**
 * `modferry token create|list|revoke`: through the admin socket of a running modferry, on the data folder where none
 * runs, or with --server on one elsewhere.
 */

import { readTokenOrder } from '../../access/tokens/token-api.ts';
import { createToken, listTokens, revokeToken } from '../../access/tokens/token-orders.ts';
import { infoToJson, TokenError } from '../../access/tokens/token-record.ts';
import { formatDuration } from '../../lib/duration.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatTime, renderTable, writeJsonLine } from '../format.ts';
import { noteAudit } from '../note-audit.ts';
import { runningOn } from '../running.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';
import { openTokenClient, type RemoteFlags } from '../token-client.ts';

export interface TokenFlags extends FolderFlags, RemoteFlags {
  readonly json?: boolean;
}

export interface TokenCreateFlags extends TokenFlags {
  readonly read?: readonly string[];
  readonly publish?: readonly string[];
  readonly admin?: boolean;
  readonly group?: readonly string[];
  /** Milliseconds. */
  readonly expires?: number;
}

/** What a server or the folder tells of a token, as far as it is shown. */
type Shown = Readonly<Record<string, unknown>>;

/** Rejects with CliError: `usage` for a bad order, `failed`, `unavailable`. */
export async function tokenCreate(this: CliContext, flags: TokenCreateFlags, name: string): Promise<void> {
  const order = {
    name,
    ...(flags.read === undefined ? {} : { read: flags.read }),
    ...(flags.publish === undefined ? {} : { publish: flags.publish }),
    ...(flags.admin === true ? { admin: true } : {}),
    ...(flags.group === undefined ? {} : { groups: flags.group }),
    ...(flags.expires === undefined ? {} : { expiresIn: formatDuration(flags.expires) }),
  };
  const created = await within(() => carryOutCreate(this, flags, order));
  if (flags.json === true) {
    writeJsonLine(this.stdout, created);
    return;
  }
  // The token alone, so that a script can take it.
  this.stdout.write(`${textOf(created['token'])}\n`);
  this.stderr.write(
    `${describe(created)}\nThe token is shown this once; keep it where only its user can read it.\n`,
  );
}

async function carryOutCreate(context: CliContext, flags: TokenFlags, order: object): Promise<Shown> {
  const { server } = flags;
  if (server !== undefined) {
    return await (await openTokenClient(context, { ...flags, server })).ask('POST', '', order);
  }
  // Refused before anything is touched, and with the exit code of a usage fault.
  const asked = readTokenOrder(order, context.clock.now());
  const settings = await loadFolder(context, flags);
  const running = await runningOn(context, settings);
  const answer = await running.askIfAny('POST', '/tokens/create', order);
  if (answer !== undefined) return answer;
  const { info, token } = await createToken(settings.dataDir, context.clock, asked, 'local');
  const data = { id: info.id, name: info.name };
  await noteAudit(context, settings.dataDir, { action: 'token_create', data });
  return { ...infoToJson(info), token };
}

/** Rejects with CliError, or with TokenError `damaged`. */
export async function tokenList(this: CliContext, flags: TokenFlags): Promise<void> {
  const tokens = await within(() => readList(this, flags));
  if (flags.json === true) {
    for (const token of tokens) writeJsonLine(this.stdout, token);
  } else if (tokens.length === 0) this.stdout.write('no tokens; see modferry token create\n');
  else this.stdout.write(renderTable(tokens.map((token) => rowOf(token, this.clock.now()))));
}

async function readList(context: CliContext, flags: TokenFlags): Promise<Shown[]> {
  const { server } = flags;
  if (server === undefined) {
    const { dataDir } = await loadFolder(context, flags);
    return (await listTokens(dataDir)).map((info) => ({ ...infoToJson(info) }));
  }
  const { tokens } = await (await openTokenClient(context, { ...flags, server })).ask('GET', '');
  if (!Array.isArray(tokens)) throw new CliError('failed', `${server}: the answer is no list of tokens`);
  return tokens.filter((each): each is Shown => typeof each === 'object' && each !== null);
}

/** Rejects with CliError: `absent` when there is no such token. */
export async function tokenRevoke(this: CliContext, flags: TokenFlags, idOrName: string): Promise<void> {
  const revoked = await within(() => carryOutRevoke(this, flags, idOrName));
  if (flags.json === true) writeJsonLine(this.stdout, revoked);
  else this.stdout.write(`revoked ${describe(revoked)}\n`);
}

async function carryOutRevoke(context: CliContext, flags: TokenFlags, idOrName: string): Promise<Shown> {
  const { server } = flags;
  if (server !== undefined) {
    const client = await openTokenClient(context, { ...flags, server });
    return revokedIn(await client.ask('DELETE', `/${encodeURIComponent(idOrName)}`));
  }
  const settings = await loadFolder(context, flags);
  const running = await runningOn(context, settings);
  const answer = await running.askIfAny('POST', '/tokens/revoke', { token: idOrName });
  if (answer !== undefined) return revokedIn(answer);
  const info = await revokeToken(settings.dataDir, context.clock, idOrName);
  const data = { id: info.id, name: info.name };
  await noteAudit(context, settings.dataDir, { action: 'token_revoke', data });
  return { ...infoToJson(info) };
}

function revokedIn({ revoked }: Shown): Shown {
  return typeof revoked === 'object' && revoked !== null ? { ...revoked } : {};
}

async function within<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const code = error.code === 'bad_token' ? 'usage' : error.code === 'absent' ? 'absent' : 'failed';
    throw new CliError(code, error.message, { cause: error });
  }
}

/** `ci (id 3f2a…): read corp.example; publish nothing; expires 2027-01-01 00:00:00Z`. */
function describe(token: Shown): string {
  return `${textOf(token['name'])} (id ${textOf(token['id'])}): ${rightsOf(token)}; ${endOf(token)}`;
}

function rowOf(token: Shown, nowMs: number): string[] {
  const used = timeText(token['lastUsedAt']);
  const expiresAtMs = Date.parse(textOf(token['expiresAt']));
  return [
    textOf(token['id']),
    textOf(token['kind']),
    textOf(token['name']),
    expiresAtMs <= nowMs ? 'expired' : endOf(token),
    used === undefined ? 'never used' : `used ${used}`,
    rightsOf(token),
  ];
}

function rightsOf(token: Shown): string {
  const groups = listOf(token['groups']);
  const { scopes } = token;
  const parts =
    typeof scopes !== 'object' || scopes === null ? ['what the user may'] : scopeParts({ ...scopes });
  if (groups.length > 0) parts.push(`groups ${groups.join(', ')}`);
  return parts.join('; ');
}

function scopeParts(scopes: Shown): string[] {
  const parts: string[] = [];
  for (const right of ['read', 'publish']) {
    const patterns = listOf(scopes[right]);
    if (patterns.length > 0) parts.push(`${right} ${patterns.join(', ')}`);
  }
  if (scopes['admin'] === true) parts.push('admin');
  return parts;
}

function endOf(token: Shown): string {
  const end = timeText(token['expiresAt']);
  return end === undefined ? 'does not expire' : `expires ${end}`;
}

function timeText(value: unknown): string | undefined {
  const timeMs = Date.parse(textOf(value));
  return Number.isNaN(timeMs) ? undefined : formatTime(timeMs);
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}

/** Servers elsewhere are not believed to send what a terminal may print. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll(/\p{C}/gu, '?') : '';
}
