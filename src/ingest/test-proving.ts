/** The proving of fills in tests. */
import { judgeOff } from '../checksums/test-judges.ts';
import type { HashedKey, Judge } from '../checksums/types.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { Evidence, Quarantine, QuarantineEntry } from '../store/quarantine.ts';
import { Proving } from './proving.ts';
import type { IngestEvents } from './types.ts';

/** Keeps the evidence of what is put away. */
export class PlayedQuarantine implements Pick<Quarantine, 'add'> {
  readonly evidence: Evidence[] = [];

  add(evidence: Evidence): Promise<QuarantineEntry> {
    this.evidence.push(evidence);
    const id = String(this.evidence.length).padStart(16, '0');
    return Promise.resolve({ ...evidence, id, firstAtMs: evidence.atMs, count: 1, hasBytes: false });
  }
}

export interface TestProvingOptions {
  readonly key: ArtifactKey;
  readonly clock: Clock;
  /** Default: checksums are off. */
  readonly judge?: Judge;
  readonly quarantine?: Pick<Quarantine, 'add'>;
  readonly events?: EventBus<IngestEvents>;
}

export function testProving(options: TestProvingOptions, signal: AbortSignal): Proving {
  const { key, clock, judge = judgeOff } = options;
  const quarantine = options.quarantine ?? new PlayedQuarantine();
  const events = options.events ?? new EventBus<IngestEvents>();
  return new Proving({ key: hashed(key), judge, clock, quarantine, events }, { signal });
}

function hashed(key: ArtifactKey): HashedKey {
  return { ...key, ext: key.ext === 'zip' ? 'zip' : 'mod' };
}
