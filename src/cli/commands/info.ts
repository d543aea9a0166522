/** `modferry info`: everything known of one stored version, or an overview of one module. */
import type { ArtifactExt, ModulePath, Version } from '../../gomod/types.ts';
import type { ArtifactRecord, MutableEntry, Store } from '../../store/store.ts';
import { StoreError } from '../../store/store-error.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, formatTime, plural, renderTable } from '../format.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { describeEntry } from '../quarantine-lookup.ts';
import { openForReading } from '../read-store.ts';
import { type ModuleEntries, selectModules } from '../selection.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';
import { describeArtifacts, summaryOf, trustText } from '../version-summary.ts';

export interface InfoFlags extends FolderFlags {
  readonly json?: boolean;
}

/** Rejects with CliError `usage`, `absent` when nothing of it is stored, `failed` when a stored file is not sound. */
export async function info(this: CliContext, flags: InfoFlags, argument: string): Promise<void> {
  const { path, version } = parseModuleArgument(argument);
  const { dataDir } = await loadFolder(this, flags);
  const { store } = await openForReading(dataDir, this.clock);
  try {
    if (version === undefined) await moduleInfo(this, store, path, flags);
    else await versionInfo(this, store, path, version, flags);
  } finally {
    await store.close();
  }
}

async function versionInfo(
  context: CliContext,
  store: Store,
  path: ModulePath,
  version: Version,
  flags: InfoFlags,
): Promise<void> {
  const artifacts: Partial<Record<ArtifactExt, ArtifactRecord>> = {};
  const faults: string[] = [];
  for (const ext of ['info', 'mod', 'zip'] as const) {
    try {
      const file = await store.open({ path, version, ext });
      if (file === undefined) continue;
      artifacts[ext] = file.record;
      await file.close();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      faults.push(error.message);
    }
  }
  const suspects = (await store.quarantine.list()).filter(
    ({ key }) => key.path === path && key.version === version,
  );
  if (Object.keys(artifacts).length === 0 && faults.length === 0 && suspects.length === 0) {
    throw new CliError(
      'absent',
      `nothing of ${path}@${version} is stored; modferry ls ${path} shows what is`,
    );
  }
  const described = describeArtifacts(artifacts);
  if (flags.json === true) {
    context.stdout.write(
      `${JSON.stringify({ module: path, version, artifacts: described, faults, quarantine: suspects.map(describeEntry) }, null, 2)}\n`,
    );
  } else {
    context.stdout.write(`${path}@${version}\n`);
    for (const [ext, one] of Object.entries(described)) {
      const rows = [
        [`  .${ext}`, formatSize(one.sizeBytes), `from ${one.source}`, one.storedAt.replace(/\.\d+Z$/, 'Z')],
      ];
      context.stdout.write(`${renderTable(rows)}    sha256 ${one.sha256}\n`);
      if (one.h1 !== null) context.stdout.write(`    ${one.h1}\n`);
      if (ext !== 'info') context.stdout.write(`    ${trustText(one)}\n`);
    }
    for (const { id, cause, key, source, reason } of suspects) {
      context.stdout.write(`  in quarantine ${id}: .${key.ext} from ${source}, ${cause}: ${reason}\n`);
    }
  }
  if (faults.length > 0) throw new CliError('failed', faults.join('\nmodferry: '));
}

async function moduleInfo(
  context: CliContext,
  store: Store,
  path: ModulePath,
  flags: InfoFlags,
): Promise<void> {
  const found = await entriesOf(store, path);
  const [list, latest] = await Promise.all([
    store.readMutable(path, 'list'),
    store.readMutable(path, 'latest'),
  ]);
  if (found === undefined && list === undefined && latest === undefined) {
    throw new CliError('absent', `nothing of ${path} is stored; modferry ls shows what is`);
  }
  const versions = found?.versions ?? [];
  if (flags.json === true) {
    const json = {
      module: path,
      versions: versions.map((entry) => ({
        version: entry.version,
        artifacts: describeArtifacts(entry.artifacts),
      })),
      list: list === undefined ? null : describeAnswer(list),
      latest: latest === undefined ? null : describeAnswer(latest),
    };
    context.stdout.write(`${JSON.stringify(json, null, 2)}\n`);
    return;
  }
  context.stdout.write(`${path}: ${plural(versions.length, 'version')} stored\n`);
  const rows = versions.map((entry) => {
    const { sizeBytes, storedAtMs, sources, parts } = summaryOf(entry);
    return [
      `  ${entry.version}`,
      formatSize(sizeBytes),
      formatTime(storedAtMs),
      sources.join(','),
      parts.join('+'),
    ];
  });
  context.stdout.write(renderTable(rows));
  if (list !== undefined) context.stdout.write(`  list confirmed ${answerText(list)}\n`);
  if (latest !== undefined) context.stdout.write(`  latest confirmed ${answerText(latest)}\n`);
}

async function entriesOf(store: Store, path: ModulePath): Promise<ModuleEntries | undefined> {
  const exactly = { under: path, matches: (entry: { path: ModulePath }) => entry.path === path };
  for await (const entries of selectModules(store, exactly)) return entries;
  return undefined;
}

function describeAnswer(entry: MutableEntry): object {
  return { confirmedAt: new Date(entry.confirmedAtMs).toISOString(), sources: entry.sources };
}

function answerText(entry: MutableEntry): string {
  return `${formatTime(entry.confirmedAtMs)} by ${entry.sources.join(', ') || 'nobody'}`;
}
