/** What `ls` and `info` say of a stored version: its artifacts as plain JSON, and the few facts of a summary line. */
import type { ArtifactExt } from '../gomod/types.ts';
import type { ArtifactRecord, VersionEntry } from '../store/store.ts';

const exts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

/** One artifact as scripts get it. */
export interface DescribedArtifact {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly h1: string | null;
  readonly source: string;
  /** RFC 3339, UTC. */
  readonly storedAt: string;
}

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
  return { sizeBytes, sha256, h1, source, storedAt: new Date(storedAtMs).toISOString() };
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
