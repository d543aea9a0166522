/**
 * `modferry verify`: re-hashes the store and tells each fault as it is found; on demand it also proves everything by
 * the checksum database, and repairs what is bad. With go.sum files it answers for a project.
 */
import { Progress } from '../../lib/progress.ts';
import type { Store, VersionEntry } from '../../store/store.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { judgeFor } from '../judge.ts';
import { openForChanging } from '../open-store.ts';
import { openForReading, type ReadStore } from '../read-store.ts';
import { runningOn } from '../running.ts';
import { parseSelection, type Selection, selectModules } from '../selection.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from '../settings.ts';
import { type CheckedArtifact, StoreCheck, type StoreFault } from '../store-check.ts';
import { countArtifacts } from '../stored-count.ts';
import { type Awaited, VerifyProofs } from '../verify-proofs.ts';
import { type RepairOutcome, VerifyRepair } from '../verify-repair.ts';
import { verifyGoSums } from './verify-go-sum.ts';

export interface VerifyFlags extends FolderFlags {
  readonly json?: boolean;
  readonly againstSumdb?: boolean;
  readonly allowUnproven?: boolean;
  readonly repair?: boolean;
  readonly goSum?: readonly string[];
  readonly quick?: boolean;
}

/** Versions whose records are asked for ahead of the hashing. */
const askedAhead = 16;

interface Tally {
  versions: number;
  artifacts: number;
  bytes: number;
  faults: number;
  healed: number;
}

/** Rejects with CliError `failed` when there are faults, `usage`, `absent`, `interrupted`; ConfigError; StoreError. */
export async function verify(this: CliContext, flags: VerifyFlags, pattern?: string): Promise<void> {
  const selection = parseSelection(pattern);
  const goSum = flags.goSum ?? [];
  refuseCombinations(flags, goSum);
  const settings = await loadFolder(this, flags);
  const abort = new AbortController();
  const unlisten = this.onSignal('SIGINT', () => abort.abort(new CliError('interrupted', 'interrupted')));
  try {
    if (goSum.length > 0) await verifyGoSums(this, settings, { ...flags, goSum }, selection, abort.signal);
    else await verifyStore(this, settings, flags, selection, abort.signal, pattern === undefined);
  } finally {
    unlisten();
  }
}

function refuseCombinations(flags: VerifyFlags, goSum: readonly string[]): void {
  if (flags.quick === true && goSum.length === 0) {
    throw new CliError('usage', '--quick goes with --go-sum: without one hashing is all there is to do');
  }
  if (flags.repair === true && goSum.length > 0) {
    throw new CliError('usage', '--repair does not go with --go-sum; run modferry verify --repair by itself');
  }
  if (flags.allowUnproven === true && flags.againstSumdb !== true) {
    throw new CliError('usage', '--allow-unproven goes with --against-sumdb');
  }
}

async function verifyStore(
  context: CliContext,
  settings: FolderSettings,
  flags: VerifyFlags,
  selection: Selection,
  signal: AbortSignal,
  isWhole: boolean,
): Promise<void> {
  const { dataDir } = settings;
  const read = await openForReading(dataDir, context.clock);
  const isChanging = flags.againstSumdb === true || flags.repair === true;
  const store = isChanging ? await openForChanging(dataDir, context.clock) : undefined;
  const opened =
    flags.againstSumdb === true && store !== undefined ? await judgeFor(context, settings, store) : undefined;
  const zips = new ZipVerifier();
  const tally: Tally = { versions: 0, artifacts: 0, bytes: 0, faults: 0, healed: 0 };
  const progress = new Progress({
    output: context.stderr,
    clock: context.clock,
    label: 'verifying',
    unit: 'artifacts',
    total: isWhole ? await countArtifacts(read.layout) : undefined,
  });
  const proofs =
    opened === undefined || store === undefined ? undefined : new VerifyProofs(opened.judge, store, signal);
  const repair =
    flags.repair === true && store !== undefined
      ? new VerifyRepair(store, await runningOn(context, settings), context.clock)
      : undefined;
  try {
    const run = new Run(context, flags.json === true, { read, zips, proofs, repair, progress, tally });
    for await (const awaited of awaitedOf(read.store, selection, proofs)) {
      signal.throwIfAborted();
      await run.version(awaited);
    }
  } finally {
    progress.finish();
    await Promise.all([zips.close(), read.store.close(), opened?.close()]);
    await store?.close();
  }
  summarize(context, flags, tally, proofs);
  conclude(dataDir, flags, tally, proofs);
}

async function* awaitedOf(
  store: Pick<Store, 'versions'>,
  selection: Selection,
  proofs: VerifyProofs | undefined,
): AsyncGenerator<Awaited> {
  const entries = entriesOf(store, selection);
  if (proofs !== undefined) yield* proofs.ahead(entries, askedAhead);
  else for await (const entry of entries) yield { entry, expected: new Map() };
}

async function* entriesOf(
  store: Pick<Store, 'versions'>,
  selection: Selection,
): AsyncGenerator<VersionEntry> {
  for await (const { versions } of selectModules(store, selection)) yield* versions;
}

interface RunParts {
  readonly read: ReadStore;
  readonly zips: ZipVerifier;
  readonly proofs: VerifyProofs | undefined;
  readonly repair: VerifyRepair | undefined;
  readonly progress: Progress;
  readonly tally: Tally;
}

class Run {
  readonly #context: CliContext;
  readonly #isJson: boolean;
  readonly #parts: RunParts;
  readonly #check: StoreCheck;

  constructor(context: CliContext, isJson: boolean, parts: RunParts) {
    this.#context = context;
    this.#isJson = isJson;
    this.#parts = parts;
    this.#check = new StoreCheck(parts.read, parts.zips);
  }

  async version({ entry, expected }: Awaited): Promise<void> {
    const { proofs, repair, tally, progress } = this.#parts;
    tally.versions += 1;
    for await (const checked of this.#check.check(entry)) {
      const mismatch = await proofs?.judge(checked, expected);
      const faults = mismatch === undefined ? checked.faults : [...checked.faults, mismatch];
      tally.artifacts += 1;
      tally.bytes += checked.sizeBytes;
      tally.faults += faults.length;
      if (faults.length > 0) {
        const repaired = await repair?.repair(checked, faults);
        if (repaired?.outcome === 'healed') tally.healed += faults.length;
        this.#tell(checked, faults, repaired);
      }
      const found = tally.faults === 0 ? '' : `, ${plural(tally.faults, 'fault')}`;
      progress.advance(1, `${formatSize(tally.bytes)}${found}`);
    }
    await this.#context.stdout.drained();
  }

  #tell(checked: CheckedArtifact, faults: readonly StoreFault[], repaired: RepairOutcome | undefined): void {
    const { stdout } = this.#context;
    const { path, version, ext } = checked.key;
    this.#parts.progress.hide();
    for (const fault of faults) {
      if (this.#isJson)
        writeJsonLine(stdout, repaired === undefined ? fault : { ...fault, repair: repaired });
      else stdout.write(`${path}@${version} .${ext}: ${fault.detail}\n`);
    }
    if (!this.#isJson && repaired !== undefined) stdout.write(`  ${repairText(repaired)}\n`);
  }
}

function repairText(repaired: RepairOutcome): string {
  if (repaired.outcome === 'healed') return `healed: fetched again from ${repaired.source}`;
  if (repaired.outcome === 'left') return `left as it is: ${repaired.reason}`;
  return `in quarantine now; not fetched again yet: ${repaired.reason}`;
}

function summarize(
  context: CliContext,
  flags: VerifyFlags,
  { versions, artifacts, bytes, faults, healed }: Tally,
  proofs: VerifyProofs | undefined,
): void {
  if (flags.json === true) {
    const proven = proofs === undefined ? {} : countsOf(proofs);
    const repaired = flags.repair === true ? { healed } : {};
    writeJsonLine(context.stdout, { versions, artifacts, bytes, faults, ...proven, ...repaired });
    return;
  }
  const what = `${plural(artifacts, 'artifact')} of ${plural(versions, 'version')} (${formatSize(bytes)})`;
  const parts = [faults === 0 ? 'no faults' : plural(faults, 'fault')];
  if (healed > 0) parts.push(`${healed} healed`);
  if (proofs !== undefined) parts.push(`${proofs.proven} proven`, `${proofs.unproven} unproven`);
  if (proofs !== undefined && proofs.exempt > 0) parts.push(`${proofs.exempt} with checksums off`);
  context.stdout.write(`verified ${what}: ${parts.join(', ')}\n`);
  for (const [cause, count] of Object.entries(proofs?.causes ?? {})) {
    context.stdout.write(`  ${count} unproven: ${cause}\n`);
  }
}

function countsOf({ proven, unproven, exempt, causes }: VerifyProofs): object {
  return { proven, unproven, exempt, causes };
}

function conclude(dataDir: string, flags: VerifyFlags, tally: Tally, proofs: VerifyProofs | undefined): void {
  const { faults, healed } = tally;
  if (faults > healed) {
    const advice =
      flags.repair === true
        ? 'what is in quarantine is fetched again by the next request'
        : 'purge these versions so that they are fetched again, or use --repair';
    throw new CliError('failed', `${plural(faults, 'fault')} in ${dataDir}; ${advice}`);
  }
  if (proofs !== undefined && proofs.unproven > 0 && flags.allowUnproven !== true) {
    throw new CliError(
      'failed',
      `${plural(proofs.unproven, 'artifact')} could not be proven; --allow-unproven takes that for good`,
    );
  }
}
