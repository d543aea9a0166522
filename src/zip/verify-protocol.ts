/** Messages between the verifier's pool and its worker threads. */
import type { ZipErrorCode, ZipFacts, ZipTarget } from './zip-types.ts';

/** One zip to check: a file by its absolute path, or its bytes. */
export interface VerifyJob {
  readonly id: number;
  readonly target: ZipTarget;
  readonly file: string | undefined;
  readonly bytes: Uint8Array | undefined;
  /** One shared number: not 0 when the job is not wanted any more. */
  readonly stop: Int32Array;
}

/** Facts on their way between threads: structured clone makes a Uint8Array of a Buffer. */
export type VerifyFacts = Omit<ZipFacts, 'goMod'> & { readonly goMod: Uint8Array | undefined };

export type VerifyAnswer =
  | { readonly id: number; readonly facts: VerifyFacts }
  | { readonly id: number; readonly failure: VerifyFailure };

/** An error as data: structured clone drops the class and the fields of one. */
export interface VerifyFailure {
  /** Set for a ZipError. */
  readonly zipCode: ZipErrorCode | undefined;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The facts as they were sent. */
export function factsOf(facts: VerifyFacts): ZipFacts {
  const { goMod } = facts;
  return { ...facts, goMod: goMod && Buffer.from(goMod.buffer, goMod.byteOffset, goMod.byteLength) };
}
