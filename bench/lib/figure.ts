/** What a scenario hands back, and how it reads: one row of a table per figure. */

export interface Figure {
  /** What was measured, e.g. `warm download / nginx`. */
  readonly name: string;
  /** The measured value that the target speaks of; a ratio unless `unit` says otherwise. */
  readonly value: number;
  /** Default `×`. */
  readonly unit?: '×' | 's' | 'MiB' | '';
  /** The value must be at most or at least this. Undefined: shown for orientation only. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number };
  /** The absolute values behind it, for people. */
  readonly detail: string;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly rounds: number;
  readonly figures: readonly Figure[];
}

/** True when there is no target. NaN meets none. */
export function meets(figure: Figure): boolean {
  if (figure.target === undefined) return true;
  return 'atMost' in figure.target
    ? figure.value <= figure.target.atMost
    : figure.value >= figure.target.atLeast;
}

/** `1.04 ×`, `182 MiB`, `1`. */
export function valueText(figure: Figure): string {
  const { unit = '×', value } = figure;
  const digits = unit === 'MiB' || unit === '' ? 0 : unit === 's' ? 3 : 2;
  return `${value.toFixed(digits)} ${unit}`.trim();
}

export function targetText(figure: Figure): string {
  if (figure.target === undefined) return '–';
  return 'atMost' in figure.target ? `≤ ${figure.target.atMost}` : `≥ ${figure.target.atLeast}`;
}
