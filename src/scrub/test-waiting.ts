/** Test help: a played store of what waits for a proof, so that nothing but the fake clock takes time. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Evidence, QuarantineEntry } from '../store/quarantine.ts';
import type { ArtifactFile, ArtifactRecord, Store, Trust } from '../store/store.ts';

type Waiting = Pick<Store, 'awaitingProof' | 'open' | 'setTrust' | 'withdraw'>;

export class WaitingStore implements Waiting {
  readonly records = new Map<ArtifactKey, ArtifactRecord>();
  readonly withdrawn: Evidence[] = [];
  /** What the end of a walk waits for. */
  afterWalk: Promise<void> = Promise.resolve();

  add(key: ArtifactKey, h1: string | undefined): void {
    this.records.set(key, {
      sizeBytes: 1,
      sha256: 'ab'.repeat(32),
      ...(h1 === undefined ? {} : { h1 }),
      source: 'a',
      storedAtMs: 0,
      modifiedAtMs: 0,
      unproven: 'unreachable',
    });
  }

  async *awaitingProof(): AsyncGenerator<ArtifactKey> {
    for (const [key, record] of this.records) if (record.unproven === 'unreachable') yield key;
    await this.afterWalk;
  }

  async open(key: ArtifactKey): Promise<ArtifactFile | undefined> {
    const record = this.records.get(key);
    if (record === undefined) return undefined;
    return { record, readAt: async () => 0, readAll: async () => Buffer.alloc(0), close: async () => {} };
  }

  async setTrust(key: ArtifactKey, sha256: string, trust: Trust): Promise<boolean> {
    const record = this.records.get(key);
    if (record?.sha256 !== sha256) return false;
    const { proof: _proof, unproven: _unproven, ...facts } = record;
    this.records.set(key, { ...facts, ...trust });
    return true;
  }

  async withdraw(key: ArtifactKey, evidence: Evidence): Promise<QuarantineEntry | undefined> {
    if (!this.records.delete(key)) return undefined;
    this.withdrawn.push(evidence);
    return { ...evidence, id: '0'.repeat(16), firstAtMs: 0, count: 1, hasBytes: true };
  }
}
