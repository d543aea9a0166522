/** What operators ordered, as pure functions: each gives new controls and leaves those it was given alone. */
import { type Controls, type Mode, noControls } from './types.ts';

const maxTakenOut = 100;
const maxNameLength = 500;

/**
 * Controls from a file or another process, which may hold anything: what is not understood counts as not ordered.
 * Never throws. A mode whose time is over at `nowMs` (wall clock) is `normal`.
 */
export function parseControls(value: unknown, nowMs: number): Controls {
  if (typeof value !== 'object' || value === null) return noControls;
  const { mode, modeUntilMs, takenOut, pinned, isFrozen } = value as {
    readonly [Key in keyof Controls]?: unknown;
  };
  const names = Array.isArray(takenOut) ? takenOut.filter(isName) : [];
  return activeControls(
    {
      mode: mode === 'offline' || mode === 'direct' ? mode : 'normal',
      modeUntilMs: typeof modeUntilMs === 'number' && Number.isFinite(modeUntilMs) ? modeUntilMs : undefined,
      takenOut: [...new Set(names)].slice(0, maxTakenOut),
      pinned: isName(pinned) && !names.includes(pinned) ? pinned : undefined,
      isFrozen: isFrozen === true,
    },
    nowMs,
  );
}

/** The same controls, but for a mode whose time is over at `nowMs` (wall clock): that is `normal` again. */
export function activeControls(controls: Controls, nowMs: number): Controls {
  const { mode, modeUntilMs } = controls;
  const isOver = modeUntilMs !== undefined && modeUntilMs <= nowMs;
  if (!isOver && (mode !== 'normal' || modeUntilMs === undefined)) return controls;
  return { ...controls, mode: 'normal', modeUntilMs: undefined };
}

/** `untilMs`: wall clock; undefined: until the next order. `normal` has no end. */
export function withMode(controls: Controls, mode: Mode, untilMs: number | undefined): Controls {
  return { ...controls, mode, modeUntilMs: mode === 'normal' ? undefined : untilMs };
}

/**
 * Never asked until it is put in again; a pin on it ends. Of more than 100 the oldest is forgotten: no list of
 * upstreams is that long, so that can only be a name of the past.
 */
export function takeOut(controls: Controls, name: string): Controls {
  const others = controls.takenOut.filter((other) => other !== name);
  return {
    ...controls,
    takenOut: [...others, name].slice(-maxTakenOut),
    pinned: controls.pinned === name ? undefined : controls.pinned,
  };
}

/** Asked again as its health allows. */
export function putIn(controls: Controls, name: string): Controls {
  return { ...controls, takenOut: controls.takenOut.filter((other) => other !== name) };
}

/** Asked first whatever its health, instead of the one pinned before; puts it in. */
export function pin(controls: Controls, name: string): Controls {
  return { ...putIn(controls, name), pinned: name };
}

export function unpin(controls: Controls): Controls {
  return { ...controls, pinned: undefined };
}

/** True: no automatic change of order from now on. */
export function withFreeze(controls: Controls, isFrozen: boolean): Controls {
  return { ...controls, isFrozen };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxNameLength;
}
