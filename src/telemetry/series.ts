/**
 * Counting while requests run: plain numbers under joined label values, no library. The library that writes them out
 * takes 80 ms and fifty files to load, which neither the start nor the first request shall pay.
 *
 * Nothing here is bounded by itself: label values come from closed sets or through `CappedNames`.
 */

/** One line of output. `suffix` is a histogram's: `_bucket`, `_sum`, `_count`. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly suffix?: '_bucket' | '_sum' | '_count';
}

/**
 * Cells by label values. Maps in maps: label values are strings whose hash is known, while one joined of several would
 * be hashed anew at each request.
 */
class Cells<Cell> {
  readonly #root = new Map<string, unknown>();
  readonly #all: Cell[] = [];
  readonly #make: (values: readonly string[]) => Cell;

  constructor(make: (values: readonly string[]) => Cell) {
    this.#make = make;
  }

  /** In the order of their first use. */
  get all(): readonly Cell[] {
    return this.#all;
  }

  /** The one of these values, as many as there are labels, made when there is none. */
  at(values: readonly string[]): Cell {
    let level = this.#root;
    const last = values.length - 1;
    for (let index = 0; index < last; index += 1) {
      const value = values[index] ?? '';
      let next = level.get(value) as Map<string, unknown> | undefined;
      if (next === undefined) {
        next = new Map();
        level.set(value, next);
      }
      level = next;
    }
    const value = values[last] ?? '';
    let cell = level.get(value) as Cell | undefined;
    if (cell === undefined) {
      cell = this.#make([...values]);
      level.set(value, cell);
      this.#all.push(cell);
    }
    return cell;
  }
}

/** A counter with labels. */
export class Tally<Label extends string> {
  readonly #labels: readonly Label[];
  readonly #cells = new Cells((values) => ({ values, count: 0 }));

  constructor(...labels: Label[]) {
    this.#labels = labels;
  }

  /** `values` in the order of the labels. `by` 0 makes the series visible: a rate needs to see it start. */
  add(values: readonly string[], by = 1): void {
    this.#cells.at(values).count += by;
  }

  samples(): Sample[] {
    return this.#cells.all.map(({ values, count }) => ({
      labels: labelled(this.#labels, values),
      value: count,
    }));
  }
}

interface Spread {
  readonly values: readonly string[];
  /** One a bound, not added up; what is above the last one is only in `count`. */
  readonly counts: number[];
  count: number;
  sum: number;
}

/** A histogram with labels. */
export class Distribution<Label extends string> {
  readonly #labels: readonly Label[];
  readonly #bounds: readonly number[];
  readonly #cells: Cells<Spread>;

  /** `bounds`: upper ends of the buckets, ascending, in the metric's unit. */
  constructor(bounds: readonly number[], ...labels: Label[]) {
    this.#bounds = bounds;
    this.#labels = labels;
    this.#cells = new Cells((values) => ({ values, counts: bounds.map(() => 0), count: 0, sum: 0 }));
  }

  /** What is no finite number is left out: one of them would spoil the sum for ever. */
  observe(values: readonly string[], value: number): void {
    if (!Number.isFinite(value)) return;
    const cell = this.#cells.at(values);
    cell.count += 1;
    cell.sum += value;
    const bounds = this.#bounds;
    for (let index = 0; index < bounds.length; index += 1) {
      if (value <= (bounds[index] ?? 0)) {
        cell.counts[index] = (cell.counts[index] ?? 0) + 1;
        return;
      }
    }
  }

  samples(): Sample[] {
    return this.#cells.all.flatMap((cell) => {
      const labels = labelled(this.#labels, cell.values);
      let below = 0;
      const buckets = this.#bounds.map((bound, index): Sample => {
        below += cell.counts[index] ?? 0;
        return { labels: { ...labels, le: String(bound) }, value: below, suffix: '_bucket' };
      });
      return [
        ...buckets,
        { labels: { ...labels, le: '+Inf' }, value: cell.count, suffix: '_bucket' },
        { labels, value: cell.sum, suffix: '_sum' },
        { labels, value: cell.count, suffix: '_count' },
      ];
    });
  }
}

/** Names that come from configuration: the first so many, `other` for the rest. */
export class CappedNames {
  readonly #max: number;
  readonly #names = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The name itself, or `other`. */
  labelOf(name: string): string {
    if (this.#names.has(name)) return name;
    if (this.#names.size >= this.#max) return 'other';
    this.#names.add(name);
    return name;
  }
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}
