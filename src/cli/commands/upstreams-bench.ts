/** `modferry upstreams bench`: measures mirrors, ranks them, and says what to write down. */
import { Progress } from '../../lib/progress.ts';
import { buildUpstreamSet, type UpstreamSet } from '../../service/upstream-set.ts';
import { mirrorsOf, parseMirrors, parseModules } from '../bench/bench-settings.ts';
import type { BenchModule, Sample } from '../bench/bench-types.ts';
import { rankMirrors } from '../bench/ranking.ts';
import { recommend } from '../bench/recommendation.ts';
import { reportJson } from '../bench/report-json.ts';
import { reportText } from '../bench/report-text.ts';
import { type BenchPlan, countTasks, runBench } from '../bench/run-bench.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural, writeJsonLine } from '../format.ts';
import { readVersion } from '../package-version.ts';
import { type FolderSettings, loadFolder, localUrlOf } from '../settings.ts';

export interface BenchFlags {
  readonly module?: readonly string[];
  readonly rounds?: number;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly concurrency?: number;
  readonly json?: boolean;
  readonly config?: string;
  readonly data?: string;
}

const defaultRounds = 3;
const defaultTimeoutMs = 30_000;
/** So many samples are kept in memory without care. */
const maxRequests = 100_000;

/**
 * Rejects with CliError: `usage` (arguments, nothing to measure), `failed` when no mirror is usable, `interrupted`
 * with what is known told; and with ConfigError.
 */
export async function upstreamsBench(
  this: CliContext,
  flags: BenchFlags,
  ...lists: readonly string[]
): Promise<void> {
  const modules = parseModules(flags.module ?? []);
  const settings = await loadFolder(this, flags);
  const { version, set } = await findMirrors(this, settings, lists);
  try {
    if (lists.length === 0) for (const warning of set.warnings) this.stderr.write(`modferry: ${warning}\n`);
    const plan = planOf(flags, modules, set);
    for (const module of modules) tellPrivate(this, module, plan);
    const { samples, isComplete } = await measure(this, plan, version);
    report(this, { plan, samples, isComplete, settings, isJson: flags.json === true });
  } finally {
    await set.close();
  }
}

async function findMirrors(
  context: CliContext,
  { loaded: { config }, dataDir }: FolderSettings,
  lists: readonly string[],
): Promise<{ version: string; set: UpstreamSet }> {
  const version = await readVersion();
  const upstreams = lists.length === 0 ? config.upstreams : parseMirrors(lists, config.upstreams);
  const set = await buildUpstreamSet({
    config: { ...config, upstreams },
    env: context.env,
    instanceId: 'bench',
    version,
    dataDir,
    ownAddresses: config.listen.map(({ host, port }) => ({ host, port, pathPrefix: config.pathPrefix })),
    isReadOnly: true,
  });
  return { version, set };
}

/** Throws CliError `usage` when there is nothing, or too much, to ask. */
function planOf(flags: BenchFlags, modules: readonly BenchModule[], set: UpstreamSet): BenchPlan {
  const mirrors = mirrorsOf(set.members);
  if (mirrors.length === 0) {
    throw new CliError(
      'usage',
      'there is no mirror to measure; name one: modferry upstreams bench https://goproxy.cn',
    );
  }
  const plan: BenchPlan = {
    mirrors,
    modules,
    rounds: flags.rounds ?? defaultRounds,
    concurrency: flags.concurrency ?? 1,
    timeoutMs: flags.timeout ?? defaultTimeoutMs,
    isKeptFrom: ({ path }, { isPrivate }) => !isPrivate && set.isPrivate(path),
  };
  const requests = countTasks(plan);
  if (requests > maxRequests) {
    throw new CliError(
      'usage',
      `that would be ${requests} requests, more than ${maxRequests}; take fewer rounds`,
    );
  }
  if (requests === 0) {
    throw new CliError(
      'usage',
      'all of these modules are private, and none of the mirrors is declared private; name a public module',
    );
  }
  return plan;
}

function tellPrivate(context: CliContext, module: BenchModule, { mirrors, isKeptFrom }: BenchPlan): void {
  const kept = mirrors.filter((mirror) => isKeptFrom(module, mirror)).length;
  if (kept === 0) return;
  const text = `${module.path} is private: ${plural(kept, 'mirror')} not declared private will not hear of it`;
  context.stderr.write(`modferry: ${text}\n`);
}

async function measure(
  context: CliContext,
  plan: BenchPlan,
  version: string,
): Promise<{ samples: Sample[]; isComplete: boolean }> {
  const { clock, stderr } = context;
  const abort = new AbortController();
  const unlisten = context.onSignal('SIGINT', () => abort.abort(new Error('interrupted')));
  const total = countTasks(plan);
  const progress = new Progress({ output: stderr, clock, label: 'measuring', unit: 'requests', total });
  const samples: Sample[] = [];
  let failures = 0;
  try {
    await runBench(plan, {
      clock,
      version,
      signal: abort.signal,
      onSample: (sample) => {
        samples.push(sample);
        if (sample.fault !== null) failures += 1;
        progress.advance(1, failures === 0 ? sample.mirror : `${sample.mirror}, ${failures} failed`);
      },
    });
  } finally {
    progress.finish();
    unlisten();
  }
  return { samples, isComplete: samples.length === total };
}

interface Outcome {
  readonly plan: BenchPlan;
  readonly samples: readonly Sample[];
  readonly isComplete: boolean;
  readonly settings: FolderSettings;
  readonly isJson: boolean;
}

function report(context: CliContext, { plan, samples, isComplete, settings, isJson }: Outcome): void {
  const ranking = rankMirrors(plan.mirrors, plan.modules, samples);
  const recommended = recommend(ranking.mirrors);
  const own = localUrlOf(settings.loaded.config);
  if (isJson) {
    writeJsonLine(context.stdout, reportJson({ ranking, recommended, samples, isComplete }));
  } else if (samples.length > 0) {
    context.stdout.write(reportText({ ranking, recommended, ownUrl: 'url' in own ? own.url : undefined }));
  }
  if (!isComplete) {
    const text = `interrupted; the figures are of ${samples.length} of ${countTasks(plan)} requests`;
    throw new CliError('interrupted', text);
  }
  if (recommended.goproxy === null) {
    throw new CliError('failed', 'none of these mirrors is usable; the errors above say why');
  }
}
