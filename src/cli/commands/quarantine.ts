/** `modferry quarantine ls|show|drop`: looks at the suspects in the data folder, and clears them away. */
import type { QuarantineEntry } from '../../store/quarantine.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, formatTime, plural, renderTable, writeJsonLine } from '../format.ts';
import { openForChanging } from '../open-store.ts';
import { describeEntry, entryName, findEntry } from '../quarantine-lookup.ts';
import { openForReading } from '../read-store.ts';
import { parseSelection } from '../selection.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface QuarantineShowFlags extends FolderFlags {
  readonly json?: boolean;
}

export interface QuarantineListFlags extends QuarantineShowFlags {
  readonly module?: string;
}

export interface ReleaseFlags extends FolderFlags {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly reason: string;
}

export interface DropFlags extends FolderFlags {
  readonly json?: boolean;
  readonly all?: boolean;
  readonly yes?: boolean;
}

/** Rejects with CliError `usage` (pattern) or `absent` (no store there), ConfigError, StoreError. */
export async function quarantineList(this: CliContext, flags: QuarantineListFlags): Promise<void> {
  const selection = parseSelection(flags.module);
  const all = await entriesIn(this, flags);
  const entries = all.filter(({ key }) => selection.matches({ ...key, artifacts: {} }));
  if (flags.json === true) {
    for (const entry of entries) writeJsonLine(this.stdout, describeEntry(entry));
    return;
  }
  if (entries.length === 0) {
    this.stdout.write(
      all.length === 0 ? 'nothing is in quarantine\n' : 'nothing of these modules is in quarantine\n',
    );
    return;
  }
  this.stdout.write(renderTable(entries.map(row)));
}

function row(entry: QuarantineEntry): string[] {
  const { id, cause, source, atMs, count, sizeBytes, hasBytes } = entry;
  return [
    id,
    cause,
    entryName(entry),
    `from ${source}`,
    hasBytes ? formatSize(sizeBytes) : 'evidence only',
    formatTime(atMs),
    count === 1 ? '' : `${count} times`,
  ];
}

/** Rejects with CliError `usage`, `absent`. */
export async function quarantineShow(
  this: CliContext,
  flags: QuarantineShowFlags,
  prefix: string,
): Promise<void> {
  const { dataDir } = await loadFolder(this, flags);
  const { store } = await openForReading(dataDir, this.clock);
  try {
    const entry = findEntry(await store.quarantine.list(), prefix);
    const file = await store.quarantine.fileOf(entry.id);
    if (flags.json === true) {
      this.stdout.write(`${JSON.stringify({ ...describeEntry(entry), file: file ?? null }, null, 2)}\n`);
      return;
    }
    this.stdout.write(`${entryName(entry)}\n  ${entry.reason}\n`);
    const rows = factsOf(entry, file).filter((fact) => fact[1] !== undefined);
    this.stdout.write(renderTable(rows.map(([name, value = '']) => [`  ${name}`, value])));
  } finally {
    await store.close();
  }
}

function factsOf(entry: QuarantineEntry, file: string | undefined): [string, string | undefined][] {
  const { id, cause, source, sizeBytes, sha256, count, firstAtMs, atMs, headers } = entry;
  return [
    ['id', id],
    ['cause', cause],
    ['source', source],
    [
      'seen',
      count === 1 ? formatTime(atMs) : `${count} times, ${formatTime(firstAtMs)} to ${formatTime(atMs)}`,
    ],
    ['size', `${sizeBytes} B`],
    ['sha256', sha256],
    ['expected', entry.expectedH1 ?? entry.expectedSha256],
    ['found', entry.foundH1 ?? (entry.expectedSha256 === undefined ? undefined : sha256)],
    ['expected by', entry.expectedBy],
    ['file', file ?? 'not kept'],
    ...Object.entries(headers ?? {}).map(([name, value]): [string, string] => [`header ${name}`, value]),
  ];
}

/** Rejects with CliError `usage`, `absent`, or StoreError. */
export async function quarantineDrop(
  this: CliContext,
  flags: DropFlags,
  ...prefixes: readonly string[]
): Promise<void> {
  const isAll = flags.all === true;
  if (isAll === prefixes.length > 0) {
    throw new CliError('usage', 'name what to drop: one ID or several, or --all');
  }
  if (isAll && this.stdin.isTty && flags.yes !== true) {
    throw new CliError('usage', 'this would drop everything in quarantine, evidence too; add --yes to do it');
  }
  const store = await openForChanging(await loadFolder(this, flags), this.clock);
  try {
    const entries = await store.quarantine.list();
    const chosen = isAll ? entries : prefixes.map((prefix) => findEntry(entries, prefix));
    let dropped = 0;
    for (const { id } of chosen) if (await store.quarantine.drop(id)) dropped += 1;
    if (flags.json === true) writeJsonLine(this.stdout, { dropped });
    else this.stdout.write(`dropped ${plural(dropped, 'suspect')}\n`);
  } finally {
    await store.close();
  }
}

async function entriesIn(context: CliContext, flags: FolderFlags): Promise<readonly QuarantineEntry[]> {
  const { dataDir } = await loadFolder(context, flags);
  const { store } = await openForReading(dataDir, context.clock);
  try {
    return await store.quarantine.list();
  } finally {
    await store.close();
  }
}
