/** By what an artifact is proven, or why not: read from a record that nobody vouches for, and two of them compared. */
import type { Proof, Trust, Unproven } from '../store.ts';
import { asObject, isCount } from './json-object.ts';

const reasons: readonly Unproven[] = ['off', 'unreachable', 'none'];

/** Nothing but the trust, and only one of the two: a proof outweighs a reason why there is none. */
export function trustOf(known: Trust): Trust {
  if (known.proof !== undefined) return { proof: known.proof };
  return known.unproven === undefined ? {} : { unproven: known.unproven };
}

/** What holds of content of which two things are known: a proof stays, and anything outweighs nothing. */
export function strongerTrust(kept: Trust, offered: Trust): Trust {
  if (kept.proof !== undefined) return trustOf(kept);
  if (offered.proof !== undefined || kept.unproven === undefined) return trustOf(offered);
  return trustOf(kept);
}

/** Both say the same to whoever asks; when a proof was found, and under which head, makes no difference. */
export function isSameTrust(one: Trust, other: Trust): boolean {
  return saidOf(one) === saidOf(other);
}

function saidOf({ proof, unproven }: Trust): string {
  if (proof === undefined) return unproven ?? '';
  if (proof.by === 'sumdb') return JSON.stringify([proof.by, proof.database, proof.recordId]);
  return JSON.stringify([proof.by, proof.by === 'operator' ? proof.reason : proof.label]);
}

/** The trust in a record as parsed from JSON. What has another shape, or says both, counts as unknown. */
export function parseTrust(raw: Readonly<Record<string, unknown>>): Trust {
  const { proof, unproven } = raw;
  if (proof !== undefined && unproven !== undefined) return {};
  if (proof !== undefined) {
    const known = parseProof(proof);
    return known === undefined ? {} : { proof: known };
  }
  const reason = reasons.find((each) => each === unproven);
  return reason === undefined ? {} : { unproven: reason };
}

function parseProof(value: unknown): Proof | undefined {
  const raw = asObject(value);
  if (raw === undefined) return undefined;
  const { by, database, recordId, treeSize, label, reason, atMs } = raw;
  if (!isCount(atMs)) return undefined;
  if (by === 'go.sum') return typeof label === 'string' ? { by, label, atMs } : undefined;
  if (by === 'operator') return typeof reason === 'string' ? { by, reason, atMs } : undefined;
  if (by !== 'sumdb' || typeof database !== 'string') return undefined;
  // A record has its place below the size of the tree it was found in.
  if (!isCount(recordId) || !isCount(treeSize) || recordId >= treeSize) return undefined;
  return { by, database, recordId, treeSize, atMs };
}
