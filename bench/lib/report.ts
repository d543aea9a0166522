/**
 * The figures as a Markdown table, and their place in bench/README.md: a block between two markers that the harness
 * rewrites and people do not. Rows of scenarios that were not run this time stay as they are.
 */
import { BenchError } from './bench-error.ts';
import { type Figure, meets, type ScenarioResult, targetText, valueText } from './figure.ts';

export const begin = '<!-- figures: begin (written by `node bench/run.ts --write`) -->';
export const end = '<!-- figures: end -->';

const head = [
  '| scenario | figure | measured | target | | behind it | run |',
  '| --- | --- | --- | --- | --- | --- | --- |',
];

export interface RunFacts {
  /** `2026-01-31`. */
  readonly date: string;
  /** Share of the machine's processors that others used just before, 0 … 1. */
  readonly otherLoad: number;
  /** Where temporary files were, if not in the usual place. */
  readonly tmpDir?: string | undefined;
}

/** One table row per figure. */
export function rows(result: ScenarioResult, facts: RunFacts): string[] {
  const place = facts.tmpDir === undefined ? '' : `, TMPDIR=${facts.tmpDir}`;
  const run = `${facts.date}, ${result.rounds} rounds, others ${Math.round(facts.otherLoad * 100)} % busy${place}`;
  return result.figures.map((figure) => {
    const cells = [
      result.scenario,
      figure.name,
      valueText(figure),
      targetText(figure),
      mark(figure),
      figure.detail,
      run,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
}

function mark(figure: Figure): string {
  if (figure.target === undefined) return '';
  return meets(figure) ? 'reached' : '**missed**';
}

export function table(tableRows: readonly string[]): string {
  return [...head, ...tableRows].join('\n');
}

/**
 * The document with new rows for the scenarios in `fresh` (name → rows) and the old ones for all others, in the order
 * of `order`. Throws BenchError `no_markers` when the block is not there.
 */
export function rewrite(
  document: string,
  fresh: ReadonlyMap<string, readonly string[]>,
  order: readonly string[],
): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) {
    throw new BenchError('no_markers', `put the lines "${begin}" and "${end}" where the figures belong`);
  }
  const old = document
    .slice(from + begin.length, to)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !head.includes(line));
  const kept = (name: string): string[] => old.filter((line) => line.startsWith(`| ${name} |`));
  const all = order.flatMap((name) => fresh.get(name) ?? kept(name));
  return `${document.slice(0, from + begin.length)}\n\n${table(all)}\n\n${document.slice(to)}`;
}
