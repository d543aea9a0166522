/** Who listens to what the parts tell: the log, the history of events, the metrics. */
import type { Clock } from '../lib/clock.ts';
import { logEvents, logHealthEvents, logProofs, logScrub } from '../telemetry/event-log.ts';
import { History } from '../telemetry/history.ts';
import { keepHistory } from '../telemetry/history-events.ts';
import { keepProofHistory } from '../telemetry/history-proofs.ts';
import { keepScrubHistory } from '../telemetry/history-scrub.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMetrics, type Metrics, type MetricsDeps } from '../telemetry/metrics.ts';
import type { Buses } from './buses.ts';

export interface TellingDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly dataDir: string;
  readonly instanceId: string;
}

/** Begins to log and to keep; returns the history for what is told to it directly. */
export function tell(buses: Buses, { clock, log, dataDir, instanceId }: TellingDeps): History {
  const history = new History({ clock, dataDir, instance: instanceId });
  keepHistory(history, buses);
  keepProofHistory(history, buses);
  keepScrubHistory(history, buses.scrub);
  logEvents(buses.ingest, log, clock);
  logHealthEvents(buses.health, log);
  logProofs(buses, log);
  logScrub(buses.scrub, log);
  return history;
}

/** Counts from now on. */
export function measure(
  { requests, health, ingest, scrub }: Buses,
  deps: Omit<MetricsDeps, keyof Buses>,
): Metrics {
  return createMetrics({ ...deps, requests, health, ingest, scrub });
}
