/** Fetches an artifact again in place of one that was withdrawn, and holds what was published against what it must be. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Asker, Ingest } from '../ingest/ingest.ts';
import { type IngestEvents, SourcesFailure } from '../ingest/types.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { sleep } from '../lib/sleep.ts';
import type { ArtifactRecord, Store } from '../store/store.ts';

/** What is known of the content that must come. */
export interface Expected {
  /** Lower-case hex, of the bytes that were published; other bytes of the same content are as good. Empty: not known. */
  readonly sha256: string;
  readonly h1?: string | undefined;
}

export type HealResult =
  | { readonly outcome: 'healed'; readonly source: string }
  /** One sentence. */
  | { readonly outcome: 'failed'; readonly reason: string };

/** Fetches it from the sources and publishes it. Rejects only with the signal's reason. */
export type Heal = (key: ArtifactKey, expected: Expected, signal: AbortSignal) => Promise<HealResult>;

export interface HealDeps {
  readonly ingest: Pick<Ingest, 'small' | 'zip'>;
  /** The bus that `ingest` tells on. */
  readonly events: EventBus<IngestEvents>;
  readonly store: Pick<Store, 'open' | 'withdraw'>;
  readonly clock: Clock;
}

/** The news of the withdrawal may reach ingest late and stop the very fill that heals. */
const tries = 3;
const pauseMs = 1_000;
/** Verified bytes are published within moments, or not at all. */
const publishMs = 60_000;

export function healThrough(deps: HealDeps): Heal {
  return async (key, expected, signal) => {
    for (let left = tries - 1; ; left -= 1) {
      try {
        await fill(deps, key, signal);
        return await compare(deps, key, expected);
      } catch (error) {
        signal.throwIfAborted();
        const isCancelled = error instanceof SourcesFailure && error.code === 'cancelled';
        if (!isCancelled || left === 0) return { outcome: 'failed', reason: messageOf(error) };
        await sleep(deps.clock, pauseMs, signal);
      }
    }
  };
}

/** Resolves when it is published, or cannot be. */
async function fill(
  { ingest, events, clock }: HealDeps,
  key: ArtifactKey,
  signal: AbortSignal,
): Promise<void> {
  const settled = Promise.withResolvers<void>();
  const hear = (event: { readonly key: ArtifactKey }): void => {
    const { path, version, ext } = event.key;
    if (path === key.path && version === key.version && ext === key.ext) settled.resolve();
  };
  const ends = (['published', 'conflict', 'publishFailed', 'withheld', 'passedThrough'] as const).map(
    (type) => events.on(type, hear),
  );
  const asker: Asker = { signal, background: true };
  try {
    if ((await fetched(ingest, key, asker)) === 'stored') return;
    const timer = clock.setTimeout(() => settled.resolve(), publishMs);
    try {
      await raceAbort(settled.promise, signal);
    } finally {
      timer.cancel();
    }
  } finally {
    for (const end of ends) end();
  }
}

async function fetched(ingest: HealDeps['ingest'], key: ArtifactKey, asker: Asker): Promise<unknown> {
  const { path, version, ext } = key;
  if (ext !== 'zip') {
    const file = await ingest.small({ path, version, ext }, asker);
    return file;
  }
  const follower = ingest.zip(key, asker);
  try {
    const body = await follower.open(true, asker.signal);
    return body;
  } finally {
    follower.leave();
  }
}

async function compare(
  { store, clock }: HealDeps,
  key: ArtifactKey,
  expected: Expected,
): Promise<HealResult> {
  const file = await store.open(key);
  if (file === undefined) return { outcome: 'failed', reason: 'it was fetched, but could not be published' };
  const { record } = file;
  try {
    if (isExpected(key, record, expected)) return { outcome: 'healed', source: record.source };
  } finally {
    await file.close();
  }
  const reason = `${record.source} has other content than was published`;
  await store.withdraw(key, {
    key,
    cause: 'mismatch',
    source: record.source,
    reason,
    sha256: record.sha256,
    sizeBytes: record.sizeBytes,
    expectedH1: expected.h1,
    foundH1: record.h1,
    expectedSha256: expected.sha256,
    expectedBy: 'record',
    atMs: clock.now(),
  });
  return { outcome: 'failed', reason };
}

function isExpected(key: ArtifactKey, record: ArtifactRecord, expected: Expected): boolean {
  // A proof is worth more than our own memory, which may be what rotted.
  if (record.sha256 === expected.sha256 || record.proof !== undefined) return true;
  // Nothing is known of what was there before.
  if (expected.sha256 === '' && expected.h1 === undefined) return true;
  if (key.ext !== 'info') return expected.h1 === undefined ? key.ext === 'zip' : record.h1 === expected.h1;
  // Sources write it in many ways and the rotten copy is a poor yardstick; what can be checked was, on the way in.
  return true;
}
