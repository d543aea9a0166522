/**
 * How many wrong passwords may be tried: so many a minute from one address, and so many for one account from everywhere.
 * A trial is paid for before it is checked and paid back when it was good, so that a thousand at once get no further
 * than one after another.
 */
import { LRUCache } from 'lru-cache';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { Notice } from '../lib/notice.ts';
import { TokenBuckets } from './token-buckets.ts';

export const defaultFailuresPerMinute = 10;
/** Nobody can keep an account's owner out for longer, from another address than the owner's. */
const longestLockMs = 15 * 60_000;
/** Askers that wait for trials under way; more are turned away. */
const maxWaiting = 1_000;
const busyRetryMs = 1_000;

export interface Trial {
  /** As it is counted; see `countedAddress`. */
  readonly address: string;
  /** Undefined: no account is named, or it was proven from here before and needs no protection from this asker. */
  readonly account: string | undefined;
}

/** One trial that may be made. */
export interface Admission {
  readonly isAdmitted: true;
  /** Once, when the result is known. Wrong ones stay paid for. */
  settle(isWrong: boolean): void;
}

export interface Refusal {
  readonly isAdmitted: false;
  readonly retryAfterMs: number;
  readonly by: 'address' | 'account' | 'waiting';
}

export class FailureLimits {
  readonly perMinute: number;
  readonly #clock: Clock;
  readonly #addresses: TokenBuckets;
  readonly #accounts: TokenBuckets;
  /** Since when an account has been at its limit, monotonic; until its bucket is half full again. */
  readonly #lockedSince: LRUCache<string, number>;
  /** Trials under way, by `address` or `account`. */
  readonly #underWay = new Map<string, number>();
  readonly #settled = new Notice();
  #waiting = 0;

  /** `maxKeys` bounds each table. Default 10,000. */
  constructor(clock: Clock, perMinute = defaultFailuresPerMinute, maxKeys = 10_000) {
    this.#clock = clock;
    this.perMinute = perMinute;
    const limit = { burst: perMinute, perSecond: perMinute / 60 };
    this.#addresses = new TokenBuckets(clock, limit, maxKeys);
    this.#accounts = new TokenBuckets(clock, limit, maxKeys);
    this.#lockedSince = new LRUCache({ max: maxKeys });
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#addresses.size + this.#accounts.size + this.#lockedSince.size;
  }

  /** Milliseconds until this address may try again; 0: now. Trials under way count as good. */
  lockedMs(address: string): number {
    if (this.#addresses.level(address) + this.#underWayAt(addressKey(address)) >= 1) return 0;
    return this.#addresses.waitMs(address);
  }

  /**
   * Resolves when the trial may be made, or to how long it may not. Waits where the limit is only used up by trials
   * under way, which may turn out good: many people behind one address may log in at once. Rejects with the signal's
   * reason.
   */
  async admit(trial: Trial, signal: AbortSignal): Promise<Admission | Refusal> {
    for (;;) {
      const { changed } = this.#settled;
      const answer = this.#tryAdmit(trial);
      if (answer.isAdmitted || !this.#mayChange(trial)) return answer;
      if (this.#waiting >= maxWaiting) return { isAdmitted: false, retryAfterMs: busyRetryMs, by: 'waiting' };
      this.#waiting += 1;
      try {
        await raceAbort(changed, signal);
      } finally {
        this.#waiting -= 1;
      }
    }
  }

  /** A failure that was not admitted before. False: the address was at its limit already. */
  count(address: string): boolean {
    return this.#addresses.take(address) === 0;
  }

  #mayChange({ address, account }: Trial): boolean {
    if (this.#underWayAt(addressKey(address)) > 0) return true;
    return account !== undefined && this.#underWayAt(accountKey(account)) > 0;
  }

  #tryAdmit({ address, account }: Trial): Admission | Refusal {
    const isFresh = this.#addresses.level(address) >= this.perMinute;
    const addressWaitMs = this.#addresses.take(address);
    if (addressWaitMs > 0) return { isAdmitted: false, retryAfterMs: addressWaitMs, by: 'address' };
    let paidAccount: string | undefined;
    if (account !== undefined) {
      const accountWaitMs = this.#accounts.take(account);
      if (accountWaitMs === 0) paidAccount = account;
      else if (!isFresh || !this.#isLockedTooLong(account)) {
        this.#addresses.giveBack(address);
        return { isAdmitted: false, retryAfterMs: accountWaitMs, by: 'account' };
      }
      if (this.#accounts.level(account) >= this.perMinute / 2) this.#lockedSince.delete(account);
    }
    return this.#admitted(address, account, paidAccount);
  }

  #isLockedTooLong(account: string): boolean {
    const nowMs = this.#clock.monotonic();
    const sinceMs = this.#lockedSince.get(account);
    if (sinceMs === undefined) this.#lockedSince.set(account, nowMs);
    return sinceMs !== undefined && nowMs - sinceMs >= longestLockMs;
  }

  #admitted(address: string, account: string | undefined, paidAccount: string | undefined): Admission {
    const keys = [addressKey(address), ...(account === undefined ? [] : [accountKey(account)])];
    for (const key of keys) this.#underWay.set(key, this.#underWayAt(key) + 1);
    let isSettled = false;
    return {
      isAdmitted: true,
      settle: (isWrong) => {
        if (isSettled) return;
        isSettled = true;
        for (const key of keys) {
          const left = this.#underWayAt(key) - 1;
          if (left > 0) this.#underWay.set(key, left);
          else this.#underWay.delete(key);
        }
        if (!isWrong) {
          this.#addresses.giveBack(address);
          if (paidAccount !== undefined) this.#accounts.giveBack(paidAccount);
        }
        this.#settled.raise();
      },
    };
  }

  #underWayAt(key: string): number {
    return this.#underWay.get(key) ?? 0;
  }
}

/**
 * One spelling for all that a directory may take for one account: it ignores case, width, accents, invisible characters
 * and spaces around and between. Two accounts may fall together so; they only share a limit.
 * @see https://www.rfc-editor.org/rfc/rfc4518
 */
export function foldedAccount(username: string): string {
  return username
    .normalize('NFKD')
    .replaceAll(/[\p{M}\p{Default_Ignorable_Code_Point}\p{C}]/gu, '')
    .toLowerCase()
    .normalize('NFKC')
    .replaceAll(/\s+/gu, ' ')
    .trim();
}

function addressKey(address: string): string {
  return `address ${address}`;
}

function accountKey(account: string): string {
  return `account ${account}`;
}
