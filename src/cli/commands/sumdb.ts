/**
 * `modferry sumdb ls|show|reset`: what is known of checksum databases. A running process tells it; without one the
 * data folder does, as far as it goes.
 */
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatTime, plural, renderTable, writeJsonLine } from '../format.ts';
import { runningOn } from '../running.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from '../settings.ts';
import { type KnownDatabase, parseDatabase, readDatabases, resetDatabase } from '../sumdb-state.ts';

export interface SumdbFlags extends FolderFlags {
  readonly json?: boolean;
}

export interface SumdbResetFlags extends SumdbFlags {
  readonly reason: string;
  readonly yes?: boolean;
}

/** Rejects with CliError `absent` (no store there), `failed`; StoreError. */
export async function sumdbList(this: CliContext, flags: SumdbFlags): Promise<void> {
  const databases = await databasesOf(this, await loadFolder(this, flags));
  if (flags.json === true) {
    for (const database of databases) writeJsonLine(this.stdout, database);
    return;
  }
  if (databases.length === 0) this.stdout.write('no checksum database is known yet\n');
  else {
    this.stdout.write(
      renderTable(
        databases.map((database) => [
          database.isForked ? 'FORKED' : 'ok',
          database.name,
          database.treeSize === null ? 'no head yet' : plural(database.treeSize, 'record'),
          database.confirmedAt === null ? '' : `confirmed ${ageOf(database.confirmedAt, this.clock.now())}`,
          database.lookups === null
            ? ''
            : `lookups ${database.lookups.kept} kept, ${database.lookups.fetched} fetched, ${database.lookups.failed} failed`,
        ]),
      ),
    );
  }
}

/** Rejects with CliError `absent` for a database that is not known. */
export async function sumdbShow(this: CliContext, flags: SumdbFlags, name: string): Promise<void> {
  const database = await databaseOf(this, await loadFolder(this, flags), name);
  if (flags.json === true) {
    this.stdout.write(`${JSON.stringify(database, null, 2)}\n`);
    return;
  }
  const { treeSize, confirmedAt, lookups, tilesFetched, refused, fork } = database;
  this.stdout.write(`${name}: ${database.isForked ? 'FORKED, no new record is trusted' : 'ok'}\n`);
  const rows: [string, string][] = [
    ['tree', treeSize === null ? 'no head is known yet' : plural(treeSize, 'record')],
    ['confirmed', confirmedAt === null ? 'never' : formatTime(Date.parse(confirmedAt))],
  ];
  if (lookups !== null) {
    rows.push(['lookups', `${lookups.kept} kept, ${lookups.fetched} fetched, ${lookups.failed} failed`]);
    rows.push(['tiles fetched', String(tilesFetched)]);
    rows.push(['refused', `${refused} answers of sources`]);
  }
  if (fork !== null) {
    rows.push(['forked at', formatTime(fork.atMs)], ['by', fork.source]);
  }
  this.stdout.write(renderTable(rows.map(([title, value]) => [`  ${title}`, value])));
  if (fork === null) return;
  this.stdout.write(`\nThe head that was known:\n${indented(fork.known)}\nThe one that contradicts it:\n`);
  this.stdout.write(`${indented(fork.other)}\n`);
  this.stdout.write(
    `By the larger tree the smaller one's hash would be ${fork.computedHash}. Find out which is true, then ` +
      `modferry sumdb reset ${name} --reason TEXT\n`,
  );
}

/** Rejects with CliError `usage`, `absent`, `failed`; StoreError. */
export async function sumdbReset(this: CliContext, flags: SumdbResetFlags, name: string): Promise<void> {
  if (this.stdin.isTty && flags.yes !== true) {
    throw new CliError(
      'usage',
      `then the next head of ${name} is trusted at first sight, whoever sends it; add --yes to do it`,
    );
  }
  const settings = await loadFolder(this, flags);
  const running = await runningOn(this, settings);
  const answer = await running.askIfAny('POST', '/sumdb-reset', { name, reason: flags.reason });
  if (answer === undefined) {
    await databaseOf(this, settings, name);
    await resetDatabase(settings, this.clock, name);
  }
  const through = answer === undefined ? 'folder' : 'process';
  if (flags.json === true) writeJsonLine(this.stdout, { name, reset: true, through });
  else this.stdout.write(`${name}: what was known is forgotten; the next head is trusted at first sight\n`);
}

async function databaseOf(
  context: CliContext,
  settings: FolderSettings,
  name: string,
): Promise<KnownDatabase> {
  const databases = await databasesOf(context, settings);
  const found = databases.find((database) => database.name === name);
  if (found !== undefined) return found;
  const names = databases.map((database) => database.name).join(', ');
  const known = names === '' ? 'none is known yet' : `known are ${names}`;
  throw new CliError('absent', `there is no checksum database ${name} here; ${known}`);
}

async function databasesOf(context: CliContext, settings: FolderSettings): Promise<readonly KnownDatabase[]> {
  const running = await runningOn(context, settings);
  const answer = await running.askIfAny('GET', '/sumdb');
  if (answer === undefined) return await readDatabases(settings.dataDir, context.clock);
  const { databases } = answer;
  return Array.isArray(databases) ? databases.flatMap((one: unknown) => parseDatabase(one) ?? []) : [];
}

function ageOf(time: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '  ');
}
