/**
 * Deliveries in the data folder: `meta/deliveries.jsonl` and the file before it. Each has a line when it comes and
 * another when it is done; of several the last counts.
 */
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { JsonLinesFile, JsonLinesReader } from '../lib/json-lines-file.ts';
import { type DeliveryRecord, deliveryJson, parseDeliveryLine } from './delivery.ts';

/** Deliveries that can be seen and replayed. */
export const maxDeliveries = 1_000;

const maxBytes = 8 * 1024 * 1024;
const keep = 1;

function deliveryFileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'deliveries.jsonl');
}

export class DeliveryLog {
  readonly #file: JsonLinesFile;

  constructor(dataDir: string, clock: Clock) {
    this.#file = new JsonLinesFile(deliveryFileIn(dataDir), { clock, maxBytes, keep, mode: 0o600 });
  }

  /** Rejects with the system's error. */
  async write(record: DeliveryRecord): Promise<void> {
    await this.#file.append(`${JSON.stringify(deliveryJson(record))}\n`);
  }
}

/** Of all processes on the folder, oldest first, the newest 1,000. Rejects with the system's error. */
export async function readDeliveries(dataDir: string): Promise<DeliveryRecord[]> {
  const records = new Map<string, DeliveryRecord>();
  await new JsonLinesReader(deliveryFileIn(dataDir), keep).read((line) => {
    const record = parseDeliveryLine(line);
    if (record === undefined) return;
    records.set(record.id, record);
    if (records.size <= 2 * maxDeliveries) return;
    const [oldest] = records.keys();
    if (oldest !== undefined) records.delete(oldest);
  });
  return [...records.values()].sort((a, b) => a.atMs - b.atMs).slice(-maxDeliveries);
}

/** Undefined when there is none, or more than one that begins so. Rejects with the system's error. */
export async function findDelivery(dataDir: string, idStart: string): Promise<DeliveryRecord | undefined> {
  const found = (await readDeliveries(dataDir)).filter(({ id }) => id.startsWith(idStart));
  return found.length === 1 ? found[0] : undefined;
}
