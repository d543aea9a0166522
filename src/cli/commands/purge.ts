/**
 * `modferry purge`: removes a version or a whole module from the store. A running process does it where there is
 * one, so that it also stops fills under way; otherwise it is done here. Either way every process on the folder
 * knows within a second.
 */
import { join } from 'node:path';
import { type PurgeOrder, type PurgeOutcome, purgeOnFolder } from '../../publish/purge-stored.ts';
import { adminSockets, askRunning } from '../admin-client.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { noteAudit } from '../note-audit.ts';
import { openForChanging } from '../open-store.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from '../settings.ts';

export interface PurgeFlags extends FolderFlags {
  readonly json?: boolean;
  readonly yes?: boolean;
  /** What was published here goes too; its names stay taken. */
  readonly force?: boolean;
}

/** Rejects with CliError `usage`, `absent` (no store there), `failed` (refused by the process),
 * ModferryError `published_here`, or StoreError. */
export async function purge(this: CliContext, flags: PurgeFlags, argument: string): Promise<void> {
  const { path, version } = parseModuleArgument(argument);
  if (version === undefined && this.stdin.isTty && flags.yes !== true) {
    throw new CliError(
      'usage',
      `this would remove every stored version of ${path}; add --yes to do it, or name one version, ${path}@VERSION`,
    );
  }
  const settings = await loadFolder(this, flags);
  const { dataDir, loaded } = settings;
  const isForced = flags.force === true;
  const sockets = await adminSockets(dataDir, loaded.config.adminSocket, this.cwd);
  const body = {
    module: path,
    ...(version === undefined ? {} : { version }),
    ...(isForced ? { force: true } : {}),
  };
  const answer = await askRunning(sockets, { method: 'POST', path: '/purge' }, body);
  const result =
    answer === undefined
      ? await purgeHere(this, settings, { path, version, isForced, who: 'local' })
      : resultOf(answer);
  if (flags.json === true) {
    writeJsonLine(this.stdout, {
      module: path,
      version: version ?? null,
      ...result,
      through: answer === undefined ? 'folder' : 'process',
    });
    return;
  }
  const what = version === undefined ? path : `${path}@${version}`;
  const { removedVersions, removedBytes, tombstones } = result;
  if (removedVersions === 0) this.stdout.write(`nothing of ${what} was stored\n`);
  else
    this.stdout.write(`purged ${what}: ${plural(removedVersions, 'version')}, ${formatSize(removedBytes)}\n`);
  if (tombstones > 0) {
    const names = tombstones === 1 ? 'its name stays taken' : 'their names stay taken';
    this.stdout.write(`${plural(tombstones, 'version')} of it had been published here: ${names}\n`);
  }
}

async function purgeHere(
  context: CliContext,
  settings: FolderSettings,
  order: PurgeOrder,
): Promise<PurgeOutcome> {
  const store = await openForChanging(settings, context.clock);
  try {
    const result = await purgeOnFolder(order, store, join(settings.dataDir, 'meta'), context.clock);
    const { path: module, version, isForced } = order;
    const data = isForced ? { force: true } : undefined;
    await noteAudit(context, settings.dataDir, { action: 'purge', module, version, data });
    return result;
  } finally {
    await store.close();
  }
}

function resultOf(answer: Record<string, unknown>): PurgeOutcome {
  return {
    removedVersions: Number(answer['removedVersions'] ?? 0),
    removedBytes: Number(answer['removedBytes'] ?? 0),
    tombstones: Number(answer['tombstones'] ?? 0),
  };
}
