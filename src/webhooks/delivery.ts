/** What is known of a delivery, and its one line of JSON in the data folder. */
import { fieldOf, isObject, textOf } from './json-body.ts';
import { type Forge, forges, type Push, type PushedRef } from './types.ts';

export interface Delivery {
  /** Ours, 12 hex digits: names it in `modferry deliveries`. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Name of the webhook. */
  readonly webhook: string;
  readonly forge: Forge;
  readonly event: string;
  /** Address, or `local` for a replay. */
  readonly from: string;
  readonly push: Push;
  /** Refs of the push that are not in `push.refs`, because there were too many. */
  readonly refsLeftOut: number;
  /** Of the delivery that this one repeats by an operator's order. */
  readonly replayOf: string | undefined;
  /** It was interrupted by the end of a process, and begun again by another one. Default false. */
  readonly isResumed?: boolean | undefined;
}

/** What came of a push. */
export interface DeliveryResult {
  /** `unknown`: no repository here has one of its addresses. `part`: something was refused. */
  readonly outcome: 'done' | 'part' | 'unknown' | 'failed';
  /** MODULE@VERSION, stored now. */
  readonly published: readonly string[];
  /** Modules whose lists and answers are asked anew. */
  readonly refreshed: readonly string[];
  /** What could not be had, and why. */
  readonly refused: readonly { readonly name: string; readonly why: string }[];
}

/** `waiting` until it is done; one that was interrupted stays so until modferry starts again. */
export interface DeliveryRecord extends Delivery {
  readonly state: 'waiting' | DeliveryResult['outcome'];
  readonly result: DeliveryResult | undefined;
  /** Undefined while it waits. */
  readonly tookMs: number | undefined;
}

/** Of the line, without it: `push` is bounded where it is read. */
const maxListed = 200;
const maxWhyLength = 300;

/** The object of one line, also what `modferry deliveries --json` prints. */
export function deliveryJson(record: DeliveryRecord): object {
  const { id, atMs, webhook, forge, event, from, push, state, result, tookMs } = record;
  return {
    id,
    at: new Date(atMs).toISOString(),
    webhook,
    forge,
    event,
    from,
    push: { urls: push.urls, refs: push.refs.map(({ ref, after }) => ({ ref, after: after ?? null })) },
    ...(record.refsLeftOut > 0 ? { refsLeftOut: record.refsLeftOut } : {}),
    ...(record.replayOf === undefined ? {} : { replayOf: record.replayOf }),
    ...(record.isResumed === true ? { resumed: true } : {}),
    state,
    ...(result === undefined ? {} : { result: boundedResult(result) }),
    ...(tookMs === undefined ? {} : { tookMs: Math.round(tookMs) }),
  };
}

function boundedResult({ published, refreshed, refused }: DeliveryResult): object {
  return {
    published: published.slice(0, maxListed),
    refreshed: refreshed.slice(0, maxListed),
    refused: refused.slice(0, maxListed).map(({ name, why }) => ({
      name,
      why: why.length > maxWhyLength ? `${why.slice(0, maxWhyLength)}…` : why,
    })),
  };
}

/** Undefined for a torn line, or one of something else. */
export function parseDeliveryLine(line: string): DeliveryRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const [id, webhook, event] = [textOf(value, 'id'), textOf(value, 'webhook'), textOf(value, 'event')];
  const from = textOf(value, 'from');
  const forge = forges.find((known) => known === fieldOf(value, 'forge'));
  const state = states.find((known) => known === fieldOf(value, 'state'));
  const atMs = Date.parse(textOf(value, 'at') ?? '');
  const push = pushOf(fieldOf(value, 'push'));
  if (id === undefined || webhook === undefined || event === undefined || from === undefined)
    return undefined;
  if (forge === undefined || state === undefined || push === undefined || Number.isNaN(atMs))
    return undefined;
  return {
    id,
    atMs,
    webhook,
    forge,
    event,
    from,
    push,
    refsLeftOut: numberOf(fieldOf(value, 'refsLeftOut')) ?? 0,
    replayOf: textOf(value, 'replayOf'),
    isResumed: fieldOf(value, 'resumed') === true,
    state,
    result: state === 'waiting' ? undefined : resultOf(fieldOf(value, 'result'), state),
    tookMs: numberOf(fieldOf(value, 'tookMs')),
  };
}

const states = ['waiting', 'done', 'part', 'unknown', 'failed'] as const;

function pushOf(value: unknown): Push | undefined {
  const refs = fieldOf(value, 'refs');
  if (!Array.isArray(refs)) return undefined;
  const pushed: PushedRef[] = [];
  for (const each of refs) {
    const ref = textOf(each, 'ref');
    if (ref === undefined) return undefined;
    pushed.push({ ref, after: textOf(each, 'after') });
  }
  return { urls: textsOf(fieldOf(value, 'urls')), refs: pushed };
}

function resultOf(value: unknown, outcome: DeliveryResult['outcome']): DeliveryResult {
  const refused = fieldOf(value, 'refused');
  return {
    outcome,
    published: textsOf(fieldOf(value, 'published')),
    refreshed: textsOf(fieldOf(value, 'refreshed')),
    refused: (Array.isArray(refused) ? refused : []).filter(isObject).map((each) => ({
      name: textOf(each, 'name') ?? '',
      why: textOf(each, 'why') ?? '',
    })),
  };
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
