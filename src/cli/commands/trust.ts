/** `modferry trust go.sum|ls|rm`: go.sum lines that prove modules where the checksum database does not. */
import { takeBackProofs } from '../../checksums/taken-back.ts';
import {
  importTrusted,
  labelFault,
  listTrusted,
  removeTrusted,
  trustedFileIn,
} from '../../checksums/trusted-file.ts';
import { TrustedSums } from '../../checksums/trusted-sums.ts';
import type { FsStore } from '../../store/fs/fs-store.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatTime, plural, renderTable, writeJsonLine } from '../format.ts';
import { type GoSumFile, readGoSums } from '../go-sum-files.ts';
import { openForChanging } from '../open-store.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface TrustFlags extends FolderFlags {
  readonly json?: boolean;
}

export interface TrustImportFlags extends TrustFlags {
  readonly label?: string;
  readonly replace?: boolean;
}

/**
 * Rejects with CliError: `usage` (file, label), `failed` (junk or contradictions: that file is not imported); with
 * ModferryError as `importTrusted`.
 */
export async function trustImport(
  this: CliContext,
  flags: TrustImportFlags,
  ...names: readonly string[]
): Promise<void> {
  const files = await readGoSums(this, names.length === 0 ? ['go.sum'] : names);
  for (const { name } of files) {
    const label = flags.label ?? name;
    const fault = labelFault(label);
    if (fault !== undefined)
      throw new CliError('usage', `the label "${label}" cannot be used: ${fault}; see --label`);
  }
  const settings = await loadFolder(this, flags);
  let refused = 0;
  // A server that was never started has no folder yet, and a mistyped --data should make none.
  const store = await openForChanging(settings, this.clock);
  try {
    for (const file of files)
      if (!(await importFile(this, settings.dataDir, store, file, flags))) refused += 1;
  } finally {
    await store.close();
  }
  if (refused > 0)
    throw new CliError('failed', `${plural(refused, 'file')} not imported; nothing of it is trusted`);
}

async function importFile(
  context: CliContext,
  dataDir: string,
  store: FsStore,
  file: GoSumFile,
  flags: TrustImportFlags,
): Promise<boolean> {
  const { name, lines, faults, faultCount } = file;
  const label = flags.label ?? name;
  if (faultCount > 0) {
    if (flags.json === true) {
      writeJsonLine(context.stdout, {
        file: name,
        label,
        ok: false,
        added: 0,
        junk: faults,
        junkCount: faultCount,
        conflicts: [],
      });
    } else {
      for (const { lineNumber, text, reason } of faults) {
        context.stdout.write(`${name}:${lineNumber}: ${reason}${text === '' ? '' : `: ${text}`}\n`);
      }
      if (faultCount > faults.length) {
        context.stdout.write(`${name}: and ${faultCount - faults.length} lines more\n`);
      }
    }
    return false;
  }
  const replace = flags.replace === true;
  const { added, known, replaced, conflicts, conflictCount } = await importTrusted(
    dataDir,
    context.clock,
    lines,
    { label, replace },
  );
  const isOk = replace || conflictCount === 0;
  const waiting = replaced > 0 ? await takeBack(context, dataDir, store) : 0;
  if (flags.json === true) {
    writeJsonLine(context.stdout, {
      file: name,
      label,
      ok: isOk,
      added,
      known,
      replaced,
      waiting,
      junk: [],
      conflicts,
      conflictCount,
    });
  } else if (isOk) {
    const parts = [`${plural(added, 'line')} added`, `${known} known`];
    if (replaced > 0) parts.push(`${replaced} replaced`);
    context.stdout.write(`${name}: ${parts.join(', ')}${waitingText(waiting)}\n`);
  } else {
    for (const conflict of conflicts) {
      context.stdout.write(
        `${name}: ${conflict.name}: ${conflict.offered}, but ${conflict.label} says ${conflict.trusted}\n`,
      );
    }
    context.stdout.write(
      `${name}: ${plural(conflictCount, 'line')} contradict what is trusted; see --replace\n`,
    );
  }
  return isOk;
}

/** The number of stored files whose proof was a line that is gone: a running modferry proves them anew. */
async function takeBack(context: CliContext, dataDir: string, store: FsStore): Promise<number> {
  const sums = await TrustedSums.open(dataDir, context.clock);
  try {
    return await takeBackProofs(store, sums);
  } finally {
    sums.close();
  }
}

function waitingText(waiting: number): string {
  if (waiting === 0) return '';
  return `; ${plural(waiting, 'stored file')} ${waiting === 1 ? 'waits' : 'wait'} for another proof`;
}

/** Rejects with ConfigError or StoreError. */
export async function trustList(this: CliContext, flags: TrustFlags): Promise<void> {
  const { dataDir } = await loadFolder(this, flags);
  const { labels, damagedLines } = await listTrusted(dataDir);
  if (damagedLines > 0) {
    const what = `${plural(damagedLines, 'line')} of ${trustedFileIn(dataDir)}`;
    this.stderr.write(
      `modferry: ${what} cannot be understood and hold for nothing; mend or remove them there\n`,
    );
  }
  if (flags.json === true) {
    for (const { label, lines, firstAtMs, lastAtMs } of labels) {
      const [firstAt, lastAt] = [firstAtMs, lastAtMs].map((atMs) => new Date(atMs).toISOString());
      writeJsonLine(this.stdout, { label, lines, firstAt, lastAt });
    }
    if (damagedLines > 0) writeJsonLine(this.stdout, { damagedLines });
  } else if (labels.length === 0)
    this.stdout.write('no go.sum lines are trusted; see modferry trust go.sum\n');
  else {
    this.stdout.write(
      renderTable(
        labels.map(({ label, lines, lastAtMs }) => [plural(lines, 'line'), formatTime(lastAtMs), label]),
      ),
    );
  }
}

/** Rejects with CliError `absent` when there is no such label; with ModferryError as `removeTrusted`. */
export async function trustRemove(this: CliContext, flags: TrustFlags, label: string): Promise<void> {
  const settings = await loadFolder(this, flags);
  const { dataDir } = settings;
  const { labels } = await listTrusted(dataDir);
  if (!labels.some((one) => one.label === label)) throw unknownLabel(label);
  const store = await openForChanging(settings, this.clock);
  try {
    const removed = await removeTrusted(dataDir, this.clock, { label });
    if (removed === 0) throw unknownLabel(label);
    const waiting = await takeBack(this, dataDir, store);
    if (flags.json === true) writeJsonLine(this.stdout, { label, removed, waiting });
    else this.stdout.write(`${label}: ${plural(removed, 'line')} no longer trusted${waitingText(waiting)}\n`);
  } finally {
    await store.close();
  }
}

function unknownLabel(label: string): CliError {
  return new CliError('absent', `nothing is trusted under "${label}"; see modferry trust ls`);
}
