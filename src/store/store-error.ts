/**
 * The one error of the store, and the table from errno to its codes. Every message ends with what the operator can
 * do, because most of these are seen first in a log at night.
 */
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';
import type { StoreErrorCode } from './store.ts';

export class StoreError extends ModferryError<StoreErrorCode> {}

const codeByErrno: Readonly<Record<string, StoreErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EROFS: 'read_only',
  EACCES: 'read_only',
  EPERM: 'read_only',
};

const adviceByCode: Readonly<Record<StoreErrorCode, string>> = {
  disk_full: 'free space on that disk, raise the quota, or purge modules',
  read_only: 'make the folder writable for the user that runs modferry',
  io: 'check the disk and the mount',
  bad_format: 'use the modferry version that wrote this folder, or give another data folder',
  in_use: 'give modferry a data folder of its own',
  purged: 'ask again',
  rotten: 'purge this version so that it is fetched again',
};

/**
 * Turns what a system call threw into a StoreError. `doing` completes "cannot …". A StoreError passes unchanged.
 */
export function toStoreError(thrown: unknown, doing: string): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const errno = errnoOf(thrown);
  const code = (errno === undefined ? undefined : codeByErrno[errno]) ?? 'io';
  return storeError(code, `cannot ${doing}: ${messageOf(thrown)}`, { errno }, thrown);
}

/** What `work` resolves to; what it rejects with becomes a StoreError. `doing` completes "cannot …". */
export async function attempt<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toStoreError(error, doing);
  }
}

/** A StoreError whose message ends with the advice for its code. */
export function storeError(
  code: StoreErrorCode,
  what: string,
  fields: Record<string, unknown> = {},
  cause?: unknown,
): StoreError {
  return new StoreError(code, `${what}; ${adviceByCode[code]}`, { cause, fields });
}
