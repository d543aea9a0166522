/** The evidence of a fork, as it is kept in the store. Its presence alone stops the trust in new records. */
import { parseObject } from './head-state.ts';
import type { ForkEvidence } from './types.ts';

export function formatFork(evidence: ForkEvidence): Buffer {
  return Buffer.from(`${JSON.stringify(evidence)}\n`);
}

/** What cannot be read any more still says that there was a fork: what is missing of it is empty. */
export function parseFork(database: string, bytes: Buffer): ForkEvidence {
  const raw = parseObject(bytes) ?? {};
  const { atMs, proof } = raw;
  return {
    database,
    atMs: typeof atMs === 'number' ? atMs : 0,
    source: textFrom(raw['source']) || 'unknown',
    known: textFrom(raw['known']),
    other: textFrom(raw['other']),
    proof: Array.isArray(proof) ? proof.filter((hash) => typeof hash === 'string') : [],
    computedHash: textFrom(raw['computedHash']),
  };
}

function textFrom(raw: unknown): string {
  return typeof raw === 'string' ? raw : '';
}
