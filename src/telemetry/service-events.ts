/** Events of the history that the service tells itself: orders of operators, reloads, its start and stop. */
import type { Controls } from '../health/types.ts';
import { formatDuration } from '../lib/duration.ts';
import type { NewEvent, Severity } from './history-types.ts';

/** What changed between two states of the orders; none when nothing did. `nowMs`: wall clock. */
export function controlEvents(before: Controls, after: Controls, nowMs: number): NewEvent[] {
  return [
    ...modeEvents(before, after, nowMs),
    ...after.takenOut
      .filter((name) => !before.takenOut.includes(name))
      .map((name) => control('warning', `${name} was taken out by hand`, name)),
    ...before.takenOut
      .filter((name) => !after.takenOut.includes(name))
      .map((name) => control('info', `${name} was put in again by hand`, name)),
    ...pinEvents(before, after),
    ...freezeEvents(before, after),
  ];
}

export function reloadedEvent(revision: number): NewEvent {
  return {
    kind: 'reload',
    severity: 'info',
    message: `configuration ${revision} is in force`,
    data: { revision },
  };
}

/** `reason`: every fault, without secrets. */
export function reloadRefusedEvent(reason: string): NewEvent {
  return {
    kind: 'reload',
    severity: 'error',
    message: `a configuration was refused, the old one goes on: ${reason}`,
    data: { reason },
  };
}

export function startedEvent(version: string, upstreamNames: readonly string[]): NewEvent {
  const names = upstreamNames.length === 0 ? 'none' : upstreamNames.join(', ');
  return {
    kind: 'start',
    severity: 'info',
    message: `modferry ${version} started; upstreams: ${names}`,
    data: { version, upstreams: upstreamNames.length },
  };
}

/** `url`: of the repository, without credentials. `paths`: modules that were found there. */
export function movedTagEvent(moved: {
  readonly url: string;
  readonly tag: string;
  readonly from: string;
  readonly to: string;
  readonly paths: readonly string[];
}): NewEvent {
  const { url, tag, from, to, paths } = moved;
  return {
    kind: 'moved_tag',
    severity: 'warning',
    upstream: 'direct',
    module: paths[0],
    message: `tag ${tag} of ${url} was moved from ${from.slice(0, 12)} to ${to.slice(0, 12)}: what is stored stays as it is`,
    data: { url, tag, from, to, modules: paths.length },
  };
}

export function stoppedEvent(): NewEvent {
  return { kind: 'stop', severity: 'info', message: 'modferry stopped' };
}

function modeEvents(before: Controls, after: Controls, nowMs: number): NewEvent[] {
  if (before.mode === after.mode && before.modeUntilMs === after.modeUntilMs) return [];
  const { mode, modeUntilMs } = after;
  const isOver = mode === 'normal' && before.modeUntilMs !== undefined && before.modeUntilMs <= nowMs;
  const end =
    modeUntilMs === undefined
      ? ''
      : ` for ${formatDuration(Math.max(1, Math.round((modeUntilMs - nowMs) / 1000)) * 1000)}`;
  return [
    {
      kind: 'mode',
      severity: mode === 'normal' ? 'info' : 'warning',
      message: isOver
        ? `the mode is ${mode} again: the time of ${before.mode} is over`
        : `the mode is ${mode}${end}, was ${before.mode}`,
      data: { from: before.mode, to: mode, untilMs: modeUntilMs ?? null },
    },
  ];
}

function pinEvents(before: Controls, after: Controls): NewEvent[] {
  if (before.pinned === after.pinned) return [];
  if (after.pinned !== undefined)
    return [control('info', `${after.pinned} was pinned by hand`, after.pinned)];
  return [control('info', `${before.pinned ?? ''} is no longer pinned`, before.pinned)];
}

function freezeEvents(before: Controls, after: Controls): NewEvent[] {
  if (before.isFrozen === after.isFrozen) return [];
  return [
    after.isFrozen
      ? control('warning', 'the order of the upstreams was frozen by hand')
      : control('info', 'the order of the upstreams follows their health again'),
  ];
}

function control(severity: Severity, message: string, upstream?: string): NewEvent {
  return { kind: 'control', severity, upstream, message };
}
