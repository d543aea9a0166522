/** What `ls` and `info` say of a stored version: its artifacts as plain JSON, and the few facts of a summary line. */
import type { ArtifactExt } from '../gomod/types.ts';
import type { ArtifactRecord, Proof, Unproven, VersionEntry } from '../store/store.ts';

const exts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

/** One artifact as scripts get it. */
export interface DescribedArtifact {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly h1: string | null;
  readonly source: string;
  /** RFC 3339, UTC. */
  readonly storedAt: string;
  /** By what it was proven; null: by nothing. */
  readonly proof: DescribedProof | null;
  /** Why it was published without a proof; null when it has one, or when nobody knows. */
  readonly unproven: Unproven | null;
}

export type DescribedProof = DistributiveOmit<Proof, 'atMs'> & {
  /** RFC 3339, UTC. */
  readonly at: string;
};

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;

export interface VersionSummary {
  /** Of all artifacts together. */
  readonly sizeBytes: number;
  /** When the first artifact came, milliseconds since the epoch. */
  readonly storedAtMs: number;
  readonly sources: readonly string[];
  readonly parts: readonly ArtifactExt[];
  /** Of the zip. */
  readonly h1: string | undefined;
}

export function describeArtifact(record: ArtifactRecord): DescribedArtifact {
  const { sizeBytes, sha256, h1 = null, source, storedAtMs } = record;
  const storedAt = new Date(storedAtMs).toISOString();
  const { proof, unproven = null } = record;
  return {
    sizeBytes,
    sha256,
    h1,
    source,
    storedAt,
    proof: proof === undefined ? null : describeProof(proof),
    unproven: proof === undefined ? unproven : null,
  };
}

function describeProof({ atMs, ...proof }: Proof): DescribedProof {
  return { ...proof, at: new Date(atMs).toISOString() };
}

/** One line for people. */
export function trustText({ proof, unproven }: DescribedArtifact): string {
  if (proof !== null) {
    const at = proof.at.replace(/\.\d+Z$/, 'Z');
    if (proof.by === 'sumdb') {
      return `proven by ${proof.database} #${proof.recordId}, tree of ${proof.treeSize} records, ${at}`;
    }
    if (proof.by === 'go.sum') return `proven by trusted go.sum lines "${proof.label}", ${at}`;
    return `released by an operator, ${at}: ${proof.reason}`;
  }
  if (unproven === 'off') return 'not proven: checksums are off for this module';
  if (unproven === 'unreachable') return 'not proven yet: the checksum database could not say';
  return unproven === 'none' ? 'nothing can prove a .info' : 'not known to be proven';
}

/** In the order info, mod, zip; absent ones are left out. */
export function describeArtifacts(
  artifacts: VersionEntry['artifacts'],
): Partial<Record<ArtifactExt, DescribedArtifact>> {
  return Object.fromEntries(
    exts.flatMap((ext) => {
      const record = artifacts[ext];
      return record === undefined ? [] : [[ext, describeArtifact(record)] as const];
    }),
  );
}

export function summaryOf({ artifacts }: Pick<VersionEntry, 'artifacts'>): VersionSummary {
  const parts = exts.filter((ext) => artifacts[ext] !== undefined);
  const records = parts.flatMap((ext) => artifacts[ext] ?? []);
  return {
    sizeBytes: records.reduce((sum, record) => sum + record.sizeBytes, 0),
    storedAtMs: Math.min(...records.map((record) => record.storedAtMs)),
    sources: [...new Set(records.map((record) => record.source))],
    parts,
    h1: artifacts.zip?.h1,
  };
}
