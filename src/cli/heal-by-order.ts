/** Healing for commands: the running modferry, which has the sources, is told to fetch an artifact again. */
import { messageOf } from '../lib/errors.ts';
import type { Heal, HealResult } from '../scrub/heal.ts';
import type { Running } from './running.ts';

/** A zip of Go's largest size comes over a slow link. */
const timeoutMs = 900_000;

/** Fails where none is running: then the next request fetches it. */
export function healByOrder(running: Pick<Running, 'askIfAny'>): Heal {
  return async ({ path, version, ext }, _expected, signal) => {
    try {
      const patience = { timeoutMs, signal };
      const answer = await running.askIfAny('POST', '/heal', { path, version, ext }, patience);
      return answer === undefined ? failed('no modferry is running') : resultOf(answer);
    } catch (error) {
      signal.throwIfAborted();
      return failed(messageOf(error));
    }
  };
}

function resultOf({ outcome, source, reason }: Readonly<Record<string, unknown>>): HealResult {
  if (outcome === 'healed') return { outcome, source: typeof source === 'string' ? source : 'an upstream' };
  // Verified on its way in, as everything is.
  if (outcome === 'present') return { outcome: 'healed', source: 'a request meanwhile' };
  return failed(typeof reason === 'string' ? reason : 'it could not be had');
}

function failed(reason: string): HealResult {
  return { outcome: 'failed', reason };
}
