/** Publishes what was verified, and tells how that went: nobody waits for it but the shutdown. */
import type { ArtifactKey } from '../gomod/types.ts';
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { PublishFacts, Store, Trust } from '../store/store.ts';
import { goModHash } from './go-mod-hash.ts';
import type { VerifiedZip } from './growing-body.ts';
import { isDiskFull } from './safe-sink.ts';
import type { Sink } from './sink.ts';
import type { SmallFile } from './small-fill.ts';
import type { IngestEvents } from './types.ts';

type PublishResult = Awaited<ReturnType<Awaited<ReturnType<Store['stage']>>['publish']>>;

interface Origin {
  readonly source: string;
  readonly sizeBytes: number;
  readonly byLookAhead: boolean;
  readonly trust: Trust;
}

export class Publisher {
  readonly #store: Store;
  readonly #events: EventBus<IngestEvents>;
  readonly #running = new Set<Promise<void>>();

  constructor(store: Store, events: EventBus<IngestEvents>) {
    this.#store = store;
    this.#events = events;
  }

  /** Resolves when nothing is being published any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Never rejects. `done` is called when it is over and must not reject. */
  async small(
    key: ArtifactKey,
    file: SmallFile,
    byLookAhead: boolean,
    done: () => Promise<void>,
  ): Promise<void> {
    const running = this.#stageAndPublish(key, file, byLookAhead).then(() => {
      this.#running.delete(running);
      return done();
    });
    this.#running.add(running);
    await running;
  }

  /** Never rejects. A zip that is not staged is not published. */
  async zip(key: ArtifactKey, sink: Sink, zip: VerifiedZip, byLookAhead: boolean): Promise<void> {
    const { staged } = sink;
    if (staged === undefined) return;
    const { sha256, h1, source, sizeBytes, trust } = zip;
    const running = staged
      .publish({ sha256, h1, source, ...trust })
      .then((result) => this.#report(key, result, { source, sizeBytes, byLookAhead, trust }))
      .catch((error: unknown) => this.#failed(key, error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    await running;
  }

  async #stageAndPublish(key: ArtifactKey, file: SmallFile, byLookAhead: boolean): Promise<void> {
    let staged: Awaited<ReturnType<Store['stage']>> | undefined;
    try {
      staged = await this.#store.stage(key);
      await staged.write([file.body]);
      const { sha256, source, body, trust } = file;
      const h1 = key.ext === 'mod' ? { h1: goModHash(body) } : {};
      const facts: PublishFacts = { sha256, source, ...h1, ...trust };
      this.#report(key, await staged.publish(facts), { source, sizeBytes: body.length, byLookAhead, trust });
    } catch (error) {
      this.#failed(key, error);
    } finally {
      await staged?.close();
    }
  }

  #report(key: ArtifactKey, result: PublishResult, origin: Origin): void {
    const { source } = origin;
    if (result.outcome === 'conflict') {
      const { record, offered } = result;
      this.#events.emit('conflict', { key, storedSha256: record.sha256, offeredSha256: offered, source });
    } else {
      this.#events.emit('published', { key, ...origin });
    }
  }

  #failed(key: ArtifactKey, error: unknown): void {
    const code = error instanceof ModferryError ? error.code : (errnoOf(error) ?? 'unknown');
    if (code === 'purged') {
      this.#events.emit('withheld', { key });
      return;
    }
    const message = messageOf(error);
    if (isDiskFull(error)) this.#events.emit('passedThrough', { key, reason: message });
    else this.#events.emit('publishFailed', { key, code, message });
  }
}
