/**
 * What strangers cause comes in floods: denials, wrong log-ins and forged deliveries that are alike within a second are
 * one with a count, and more than a hundred different ones in a second are counted together, so that nobody can push
 * older entries out of the files in a short time.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { AuditEntry } from './types.ts';

const windowMs = 1_000;
const maxDifferent = 100;

/** True for entries that somebody without any right can cause. */
export function isRefusal({ action, result }: AuditEntry): boolean {
  return action === 'denied' || (result === 'refused' && (action === 'login' || action === 'delivery'));
}

export class Refusals {
  readonly #clock: Clock;
  readonly #tell: (entry: AuditEntry, count: number) => void;
  readonly #held = new Map<string, { readonly entry: AuditEntry; count: number }>();
  #others = 0;
  #timer: Timer | undefined;

  /** `tell` gets each once its second is over. */
  constructor(clock: Clock, tell: (entry: AuditEntry, count: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(entry: AuditEntry): void {
    const { action, who, from, result, module = '', version = '', reason = '' } = entry;
    const key = JSON.stringify([action, who, from, result, module, version, reason]);
    const held = this.#held.get(key);
    if (held !== undefined) held.count += 1;
    else if (this.#held.size < maxDifferent) this.#held.set(key, { entry, count: 1 });
    else this.#others += 1;
    this.#timer ??= this.#clock.setTimeout(() => this.flush(), windowMs);
  }

  /** Tells what is held. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { entry, count } of this.#held.values()) this.#tell(entry, count);
    this.#held.clear();
    if (this.#others === 0) return;
    const reason = `beyond ${maxDifferent} different ones in a second, not told one by one`;
    this.#tell(
      { action: 'denied', who: 'several', from: 'several', result: 'refused', reason },
      this.#others,
    );
    this.#others = 0;
  }
}
