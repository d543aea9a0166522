/** Takes what forges deliver: proves it, reads it, accepts each delivery once, and has it acted upon. */
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Delivery, DeliveryRecord } from './delivery.ts';
import { deliveryId, keysOf, resumeKey } from './delivery-keys.ts';
import { DeliveryLog, findDelivery, readDeliveries } from './delivery-log.ts';
import { DeliveryQueue, type OnPush } from './delivery-queue.ts';
import { parseBody } from './json-body.ts';
import { isWithin, type KnownWebhook, knownOf, type WebhookSettings } from './known-webhooks.ts';
import { eventOf, readPayload } from './payloads.ts';
import { SeenDeliveries } from './seen-deliveries.ts';
import { isFromForge, type WebhookHeaders } from './signatures.ts';

/** Larger bodies need not be read: 413. */
export const maxWebhookBytes = 1024 * 1024;

/** What was interrupted longer ago is not resumed: lists and answers were asked anew without it. */
const resumeWithinMs = 24 * 3_600_000;
const defaultMaxWaiting = 1_000;
const maxAtOnce = 4;
const timeoutMs = 15 * 60_000;

export interface WebhooksDeps {
  readonly webhooks: readonly WebhookSettings[];
  readonly clock: Clock;
  /** Absolute; with its `meta` folder. */
  readonly dataDir: string;
  /** Names this process among all that ever wrote to the folder. */
  readonly instance: string;
  readonly onPush: OnPush;
  /** Deliveries that wait at most; more get 503. Default 1,000. */
  readonly maxWaiting?: number | undefined;
  /** A delivery that was not believed; for the audit. `why` is not for the sender. */
  readonly onRefused?: ((refused: RefusedDelivery) => void) | undefined;
  /** A delivery that was acted upon; for the audit and the log. */
  readonly onDelivered?: ((record: DeliveryRecord) => void) | undefined;
}

export interface RefusedDelivery {
  readonly webhook: string;
  readonly from: string;
  readonly why: 'address' | 'signature';
}

/** Lower-case names. Of a header that stands several times Node makes one text, or a list. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface WebhookAnswer {
  readonly status: 200 | 202 | 400 | 401 | 403 | 404 | 413 | 503;
  readonly contentType: 'application/json' | 'text/plain; charset=utf-8';
  /** With its line feed. */
  readonly body: string;
}

export interface Webhooks {
  /**
   * `headers` as of a request of Node; `rawBody` at most 1 MiB, what is longer may be cut one byte later; `from`: address
   * of the sender. Never rejects.
   */
  receive(name: string, headers: RequestHeaders, rawBody: Buffer, from: string): Promise<WebhookAnswer>;
  /**
   * Acts once more on a delivery, named by its id or the beginning of it, and resolves when that is done. Rejects with
   * ModferryError `no_delivery` or `busy`.
   */
  replay(idStart: string): Promise<DeliveryRecord>;
  /**
   * Acts on deliveries that were waiting when a process ended: each once more, and those of the last day only. What cannot
   * be resumed is `failed` then. Call it once, when pushes can be acted upon. Resolves when they are in the queue; never
   * rejects.
   */
  resume(): Promise<void>;
  /**
   * Checks other settings, which the function then puts in force; what waits is not touched. Throws ModferryError
   * `bad_range`.
   */
  prepare(webhooks: readonly WebhookSettings[]): () => void;
  /** Deliveries waiting or under way. */
  readonly waiting: number;
  /** Ends what is under way; it is resumed at the next start. */
  close(): Promise<void>;
}

/** Throws ModferryError `bad_range` for an `allow` that is no address or range. */
export function createWebhooks(deps: WebhooksDeps): Webhooks {
  return new WebhookReceiver(deps);
}

class WebhookReceiver implements Webhooks {
  readonly #deps: WebhooksDeps;
  readonly #startedAtMs: number;
  #webhooks: ReadonlyMap<string, KnownWebhook>;
  readonly #seen: SeenDeliveries;
  readonly #log: DeliveryLog;
  readonly #queue: DeliveryQueue;
  #count = 0;

  constructor(deps: WebhooksDeps) {
    const { clock, dataDir, instance, onPush, maxWaiting = defaultMaxWaiting } = deps;
    this.#deps = deps;
    this.#startedAtMs = clock.now();
    this.#webhooks = knownOf(deps.webhooks);
    this.#seen = new SeenDeliveries(dataDir, clock, instance);
    this.#log = new DeliveryLog(dataDir, clock);
    const onDone = (record: DeliveryRecord): Promise<void> => this.#done(record);
    this.#queue = new DeliveryQueue({ clock, onPush, onDone, maxWaiting, maxAtOnce, timeoutMs });
  }

  get waiting(): number {
    return this.#queue.size;
  }

  async receive(
    name: string,
    requestHeaders: RequestHeaders,
    rawBody: Buffer,
    from: string,
  ): Promise<WebhookAnswer> {
    const headers = singleHeaders(requestHeaders);
    const webhook = this.#webhooks.get(name);
    if (webhook === undefined) return text(404, 'there is no such webhook');
    const refusal = this.#refusalOf(webhook, headers, rawBody, from);
    if (refusal !== undefined) return refusal;
    const { forge } = webhook;
    const body = parseBody(rawBody, headers['content-type'] ?? '');
    if (body === undefined) return text(400, 'the body is no JSON object, or is nested too deep');
    const told = readPayload(forge, headers, body);
    if (told.kind === 'ping') return json(200, { ping: true });
    if (told.kind === 'ignored') return json(200, { ignored: true });
    if (told.kind === 'malformed') return text(400, `this is no push that can be read: ${told.why}`);
    // Before it is claimed: a forge that is told to come again must not find it done.
    if (this.#queue.isFull) return text(503, 'too many deliveries are waiting; deliver it again later');
    const event = eventOf(forge, headers);
    const { push, refsLeftOut } = told;
    const delivery = this.#delivery({
      webhook: name,
      forge,
      event,
      from,
      push,
      refsLeftOut,
      replayOf: undefined,
    });
    const keys = keysOf(webhook, event, headers, rawBody);
    if (!(await this.#seen.claim(keys, delivery.id))) return json(200, { duplicate: true });
    await this.#write({ ...delivery, state: 'waiting', result: undefined, tookMs: undefined });
    void this.#queue.add(delivery);
    return json(202, { id: delivery.id });
  }

  async replay(idStart: string): Promise<DeliveryRecord> {
    const found = /^[0-9a-f]{4,12}$/.test(idStart)
      ? await findDelivery(this.#deps.dataDir, idStart)
      : undefined;
    if (found === undefined) {
      throw new ModferryError(
        'no_delivery',
        'there is not one delivery with this id; modferry deliveries lists them',
      );
    }
    if (this.#queue.isFull)
      throw new ModferryError('busy', 'too many deliveries are waiting; try again later');
    const { webhook, forge, event, push, refsLeftOut, id } = found;
    return await this.#queue.add(
      this.#delivery({ webhook, forge, event, from: 'local', push, refsLeftOut, replayOf: id }),
    );
  }

  async resume(): Promise<void> {
    const records = await readDeliveries(this.#deps.dataDir).catch(() => []);
    for (const record of records) {
      // What came since is in a queue: in ours, or in that of another process.
      if (record.state === 'waiting' && record.atMs < this.#startedAtMs) await this.#resume(record);
    }
  }

  prepare(webhooks: readonly WebhookSettings[]): () => void {
    const known = knownOf(webhooks);
    return () => {
      this.#webhooks = known;
    };
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  #refusalOf(
    webhook: KnownWebhook,
    headers: WebhookHeaders,
    body: Buffer,
    from: string,
  ): WebhookAnswer | undefined {
    const { name, allowed, forge, secret } = webhook;
    if (allowed !== undefined && !isWithin(allowed, from)) {
      this.#deps.onRefused?.({ webhook: name, from, why: 'address' });
      return text(403, 'this address may not deliver here');
    }
    if (body.length > maxWebhookBytes) return text(413, 'the body is longer than 1 MiB');
    const nowMs = this.#deps.clock.now();
    if (isFromForge(forge, { headers, body, secret: secret.reveal(), nowMs })) return undefined;
    this.#deps.onRefused?.({ webhook: name, from, why: 'signature' });
    return text(401, 'the signature is not right');
  }

  #delivery(facts: Omit<Delivery, 'id' | 'atMs'>): Delivery {
    const atMs = this.#deps.clock.now();
    this.#count += 1;
    const id = deliveryId(this.#deps.instance, String(this.#count), String(atMs));
    return { id, atMs, ...facts };
  }

  /** Of a process that lives it would only be a second look at the repository. */
  async #resume(record: DeliveryRecord): Promise<void> {
    const why = this.#whyNotResumed(record);
    if (why !== undefined) {
      const refused = [{ name: record.webhook, why }];
      const result = { outcome: 'failed', published: [], refreshed: [], refused } as const;
      await this.#done({ ...record, state: 'failed', result });
      return;
    }
    if (this.#queue.isFull || !(await this.#seen.claim([resumeKey(record.id)], record.id))) return;
    const { state: _state, result: _result, tookMs: _tookMs, ...delivery } = record;
    const resumed = { ...delivery, isResumed: true };
    await this.#write({ ...resumed, state: 'waiting', result: undefined, tookMs: undefined });
    void this.#queue.add(resumed);
  }

  #whyNotResumed({ webhook, isResumed, atMs }: DeliveryRecord): string | undefined {
    const advice = 'deliver it again, or replay it';
    if (!this.#webhooks.has(webhook))
      return `modferry ended before it was done, and has no webhook ${webhook} now`;
    if (isResumed === true) return `modferry ended twice before it was done; ${advice}`;
    if (this.#deps.clock.now() - atMs > resumeWithinMs)
      return `modferry ended before it was done, more than a day ago; ${advice}`;
    return undefined;
  }

  async #done(record: DeliveryRecord): Promise<void> {
    await this.#write(record);
    // The forge, or whoever looks after it, may deliver once more what came to nothing.
    if (record.state === 'failed') await this.#seen.release(record.id);
    this.#deps.onDelivered?.(record);
  }

  /** A disk that takes nothing costs the record, not the push. */
  async #write(record: DeliveryRecord): Promise<void> {
    await this.#log.write(record).catch(() => {});
  }
}

/** No header that counts here may be a list: then it is none. */
function singleHeaders(headers: RequestHeaders): WebhookHeaders {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function json(status: WebhookAnswer['status'], value: object): WebhookAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

function text(status: WebhookAnswer['status'], sentence: string): WebhookAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${sentence}\n` };
}
