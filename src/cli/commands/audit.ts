/** `modferry audit`: who did what, read from the data folder, whether anything runs or not. */
import { stat } from 'node:fs/promises';
import { AuditReader } from '../../audit/audit-file.ts';
import { type AuditRecord, auditJson } from '../../audit/entry.ts';
import type { AuditAction, AuditResult } from '../../audit/types.ts';
import { compilePatterns, patternFault } from '../../gomod/module-pattern.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { auditText } from '../audit-text.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { pollUntilSignal } from '../polling.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface AuditFlags extends FolderFlags {
  readonly json?: boolean;
  readonly follow?: boolean;
  /** How far back, in milliseconds. */
  readonly since?: number;
  readonly action?: AuditAction;
  readonly who?: string;
  readonly module?: string;
  readonly result?: AuditResult;
  readonly limit?: number;
}

const defaultLimit = 100;
const pollEveryMs = 500;

/** Rejects with CliError `usage` (pattern), `absent` (no such folder) or `failed` (it cannot be read), ConfigError. */
export async function audit(this: CliContext, flags: AuditFlags): Promise<void> {
  const { action, who, module, result, limit = defaultLimit } = flags;
  const fault = module === undefined ? undefined : patternFault(module);
  if (fault !== undefined) throw new CliError('usage', `"${module}" is no module pattern. ${fault}`);
  const { dataDir } = await loadFolder(this, flags);
  await stat(dataDir).catch(() => {
    throw new CliError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  const sinceMs = flags.since === undefined ? undefined : this.clock.now() - flags.since;
  const isModule = module === undefined ? undefined : compilePatterns(module);
  const reader = new AuditReader(dataDir, { sinceMs, action, who, isModule, result });
  const shown: AuditRecord[] = [];
  await read(reader, dataDir, (record) => shown.push(record), limit);
  print(this, flags, shown);
  await this.stdout.drained();
  if (flags.follow !== true) {
    if (shown.length === 0) this.stderr.write('no such entries\n');
    return;
  }
  await pollUntilSignal(this, pollEveryMs, async () => {
    const more: AuditRecord[] = [];
    await read(reader, dataDir, (record) => more.push(record));
    print(this, flags, more);
    await this.stdout.drained();
  });
}

async function read(
  reader: AuditReader,
  dataDir: string,
  onRecord: (record: AuditRecord) => void,
  limit?: number,
): Promise<void> {
  try {
    await reader.read(onRecord, limit);
  } catch (error) {
    const hint = errnoOf(error) === 'EACCES' ? '; run it as the user that modferry runs as' : '';
    throw new CliError('failed', `the audit in ${dataDir} cannot be read: ${messageOf(error)}${hint}`, {
      cause: error,
    });
  }
}

function print(context: CliContext, flags: AuditFlags, found: readonly AuditRecord[]): void {
  if (flags.json === true) for (const record of found) writeJsonLine(context.stdout, auditJson(record));
  else context.stdout.write(auditText(found));
}
