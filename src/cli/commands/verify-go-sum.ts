/** `modferry verify --go-sum`: is everything that a project's go.sum names in the store, and is it right? */
import { goSumLineText } from '../../gomod/go-sum.ts';
import { Progress } from '../../lib/progress.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { CliError } from '../cli-error.ts';
import { forEachConcurrently } from '../concurrent.ts';
import type { CliContext } from '../context.ts';
import { plural, writeJsonLine } from '../format.ts';
import { GoSumCheck, type GoSumQuestion, type GoSumVerdict } from '../go-sum-check.ts';
import { type GoSumFile, readGoSums } from '../go-sum-files.ts';
import { judgeFor } from '../judge.ts';
import { openForReading } from '../read-store.ts';
import type { Selection } from '../selection.ts';
import type { FolderSettings } from '../settings.ts';

export interface VerifyGoSumFlags {
  readonly json?: boolean;
  readonly againstSumdb?: boolean;
  readonly allowUnproven?: boolean;
  readonly goSum: readonly string[];
  readonly quick?: boolean;
}

const hands = 4;

/** Rejects with CliError: `failed` unless all is present and equal, `usage`, `absent`; StoreError. */
export async function verifyGoSums(
  context: CliContext,
  settings: FolderSettings,
  flags: VerifyGoSumFlags,
  selection: Selection,
  signal: AbortSignal,
): Promise<void> {
  const files = await readGoSums(context, flags.goSum);
  const questions = questionsOf(files, selection);
  const { store, layout } = await openForReading(settings.dataDir, context.clock);
  const opened = flags.againstSumdb === true ? await judgeFor(context, settings, store) : undefined;
  const zips = new ZipVerifier({ threads: 2 });
  const progress = new Progress({
    output: context.stderr,
    clock: context.clock,
    label: 'verifying',
    unit: 'lines',
    total: questions.length,
  });
  const verdicts: GoSumVerdict[] = [];
  try {
    const isQuick = flags.quick === true;
    const check = new GoSumCheck({ store, layout, zips, judge: opened?.judge, isQuick, signal });
    await forEachConcurrently(each(questions), hands, async (question) => {
      const verdict = await check.check(question);
      verdicts.push(verdict);
      progress.advance();
    });
  } finally {
    progress.finish();
    await Promise.all([zips.close(), store.close(), opened?.close()]);
  }
  report(context, flags, files, verdicts);
}

/** One for each line; files that share a line ask once. */
function questionsOf(files: readonly GoSumFile[], selection: Selection): GoSumQuestion[] {
  const questions = new Map<string, GoSumQuestion>();
  for (const { name, lines } of files) {
    for (const line of lines) {
      if (!selection.matches({ ...line, artifacts: {} })) continue;
      const text = goSumLineText(line);
      if (!questions.has(text)) questions.set(text, { line, place: `${name}:${line.lineNumber}` });
    }
  }
  return [...questions.values()];
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  for (const item of items) yield await Promise.resolve(item);
}

function report(
  context: CliContext,
  flags: VerifyGoSumFlags,
  files: readonly GoSumFile[],
  verdicts: readonly GoSumVerdict[],
): void {
  const missing = verdicts.filter(({ verdict }) => verdict === 'missing').sort(byPlace);
  const mismatched = verdicts.filter(({ verdict }) => verdict === 'mismatched').sort(byPlace);
  const present = verdicts.filter(({ verdict }) => verdict === 'present');
  const unproven = present.filter((verdict) => verdict.unproven !== undefined).sort(byPlace);
  const junk = files.flatMap(({ name, faults }) => faults.map((fault) => ({ file: name, ...fault })));
  const junkCount = files.reduce((sum, { faultCount }) => sum + faultCount, 0);
  const isProven = flags.againstSumdb !== true || flags.allowUnproven === true || unproven.length === 0;
  const isOk = missing.length === 0 && mismatched.length === 0 && junkCount === 0 && isProven;
  const modules = new Set(verdicts.map(({ question: { line } }) => `${line.path}@${line.version}`)).size;
  if (flags.json === true) {
    writeJsonLine(context.stdout, {
      ok: isOk,
      modules,
      checked: verdicts.length,
      present: present.length,
      missing: missing.map(jsonOf),
      mismatched: mismatched.map(jsonOf),
      unproven: unproven.map(jsonOf),
      junk,
      junkCount,
    });
  } else {
    for (const { file, lineNumber, text, reason } of junk) {
      context.stdout.write(`junk     ${file}:${lineNumber}: ${reason}${text === '' ? '' : `: ${text}`}\n`);
    }
    for (const verdict of missing) context.stdout.write(`missing  ${nameOf(verdict)}\n`);
    for (const verdict of mismatched)
      context.stdout.write(`MISMATCH ${nameOf(verdict)}: ${verdict.detail ?? ''}\n`);
    if (!isProven) {
      for (const verdict of unproven)
        context.stdout.write(`unproven ${nameOf(verdict)}: ${verdict.unproven}\n`);
    }
    const troubles = [
      [missing.length, 'missing'],
      [mismatched.length, 'mismatched'],
      [junkCount, 'junk'],
      [isProven ? 0 : unproven.length, 'unproven'],
    ] as const;
    const told = troubles.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
    const lines = plural(verdicts.length, 'line');
    context.stdout.write(
      isOk
        ? `${plural(modules, 'module')}, all present, verified\n`
        : `${plural(modules, 'module')}, ${lines}: ${present.length} present, ${told.join(', ')}\n`,
    );
  }
  if (!isOk)
    throw new CliError('failed', 'the store does not have all that these go.sum files name, as they name it');
}

function byPlace(one: GoSumVerdict, other: GoSumVerdict): number {
  return one.question.line.lineNumber - other.question.line.lineNumber;
}

function nameOf({ question: { line, place } }: GoSumVerdict): string {
  return `${line.path}@${line.version} .${line.ext} (${place})`;
}

function jsonOf({ question: { line, place }, found, detail, unproven }: GoSumVerdict): object {
  const { path, version, ext, h1 } = line;
  const why = unproven ?? detail;
  return {
    module: path,
    version,
    artifact: ext,
    place,
    expected: h1,
    ...(found === undefined ? {} : { found }),
    ...(why === undefined ? {} : { reason: why }),
  };
}
