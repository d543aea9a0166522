/** Takes what forges deliver: proves it, reads it, accepts each delivery once, and has it acted upon. */
import { createHash } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Secret } from '../lib/secret.ts';
import type { Delivery, DeliveryRecord } from './delivery.ts';
import { DeliveryLog, findDelivery } from './delivery-log.ts';
import { DeliveryQueue, type OnPush } from './delivery-queue.ts';
import { parseBody } from './json-body.ts';
import { deliveryIdOf, eventOf, readPayload } from './payloads.ts';
import { SeenDeliveries } from './seen-deliveries.ts';
import { isFromForge, type WebhookHeaders } from './signatures.ts';
import type { Forge } from './types.ts';

/** Larger bodies need not be read: 413. */
export const maxWebhookBytes = 1024 * 1024;

const dayMs = 24 * 3_600_000;
const rememberedMs = 7 * dayMs;
/** Without an id the same event with the same body is a repeat for so long. */
const sameBodyMs = dayMs;
const defaultMaxWaiting = 1_000;
const maxAtOnce = 4;
const timeoutMs = 15 * 60_000;

export interface WebhookSettings {
  /** Of the path: `/-/v1/webhooks/NAME`. */
  readonly name: string;
  readonly forge: Forge;
  readonly secret: Secret;
  /** CIDR ranges or addresses that may deliver. Default: all. */
  readonly allow?: readonly string[] | undefined;
}

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
  /** Deliveries waiting or under way. */
  readonly waiting: number;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** Throws ModferryError `bad_range` for an `allow` that is no address or range. */
export function createWebhooks(deps: WebhooksDeps): Webhooks {
  return new WebhookReceiver(deps);
}

interface KnownWebhook extends WebhookSettings {
  readonly allowed: BlockList | undefined;
}

class WebhookReceiver implements Webhooks {
  readonly #deps: WebhooksDeps;
  readonly #webhooks: ReadonlyMap<string, KnownWebhook>;
  readonly #seen: SeenDeliveries;
  readonly #log: DeliveryLog;
  readonly #queue: DeliveryQueue;
  #count = 0;

  constructor(deps: WebhooksDeps) {
    const { clock, dataDir, instance, onPush, maxWaiting = defaultMaxWaiting } = deps;
    this.#deps = deps;
    this.#webhooks = new Map(
      deps.webhooks.map((each) => [each.name, { ...each, allowed: rangesOf(each.allow ?? []) }]),
    );
    this.#seen = new SeenDeliveries(dataDir, clock, instance);
    this.#log = new DeliveryLog(dataDir, clock);
    const onDone = async (record: DeliveryRecord): Promise<void> => {
      await this.#write(record);
      deps.onDelivered?.(record);
    };
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
    const { key, forMs } = keyOf(webhook, event, headers, rawBody);
    if (!(await this.#seen.claim(key, forMs))) return json(200, { duplicate: true });
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
    const id = hashOf(this.#deps.instance, String(this.#count), String(atMs)).slice(0, 12);
    return { id, atMs, ...facts };
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

function keyOf(
  { name, forge }: WebhookSettings,
  event: string,
  headers: WebhookHeaders,
  body: Buffer,
): { readonly key: string; readonly forMs: number } {
  const id = deliveryIdOf(forge, headers);
  // GitLab's event id is shared by events that one action causes.
  if (id !== undefined) return { key: hashOf(name, 'id', event, id).slice(0, 32), forMs: rememberedMs };
  const sum = createHash('sha256').update(body).digest('hex');
  return { key: hashOf(name, 'body', event, sum).slice(0, 32), forMs: sameBodyMs };
}

function hashOf(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function rangesOf(ranges: readonly string[]): BlockList | undefined {
  if (ranges.length === 0) return undefined;
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits, ...rest] = range.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    const isGood = family !== 0 && rest.length === 0 && (bits === undefined || /^\d{1,3}$/.test(bits));
    if (!isGood || prefix > most) {
      throw new ModferryError(
        'bad_range',
        `${JSON.stringify(range)} is no address and no range like 10.0.0.0/8`,
      );
    }
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

function isWithin(list: BlockList, from: string): boolean {
  const address = from.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function json(status: WebhookAnswer['status'], value: object): WebhookAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

function text(status: WebhookAnswer['status'], sentence: string): WebhookAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${sentence}\n` };
}
