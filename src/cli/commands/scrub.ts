/** `modferry scrub status|start|stop`: the background check of the running modferry. */
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';

export interface ScrubFlags extends FolderFlags {
  readonly json?: boolean;
}

export type ScrubAction = 'status' | 'start' | 'stop';

/** The command of one action. It rejects with CliError `unavailable` when no modferry runs, `failed` when it refuses. */
export function scrubCommand(action: ScrubAction): (this: CliContext, flags: ScrubFlags) => Promise<void> {
  return async function (flags) {
    const running = await findRunning(this, flags);
    const status =
      action === 'status'
        ? await running.ask('GET', '/scrub')
        : await running.ask('POST', '/scrub', { action });
    if (flags.json === true) writeJsonLine(this.stdout, status);
    else this.stdout.write(`${scrubText(status)}\n`);
  };
}

/** The answer of the admin action `scrub` in words. Fields that are missing are left out. */
export function scrubText(status: Readonly<Record<string, unknown>>): string {
  const { state, nextAt, holder, last } = status;
  const now = countsText(status);
  const by = typeof holder === 'string' ? ` by ${holder}` : '';
  const lines = [
    `scrub ${typeof state === 'string' ? state : 'unknown'}${by}${now === '' ? '' : `: ${now}`}`,
  ];
  if (typeof last === 'object' && last !== null) {
    const facts: Readonly<Record<string, unknown>> = { ...last };
    lines.push(`last pass ended ${shortTime(facts['finishedAt']) ?? 'some time ago'}: ${countsText(facts)}`);
  }
  const next = shortTime(nextAt);
  if (next !== undefined) lines.push(`next pass ${next}`);
  return lines.join('\n');
}

/** What is worth telling when it is 0 too, and what is not. */
const always = ['rotten'];
const ifAny = ['mismatched', 'healed', 'quarantined', 'renewed', 'unreadable', 'proven', 'unproven'];

function countsText(counts: Readonly<Record<string, unknown>>): string {
  const { artifacts, bytes } = counts;
  const parts: string[] = [];
  if (typeof artifacts === 'number') parts.push(plural(artifacts, 'artifact'));
  if (typeof bytes === 'number') parts.push(formatSize(bytes));
  for (const name of [...always, ...ifAny]) {
    const count = counts[name];
    if (typeof count === 'number' && (count > 0 || always.includes(name))) parts.push(`${count} ${name}`);
  }
  return parts.join(', ');
}

function shortTime(value: unknown): string | undefined {
  return typeof value === 'string' ? value.replace(/\.\d+Z$/, 'Z') : undefined;
}
