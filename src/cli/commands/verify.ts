/**
 * `modferry verify`: re-hashes the store and tells each fault as it is found; on demand it also proves everything by
 * the checksum database, and repairs what is bad. With go.sum files it answers for a project.
 */
import { EventBus } from '../../lib/event-bus.ts';
import { Progress } from '../../lib/progress.ts';
import { ArtifactCheck } from '../../scrub/artifact-check.ts';
import { FileHasher } from '../../scrub/file-hasher.ts';
import { Pace } from '../../scrub/pace.ts';
import { Repair } from '../../scrub/repair.ts';
import { type Remedy, type Treated, Treatment } from '../../scrub/treatment.ts';
import type { Store, VersionEntry } from '../../store/store.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { healByOrder } from '../heal-by-order.ts';
import { judgeFor } from '../judge.ts';
import { JudgeAhead } from '../judge-ahead.ts';
import { openForChanging } from '../open-store.ts';
import { openForReading } from '../read-store.ts';
import { runningOn } from '../running.ts';
import { parseSelection, type Selection, selectModules } from '../selection.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from '../settings.ts';
import { faultsOf } from '../store-faults.ts';
import { countArtifacts } from '../stored-count.ts';
import { VerifyTally } from '../verify-tally.ts';
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
  const { clock } = context;
  const isProving = flags.againstSumdb === true;
  const isRepairing = flags.repair === true;
  const isUnprovenAllowed = flags.allowUnproven === true;
  const read = await openForReading(dataDir, clock);
  const changing = isProving || isRepairing ? await openForChanging(settings, clock) : undefined;
  const store = changing ?? read.store;
  const opened = isProving ? await judgeFor(context, settings, store) : undefined;
  const judge = opened === undefined ? undefined : new JudgeAhead(opened.judge, signal);
  const heal = isRepairing ? healByOrder(await runningOn(context, settings)) : undefined;
  const zips = new ZipVerifier();
  const hasher = new FileHasher({ isForeground: true });
  const paths = read.layout;
  const tally = new VerifyTally({ isProving, isRepairing, isUnprovenAllowed });
  const progress = new Progress({
    output: context.stderr,
    clock,
    label: 'verifying',
    unit: 'artifacts',
    total: isWhole ? await countArtifacts(paths) : undefined,
  });
  const unlimited = new Pace(clock, 0);
  const treatment = new Treatment(
    {
      store,
      check: new ArtifactCheck({ store: read.store, paths, hasher, zips }),
      repair: new Repair({ store, clock, heal }),
      judge,
      events: new EventBus(),
    },
    {
      deep: true,
      against: 'sumdb',
      isRepairing,
      signal,
      pace: () => unlimited,
      lookups: unlimited,
      onTreated: (treated) => {
        tally.add(treated);
        tell(context, progress, flags, treated);
        const found = tally.faults === 0 ? '' : `, ${plural(tally.faults, 'fault')}`;
        progress.advance(1, `${formatSize(tally.bytes)}${found}`);
      },
    },
  );
  try {
    const entries = entriesOf(read.store, selection);
    for await (const entry of judge?.ahead(entries, askedAhead) ?? entries) {
      signal.throwIfAborted();
      tally.versions += 1;
      await treatment.version(entry);
      await context.stdout.drained();
    }
  } finally {
    progress.finish();
    await Promise.all([zips.close(), hasher.close(), read.store.close(), opened?.close()]);
    await changing?.close();
  }
  if (flags.json === true) writeJsonLine(context.stdout, tally.json);
  else context.stdout.write(tally.text);
  tally.conclude(dataDir);
}

async function* entriesOf(
  store: Pick<Store, 'versions'>,
  selection: Selection,
): AsyncGenerator<VersionEntry> {
  for await (const { versions } of selectModules(store, selection)) yield* versions;
}

function tell(
  { stdout }: CliContext,
  progress: Progress,
  { json: isJson = false, repair: isRepairing = false }: VerifyFlags,
  treated: Treated,
): void {
  const faults = faultsOf(treated);
  if (faults.length === 0) return;
  const { path, version, ext } = treated.key;
  const outcome = isRepairing ? outcomeOf(treated.remedy) : undefined;
  progress.hide();
  for (const fault of faults) {
    if (isJson) writeJsonLine(stdout, outcome === undefined ? fault : { ...fault, repair: outcome });
    else stdout.write(`${path}@${version} .${ext}: ${fault.detail}\n`);
  }
  if (!isJson && outcome !== undefined) stdout.write(`  ${repairText(outcome)}\n`);
}

type RepairOutcome =
  | { readonly outcome: 'healed'; readonly source: string }
  | { readonly outcome: 'renewed' }
  | { readonly outcome: 'withdrawn' | 'left'; readonly reason: string };

function outcomeOf(remedy: Remedy | undefined): RepairOutcome {
  // A rule of Go that is younger than the file.
  if (remedy === undefined)
    return { outcome: 'left', reason: 'its bytes were verified when it was published' };
  if (remedy.outcome !== 'quarantined') return remedy;
  return { outcome: 'withdrawn', reason: remedy.reason };
}

function repairText(repaired: RepairOutcome): string {
  if (repaired.outcome === 'healed') return `healed: fetched again from ${repaired.source}`;
  if (repaired.outcome === 'renewed') return 'recorded anew: its content is what was published';
  if (repaired.outcome === 'left') return `left as it is: ${repaired.reason}`;
  return `in quarantine now; not fetched again yet: ${repaired.reason}`;
}
