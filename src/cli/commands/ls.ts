/** `modferry ls`: what is stored, module by module as the walk goes, so that a large store shows at once. */
import type { VersionEntry } from '../../store/store.ts';
import type { CliContext } from '../context.ts';
import { formatSize, formatTime, renderTable, writeJsonLine } from '../format.ts';
import { openForReading } from '../read-store.ts';
import { parseSelection, selectModules } from '../selection.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';
import { describeArtifacts, summaryOf } from '../version-summary.ts';

export interface LsFlags extends FolderFlags {
  readonly json?: boolean;
  readonly long?: boolean;
}

/** Rejects with CliError `usage` (pattern) or `absent` (no store there), ConfigError, StoreError. */
export async function ls(this: CliContext, flags: LsFlags, pattern?: string): Promise<void> {
  const selection = parseSelection(pattern);
  const { dataDir } = await loadFolder(this, flags);
  const { store } = await openForReading(dataDir, this.clock);
  try {
    for await (const { versions } of selectModules(store, selection)) {
      if (flags.json === true) {
        for (const entry of versions) writeJsonLine(this.stdout, jsonOf(entry));
      } else if (flags.long === true) {
        this.stdout.write(renderTable(versions.map(longRow)));
      } else {
        for (const entry of versions) this.stdout.write(`${entry.path}@${entry.version}\n`);
      }
      await this.stdout.drained();
    }
  } finally {
    await store.close();
  }
}

function jsonOf(entry: VersionEntry): object {
  return { module: entry.path, version: entry.version, artifacts: describeArtifacts(entry.artifacts) };
}

function longRow(entry: VersionEntry): string[] {
  const { sizeBytes, storedAtMs, sources, parts, h1 } = summaryOf(entry);
  const name = `${entry.path}@${entry.version}`;
  return [name, formatSize(sizeBytes), formatTime(storedAtMs), sources.join(','), parts.join('+'), h1 ?? '-'];
}
