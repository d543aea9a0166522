/** `modferry verify`: re-hashes the store, tells each fault as it is found, and changes nothing. */
import { Progress } from '../../lib/progress.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { openForReading } from '../read-store.ts';
import { parseSelection, selectModules } from '../selection.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';
import { StoreCheck } from '../store-check.ts';

export interface VerifyFlags extends FolderFlags {
  readonly json?: boolean;
}

/** Rejects with CliError `failed` when there are faults, `usage`, `absent`; ConfigError; StoreError. */
export async function verify(this: CliContext, flags: VerifyFlags, pattern?: string): Promise<void> {
  const selection = parseSelection(pattern);
  const { dataDir } = await loadFolder(this, flags);
  const read = await openForReading(dataDir, this.clock);
  const zips = new ZipVerifier();
  const progress = new Progress({
    output: this.stderr,
    clock: this.clock,
    label: 'verifying',
    unit: 'artifacts',
    total: undefined,
  });
  const check = new StoreCheck(read, zips);
  let versions = 0;
  let artifacts = 0;
  let bytes = 0;
  let faults = 0;
  try {
    for await (const module of selectModules(read.store, selection)) {
      for (const entry of module.versions) {
        versions += 1;
        for await (const checked of check.check(entry)) {
          artifacts += 1;
          bytes += checked.sizeBytes;
          faults += checked.faults.length;
          if (checked.faults.length > 0) progress.hide();
          for (const fault of checked.faults) {
            const { module: path, version, artifact, detail } = fault;
            if (flags.json === true) writeJsonLine(this.stdout, fault);
            else this.stdout.write(`${path}@${version} .${artifact}: ${detail}\n`);
          }
          progress.advance(1, `${formatSize(bytes)}${faults === 0 ? '' : `, ${plural(faults, 'fault')}`}`);
        }
        await this.stdout.drained();
      }
    }
  } finally {
    progress.finish();
    await Promise.all([zips.close(), read.store.close()]);
  }
  if (flags.json === true) writeJsonLine(this.stdout, { versions, artifacts, bytes, faults });
  else {
    const what = `${plural(artifacts, 'artifact')} of ${plural(versions, 'version')} (${formatSize(bytes)})`;
    this.stdout.write(`verified ${what}: ${faults === 0 ? 'no faults' : plural(faults, 'fault')}\n`);
  }
  if (faults > 0) {
    throw new CliError(
      'failed',
      `${plural(faults, 'fault')} in ${dataDir}; purge these versions so that they are fetched again`,
    );
  }
}
