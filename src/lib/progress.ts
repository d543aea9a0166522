/**
 * Progress of a long command: one line that is redrawn on a terminal, a plain line now and then elsewhere (a CI log
 * has no cursor). It draws only when told of an advance, so it needs no timer and holds no process open.
 */
import type { Clock } from './clock.ts';

/** Where it is drawn. */
export interface ProgressOutput {
  write(text: string): void;
  readonly isTty: boolean;
  /** Width in characters. */
  readonly columns: number;
}

export interface ProgressOptions {
  readonly output: ProgressOutput;
  readonly clock: Clock;
  /** Before the bar, e.g. `warming`. */
  readonly label: string;
  /** What is counted, e.g. `modules`. */
  readonly unit: string;
  /** Undefined when nobody knows: a count is shown instead of a bar. */
  readonly total: number | undefined;
  /** Between two drawings on a terminal. Default 100. */
  readonly redrawMs?: number;
  /** Between two plain lines elsewhere. Default 5 000. */
  readonly lineMs?: number;
}

const defaultRedrawMs = 100;
const defaultLineMs = 5_000;
const barWidth = 24;
const clearLine = '\r\u001b[K';

export class Progress {
  readonly #options: ProgressOptions;
  readonly #startedAtMs: number;
  #lastDrawnMs: number;
  #done = 0;
  #detail = '';
  #isDrawn = false;
  #isFinished = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonic();
    // The first redraw on a terminal comes at once, the first plain line after its interval.
    this.#lastDrawnMs = options.output.isTty ? Number.NEGATIVE_INFINITY : this.#startedAtMs;
  }

  /** Counts `by` more and may redraw. `detail` replaces what stands behind the numbers. */
  advance(by = 1, detail?: string): void {
    this.#done += by;
    if (detail !== undefined) this.#detail = detail;
    const { output, clock, redrawMs = defaultRedrawMs, lineMs = defaultLineMs } = this.#options;
    const now = clock.monotonic();
    if (this.#isFinished || now - this.#lastDrawnMs < (output.isTty ? redrawMs : lineMs)) return;
    this.#lastDrawnMs = now;
    this.#draw(now);
  }

  /** Writes a whole line above the bar. */
  note(line: string): void {
    this.hide();
    this.#options.output.write(`${line}\n`);
  }

  /** Takes the bar away until the next advance, so that another stream may write to the same terminal. */
  hide(): void {
    this.#clear();
    if (this.#options.output.isTty) this.#lastDrawnMs = Number.NEGATIVE_INFINITY;
  }

  /** Takes the bar away for good: the command's own last line follows. Idempotent. */
  finish(): void {
    this.#clear();
    this.#isFinished = true;
  }

  #clear(): void {
    if (this.#isDrawn) this.#options.output.write(clearLine);
    this.#isDrawn = false;
  }

  #draw(nowMs: number): void {
    const { output } = this.#options;
    const text = this.#text(nowMs);
    if (!output.isTty) {
      output.write(`${text}\n`);
      return;
    }
    // A line as wide as the terminal would wrap, and `\r` would no longer reach its start.
    const width = Math.max(10, output.columns - 1);
    output.write(`${clearLine}${text.length > width ? text.slice(0, width) : text}`);
    this.#isDrawn = true;
  }

  #text(nowMs: number): string {
    const { label, unit, total, output } = this.#options;
    const detail = this.#detail === '' ? '' : `, ${this.#detail}`;
    if (total === undefined || total <= 0) return `${label} ${this.#done} ${unit}${detail}`;
    const ratio = Math.min(1, this.#done / total);
    const percent = `${Math.floor(ratio * 100)}%`;
    const bar = output.isTty ? `${renderBar(ratio)} ` : '';
    return `${label} ${bar}${this.#done}/${total} ${unit} (${percent})${detail}${this.#remaining(ratio, nowMs)}`;
  }

  #remaining(ratio: number, nowMs: number): string {
    const spentMs = nowMs - this.#startedAtMs;
    // Before this an estimate jumps about more than it tells.
    if (ratio < 0.02 || ratio >= 1 || spentMs < 2_000) return '';
    return `, ${formatSeconds((spentMs / ratio - spentMs) / 1000)} left`;
  }
}

function renderBar(ratio: number): string {
  const filled = Math.round(ratio * barWidth);
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}m${whole % 60}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
