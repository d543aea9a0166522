/** The buses on which the parts tell what happens; one of each for the whole process. */
import type { ChecksumEvents } from '../checksums/checksums.ts';
import type { HealthEvents } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { RequestEvents } from '../proxy/request-events.ts';
import type { ScrubEvents } from '../scrub/types.ts';
import type { SumdbEvents } from '../sumdb/types.ts';

export interface Buses {
  readonly ingest: EventBus<IngestEvents>;
  readonly health: EventBus<HealthEvents>;
  readonly requests: EventBus<RequestEvents>;
  readonly sumdb: EventBus<SumdbEvents>;
  readonly checksums: EventBus<ChecksumEvents>;
  readonly scrub: EventBus<ScrubEvents>;
}

export function newBuses(): Buses {
  return {
    ingest: new EventBus(),
    health: new EventBus(),
    requests: new EventBus(),
    sumdb: new EventBus(),
    checksums: new EventBus(),
    scrub: new EventBus(),
  };
}
