/**
 * The tokens in the data folder, `meta/tokens.json`, with the hashes of those that were revoked beside it. Both are
 * replaced whole under one lock, readable by their owner only. A file that cannot be understood is never written over.
 *
 * Revoked tokens are remembered apart, so that an older `tokens.json` that is put back revives none of them.
 */
import { hash, randomBytes } from 'node:crypto';
import { chown, type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { removeLeftovers } from '../../lib/leftovers.ts';
import { type HeldLock, LockFile } from '../../lib/lock-file.ts';
import { maxTokens, recordFromJson, recordToJson, TokenError, type TokenRecord } from './token-record.ts';

/** 20,000 static tokens with scopes and groups as people have them, and as much for log-ins. */
const maxKindBytes = 32 * 1024 * 1024;
export const maxTokensBytes = 2 * maxKindBytes + 1024;
/** The oldest are forgotten beyond that. */
const maxRevoked = 50_000;
export const maxRevokedBytes = (maxRevoked + 1) * 80;
/** Expired ones are shown for so long; log-ins go at once. */
const keepExpiredMs = 30 * 24 * 3_600_000;

export interface TokenState {
  readonly tokens: readonly TokenRecord[];
  /** Hashes, oldest first. */
  readonly revoked: readonly string[];
}

export function tokensFileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'tokens.json');
}

export function revokedFileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'tokens.revoked');
}

/** Undefined text: no file, no tokens. Throws TokenError `damaged`. */
export function parseTokens(text: string | undefined, file: string): TokenRecord[] {
  if (text === undefined) return [];
  const entries = entriesOf(text);
  const records = entries?.map(recordFromJson);
  if (records === undefined || records.length > 2 * maxTokens || records.includes(undefined)) {
    throw new TokenError(
      'damaged',
      `${file} cannot be understood, so no token is accepted; mend it, or put a backup in its place`,
    );
  }
  return records.filter((record) => record !== undefined);
}

function entriesOf(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { version, tokens } = value as Record<string, unknown>;
    return version === 1 && Array.isArray(tokens) ? tokens : undefined;
  } catch {
    return undefined;
  }
}

/** Lines that are no hashes are passed over: each of the others must go on to hold. */
export function parseRevoked(text: string | undefined): string[] {
  return (text ?? '').split('\n').filter((line) => /^[0-9a-f]{64}$/.test(line));
}

/** Rejects with TokenError `damaged`, or the system's error. */
export async function readTokens(dataDir: string): Promise<TokenState> {
  const file = tokensFileIn(dataDir);
  const [text, revoked] = await Promise.all([textOf(file), textOf(revokedFileIn(dataDir))]);
  return { tokens: parseTokens(text, file), revoked: parseRevoked(revoked) };
}

/**
 * Reads, changes and writes as one step among all processes. `change` gives undefined where nothing is to be written.
 * Rejects as `change` does, with TokenError `no_folder`, `too_many` or `damaged` (a copy of the file is kept),
 * ModferryError `locked` or `lock_lost`, or with the system's error.
 */
export async function changeTokens(
  dataDir: string,
  clock: Clock,
  change: (before: TokenState) => TokenState | undefined,
): Promise<void> {
  await stat(dataDir).catch(() => {
    throw new TokenError('no_folder', `there is no data folder ${dataDir}; name it with --data`);
  });
  const file = tokensFileIn(dataDir);
  await mkdir(dirname(file), { recursive: true });
  await new LockFile(`${file}.lock`, clock).run(async (held) => {
    const before = await readTokens(dataDir).catch(async (error: unknown) => {
      if (error instanceof TokenError) await keepCopy(file);
      throw error;
    });
    const after = change(before);
    if (after === undefined) return;
    const nowMs = clock.now();
    const tokens = after.tokens.filter(
      ({ kind, expiresAtMs }) =>
        expiresAtMs === undefined || expiresAtMs > nowMs - (kind === 'login' ? 0 : keepExpiredMs),
    );
    const lines = tokens.map((token) => `    ${JSON.stringify(recordToJson(token))}`);
    const known = new Set(before.tokens.map((token) => token.hash));
    // Whatever is there already may be changed and taken away.
    if (tokens.some((token) => !known.has(token.hash))) checkRoom(tokens, lines);
    await removeLeftovers(file, clock);
    // First what takes away: if the power fails in between, nothing is valid that should not be.
    if (after.revoked.length > before.revoked.length) {
      const hashes = after.revoked.slice(-maxRevoked).map((each) => `${each}\n`);
      await replace(revokedFileIn(dataDir), hashes.join(''), dataDir, held);
    }
    const list = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`;
    await replace(file, `{\n  "version": 1,\n  "tokens": ${list}\n}\n`, dataDir, held);
  });
}

/**
 * Log-ins are counted apart, so that no number of them keeps an operator from making a token. Throws TokenError
 * `too_many`. `lines` are those of the tokens.
 */
function checkRoom(tokens: readonly TokenRecord[], lines: readonly string[]): void {
  for (const kind of ['static', 'login'] as const) {
    let [count, sizeBytes] = [0, 0];
    for (const [index, token] of tokens.entries()) {
      if (token.kind !== kind) continue;
      count += 1;
      sizeBytes += Buffer.byteLength(lines[index] ?? '') + 2;
    }
    if (count <= maxTokens && sizeBytes <= maxKindBytes) continue;
    const what = kind === 'login' ? 'log-ins' : 'tokens';
    const most = count > maxTokens ? `${maxTokens} ${what}` : `${maxKindBytes} bytes of ${what}`;
    throw new TokenError('too_many', `there are ${most} already; an operator revokes some first`);
  }
}

/** A copy of what cannot be understood, once for each content. Best effort: the file itself stays as well. */
export async function keepCopy(file: string): Promise<void> {
  try {
    const bytes = await readFile(file);
    const name = `${file}.damaged-${hash('sha256', bytes, 'hex').slice(0, 12)}`;
    await writeFile(name, bytes, { mode: 0o600, flag: 'wx' });
  } catch {
    // It is there already, or the folder takes nothing.
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function replace(file: string, text: string, dataDir: string, held: HeldLock): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await giveToOwner(temporary, dataDir);
    await held.check();
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Root may run the command where another user runs the server, who must be able to read it. */
async function giveToOwner(file: string, dataDir: string): Promise<void> {
  const [own, folder] = await Promise.all([stat(file), stat(dataDir)]);
  if (own.uid === folder.uid) return;
  await chown(file, folder.uid, folder.gid).catch(() => {});
}

async function syncFolder(folder: string): Promise<void> {
  const handle: FileHandle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
