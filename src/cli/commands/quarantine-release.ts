/**
 * `modferry quarantine release`: publishes a suspect on the operator's word. A running process does it where there is
 * one, so that it forgets what it refused; otherwise it is done here.
 */
import { ModferryError } from '../../lib/errors.ts';
import { releaseSuspect } from '../../service/release-suspect.ts';
import type { QuarantineEntry } from '../../store/quarantine.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { openForChanging } from '../open-store.ts';
import { entryName, findEntry } from '../quarantine-lookup.ts';
import { openForReading } from '../read-store.ts';
import { runningOn } from '../running.ts';
import { type FolderSettings, loadFolder } from '../settings.ts';
import type { ReleaseFlags } from './quarantine.ts';

/** A zip of Go's largest size is copied and verified. */
const timeoutMs = 300_000;

interface ReleaseAnswer {
  readonly outcome: string;
  readonly sha256: string;
  readonly h1: string | null;
}

/** Rejects with CliError: `usage`, `absent`, `failed` when it is not sound or another file is stored; StoreError. */
export async function quarantineRelease(
  this: CliContext,
  flags: ReleaseFlags,
  prefix: string,
): Promise<void> {
  const settings = await loadFolder(this, flags);
  const entry = await entryOf(this, settings, prefix);
  if (this.stdin.isTty && flags.yes !== true) {
    throw new CliError(
      'usage',
      `this would publish ${entryName(entry)}, of which it is said: ${entry.reason}; add --yes to do it`,
    );
  }
  const running = await runningOn(this, settings);
  const order = { id: entry.id, reason: flags.reason };
  const answer = await running.askIfAny('POST', '/quarantine-release', order, { timeoutMs });
  const { outcome, sha256, h1 } =
    answer === undefined ? await releaseHere(this, settings, order) : answerOf(answer);
  if (flags.json === true) {
    const { path, version, ext } = entry.key;
    const through = answer === undefined ? 'folder' : 'process';
    writeJsonLine(this.stdout, {
      id: entry.id,
      module: path,
      version,
      artifact: ext,
      outcome,
      sha256,
      h1,
      through,
    });
    return;
  }
  this.stdout.write(
    `released ${entryName(entry)}: ${outcome === 'present' ? 'it was stored already' : 'published'}\n`,
  );
  if (entry.key.ext !== 'info') {
    this.stderr.write(
      'modferry: a go command that asks the checksum database itself will refuse it, unless GONOSUMDB names the module\n',
    );
  }
}

async function entryOf(
  context: CliContext,
  { dataDir }: FolderSettings,
  prefix: string,
): Promise<QuarantineEntry> {
  const { store } = await openForReading(dataDir, context.clock);
  try {
    return findEntry(await store.quarantine.list(), prefix);
  } finally {
    await store.close();
  }
}

async function releaseHere(
  context: CliContext,
  settings: FolderSettings,
  { id, reason }: { readonly id: string; readonly reason: string },
): Promise<ReleaseAnswer> {
  const store = await openForChanging(settings, context.clock);
  const zips = new ZipVerifier();
  try {
    return await releaseSuspect(id, reason, { store, zips, clock: context.clock });
  } catch (error) {
    if (!(error instanceof ModferryError)) throw error;
    throw new CliError('failed', error.message, { cause: error });
  } finally {
    await zips.close();
    await store.close();
  }
}

function answerOf(answer: Record<string, unknown>): ReleaseAnswer {
  const { outcome, sha256, h1 } = answer;
  return { outcome: String(outcome), sha256: String(sha256), h1: typeof h1 === 'string' ? h1 : null };
}
