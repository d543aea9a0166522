/** One order of an operator, checked, turned into the controls that follow from it. */
import { pin, putIn, takeOut, unpin, withFreeze, withMode } from '../health/controls-state.ts';
import type { Controls } from '../health/types.ts';
import { ModferryError } from '../lib/errors.ts';

export interface OrderFacts {
  /** Wall clock. */
  readonly nowMs: number;
  /** Upstreams there are; undefined: not known here, any name is taken. */
  readonly names: readonly string[] | undefined;
}

const maxForMs = 30 * 86_400_000;
const maxNameLength = 500;

/**
 * Throws ModferryError `bad_order`. Orders: `{action: 'mode', mode, forMs?}`, `{action: 'out' | 'in' | 'pin', upstream}`,
 * `{action: 'unpin' | 'freeze' | 'unfreeze'}`.
 */
export function applyOrder(
  before: Controls,
  order: Readonly<Record<string, unknown>>,
  facts: OrderFacts,
): Controls {
  switch (order['action']) {
    case 'mode':
      return changedMode(before, order, facts);
    case 'out':
      return takeOut(before, nameOf(order, facts));
    case 'in': {
      // It may have left the configuration since.
      const name = nameOf(order, { ...facts, names: undefined });
      if (!before.takenOut.includes(name)) throw badOrder(`${name} was not taken out`);
      return putIn(before, name);
    }
    case 'pin':
      return pin(before, nameOf(order, facts));
    case 'unpin':
      return unpin(before);
    case 'freeze':
      return withFreeze(before, true);
    case 'unfreeze':
      return withFreeze(before, false);
    default:
      throw badOrder('unknown order; modferry mode and modferry upstreams give orders');
  }
}

function changedMode(
  before: Controls,
  { mode, forMs }: Readonly<Record<string, unknown>>,
  { nowMs }: OrderFacts,
): Controls {
  if (mode !== 'normal' && mode !== 'offline' && mode !== 'direct') {
    throw badOrder('a mode is normal, offline or direct');
  }
  if (forMs === undefined) return withMode(before, mode, undefined);
  if (typeof forMs !== 'number' || !(forMs >= 1 && forMs <= maxForMs))
    throw badOrder('a mode holds for at most 30 days');
  return withMode(before, mode, nowMs + forMs);
}

function nameOf({ upstream }: Readonly<Record<string, unknown>>, { names }: OrderFacts): string {
  if (typeof upstream !== 'string' || upstream === '' || upstream.length > maxNameLength) {
    throw badOrder('name an upstream, as modferry status shows it');
  }
  if (names !== undefined && !names.includes(upstream)) {
    throw badOrder(
      `there is no upstream "${upstream.slice(0, 80)}"; there are: ${names.join(', ') || 'none'}`,
    );
  }
  return upstream;
}

function badOrder(message: string): ModferryError {
  return new ModferryError('bad_order', message);
}
