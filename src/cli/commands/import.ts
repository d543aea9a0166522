/** `modferry import`: takes a GOMODCACHE or the disk storage of Athens into the store, verifying all of it. */
import { resolve } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import { Progress } from '../../lib/progress.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import { forEachConcurrently } from '../concurrent.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { ImportSource, type ImportVersion } from '../import/import-source.ts';
import { type Imported, Importer } from '../import/importer.ts';
import { judgeFor } from '../judge.ts';
import { openOrMake } from '../open-store.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface ImportFlags extends FolderFlags {
  readonly json?: boolean;
  readonly allowUnproven?: boolean;
  readonly jobs?: number;
}

const defaultJobs = 4;
/** Odd files that are told one by one. */
const maxToldOdd = 1000;

interface Tally {
  versions: number;
  imported: number;
  importedBytes: number;
  unproven: number;
  present: number;
  refused: number;
  odd: number;
}

/**
 * Rejects with CliError: `usage` (no such folder), `absent` (nothing to import), `failed` (something was refused),
 * `interrupted`; StoreError when the store takes nothing.
 */
export async function importFolder(this: CliContext, flags: ImportFlags, dir: string): Promise<void> {
  const source = await ImportSource.open(resolve(this.cwd, dir));
  const total = await countVersions(source);
  if (total === 0) {
    throw new CliError(
      'absent',
      `there are no module versions in ${source.root}; name a GOMODCACHE or the disk storage of Athens`,
    );
  }
  const settings = await loadFolder(this, flags);
  const tally: Tally = {
    versions: 0,
    imported: 0,
    importedBytes: 0,
    unproven: 0,
    present: 0,
    refused: 0,
    odd: 0,
  };
  const abort = new AbortController();
  const interrupted = new CliError(
    'interrupted',
    'interrupted; run the same command again to go on: what is stored is passed over',
  );
  const unlisten = this.onSignal('SIGINT', () => abort.abort(interrupted));
  const store = await openOrMake(settings, this.clock);
  const progress = new Progress({
    output: this.stderr,
    clock: this.clock,
    label: 'importing',
    unit: 'versions',
    total,
  });
  const report = new Report(this, progress, tally, flags.json === true);
  try {
    const opened = await judgeFor(this, settings, store);
    const { judge } = opened;
    const jobs = flags.jobs ?? defaultJobs;
    const zips = new ZipVerifier({ threads: Math.min(jobs, 4) });
    const { signal } = abort;
    const allowUnproven = flags.allowUnproven === true;
    const importer = new Importer({ store, judge, zips, clock: this.clock, allowUnproven, signal });
    try {
      await forEachConcurrently(
        source.versions((file, reason) => report.odd(file, reason)),
        jobs,
        async (version) => {
          for await (const result of importer.import(version)) report.file(version, result);
          report.version();
          await this.stdout.drained();
        },
      );
    } finally {
      abort.abort(new Error('over'));
      await Promise.all([zips.close(), opened.close()]);
    }
  } finally {
    progress.finish();
    unlisten();
    report.summary(source.root);
    await store.close();
  }
  if (tally.refused > 0) throw new CliError('failed', refusedText(tally, flags));
}

function refusedText({ refused }: Tally, flags: ImportFlags): string {
  const advice =
    flags.allowUnproven === true
      ? 'modferry quarantine ls shows what is kept of them'
      : 'modferry quarantine ls shows what is kept of them; --allow-unproven takes what only lacks a proof';
  return `${plural(refused, 'file')} not imported; ${advice}`;
}

async function countVersions(source: ImportSource): Promise<number> {
  let count = 0;
  try {
    for await (const _ of source.versions(() => {})) count += 1;
  } catch (error) {
    throw new CliError('usage', `${source.root} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return count;
}

class Report {
  readonly #context: CliContext;
  readonly #progress: Progress;
  readonly #tally: Tally;
  readonly #isJson: boolean;

  constructor(context: CliContext, progress: Progress, tally: Tally, isJson: boolean) {
    this.#context = context;
    this.#progress = progress;
    this.#tally = tally;
    this.#isJson = isJson;
  }

  file({ path, version }: ImportVersion, result: Imported): void {
    const tally = this.#tally;
    if (result.outcome === 'present') tally.present += 1;
    else if (result.outcome === 'imported') {
      tally.imported += 1;
      tally.importedBytes += result.sizeBytes;
      if (!result.isProven && result.ext !== 'info') tally.unproven += 1;
    } else {
      tally.refused += 1;
      const { ext, why, reason, expected = null, found = null, quarantine = null } = result;
      this.#tell(
        { refused: why, module: path, version, artifact: ext, reason, expected, found, quarantine },
        `${path}@${version} .${ext} not imported, ${refusalWords[why]}: ${reason}`,
      );
    }
  }

  version(): void {
    this.#tally.versions += 1;
    const { importedBytes, refused } = this.#tally;
    this.#progress.advance(1, `${formatSize(importedBytes)}${refused === 0 ? '' : `, ${refused} refused`}`);
  }

  odd(file: string, reason: string): void {
    this.#tally.odd += 1;
    if (this.#tally.odd <= maxToldOdd) this.#tell({ odd: file, reason }, `passed over ${file}: ${reason}`);
  }

  summary(root: string): void {
    const { versions, imported, importedBytes, unproven, present, refused, odd } = this.#tally;
    if (this.#isJson) {
      writeJsonLine(this.#context.stdout, {
        from: root,
        ok: refused === 0,
        versions,
        imported,
        importedBytes,
        unproven,
        present,
        refused,
        odd,
      });
      return;
    }
    const parts = [`${plural(imported, 'file')} imported (${formatSize(importedBytes)})`];
    if (unproven > 0) parts.push(`${unproven} of them unproven`);
    parts.push(`${present} already stored`);
    if (refused > 0) parts.push(`${refused} refused`);
    if (odd > 0) parts.push(`${odd} passed over`);
    this.#context.stdout.write(`${plural(versions, 'version')}: ${parts.join(', ')}\n`);
  }

  #tell(json: object, text: string): void {
    this.#progress.hide();
    if (this.#isJson) writeJsonLine(this.#context.stdout, json);
    else this.#context.stdout.write(`${text}\n`);
  }
}

const refusalWords = {
  mismatch: 'not what it should be',
  bad: 'not sound',
  unproven: 'not proven',
  conflict: 'in conflict',
  unreadable: 'not read',
} as const;
