/** By what a delivery is known again: the id that its forge gives it, or its body. */
import { createHash } from 'node:crypto';
import type { WebhookSettings } from './known-webhooks.ts';
import { deliveryIdOf } from './payloads.ts';
import type { DeliveryKey } from './seen-deliveries.ts';
import { signsBodyOnly, type WebhookHeaders } from './signatures.ts';

const dayMs = 24 * 3_600_000;
const rememberedMs = 7 * dayMs;
/** The same body is a repeat for so long, where it is what a delivery is known by. */
const sameBodyMs = dayMs;

/** By each of them a repeat is known. */
export function keysOf(
  { name, forge }: WebhookSettings,
  event: string,
  headers: WebhookHeaders,
  body: Buffer,
): readonly DeliveryKey[] {
  const sum = createHash('sha256').update(body).digest('hex');
  const id = deliveryIdOf(forge, headers);
  const keys: DeliveryKey[] = [];
  // GitLab's event id is shared by events that one action causes.
  if (id !== undefined) keys.push({ key: keyText(name, 'id', event, id), forMs: rememberedMs });
  // The name of the event is not signed either, and a body has the shape of one event only.
  if (signsBodyOnly[forge]) keys.push({ key: keyText(name, 'signed', sum), forMs: sameBodyMs });
  else if (id === undefined) keys.push({ key: keyText(name, 'body', event, sum), forMs: sameBodyMs });
  return keys;
}

/** By it one process resumes a delivery, of all that start at once. `id`: ours. */
export function resumeKey(id: string): DeliveryKey {
  return { key: keyText('resume', id), forMs: rememberedMs };
}

/** Ours, 12 hex digits: the same for the same parts. */
export function deliveryId(...parts: readonly string[]): string {
  return keyText(...parts).slice(0, 12);
}

function keyText(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
