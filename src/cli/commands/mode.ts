/**
 * `modferry mode`: shows or sets what modferry may do: normal, offline (nothing is asked of anybody), or direct
 * (repositories are asked instead of upstreams).
 */
import { formatDuration } from '../../lib/duration.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';
import { type ControlsAnswer, orderControl } from '../upstream-control.ts';

export const modeWords = ['normal', 'offline', 'direct'] as const;
export type ModeWord = (typeof modeWords)[number];

export interface ModeFlags extends FolderFlags {
  readonly json?: boolean;
  /** Milliseconds. */
  readonly for?: number;
}

/** Rejects with CliError `usage` (a time without a mode), `failed` when the process refuses. */
export async function mode(this: CliContext, flags: ModeFlags, word?: ModeWord): Promise<void> {
  if (flags.for !== undefined && (word === undefined || word === 'normal')) {
    throw new CliError('usage', '--for goes with a mode that ends, e.g. modferry mode offline --for 30m');
  }
  const running = await findRunning(this, flags);
  const order = word === undefined ? undefined : { action: 'mode', mode: word, forMs: flags.for };
  const { controls, isRunning } = await orderControl(this, running, order);
  if (flags.json === true) writeJsonLine(this.stdout, controls);
  else
    this.stdout.write(
      `${sentence(controls, this.clock.now())}${isRunning ? '' : ' (no modferry is running)'}\n`,
    );
}

function sentence({ mode: now, modeUntilMs }: ControlsAnswer, nowMs: number): string {
  const meanings = {
    normal: '',
    offline: ': only what is stored is served, nobody is asked',
    direct: ': what is not stored comes from repositories, upstreams are not asked for modules',
  };
  const meaning = meanings[now];
  const until =
    modeUntilMs === undefined || modeUntilMs === null
      ? ''
      : ` for ${formatDuration(Math.max(1000, Math.round((modeUntilMs - nowMs) / 1000) * 1000))} more`;
  return `mode ${now}${until}${meaning}`;
}
