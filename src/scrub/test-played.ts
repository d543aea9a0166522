/** Test help: a scrub over a store and a state that are played, so that nothing but the fake clock takes time. */
import { onTestFinished } from 'vitest';
import type { Judge } from '../checksums/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { FakeClock } from '../lib/fake-clock.ts';
import { keyOf, sha256Of } from '../store/contract/kit.ts';
import type { Store, VersionEntry } from '../store/store.ts';
import { hash1 } from '../zip/module-tree.ts';
import type { HashOptions } from './file-hasher.ts';
import { Scrub } from './scrub.ts';
import type { ScrubEvents, ScrubOptions, ScrubProgress, ScrubState } from './types.ts';

const sha256 = sha256Of('played');
const stepBytes = 100_000;

export function playedEntries(versions: number, sizeBytes: number): VersionEntry[] {
  return Array.from({ length: versions }, (_, number) => {
    const { path, version } = keyOf(`example.com/m${number}`, 'v1.0.0', 'mod');
    const h1 = hash1([{ name: 'go.mod', sha256 }]);
    const mod = { sizeBytes, sha256, h1, source: 'a', storedAtMs: 0, modifiedAtMs: 0 };
    return { path, version, artifacts: { mod } };
  });
}

export class PlayedState implements ScrubState {
  progress: ScrubProgress = {};
  /** What every change rejects with. */
  refuses: Error | undefined;

  async read(): Promise<ScrubProgress> {
    return this.progress;
  }

  async update(change: (before: ScrubProgress) => ScrubProgress | undefined): Promise<ScrubProgress> {
    if (this.refuses !== undefined) throw this.refuses;
    this.progress = structuredClone(change(this.progress) ?? this.progress);
    return this.progress;
  }
}

export interface PlayedScrub {
  readonly clock: FakeClock;
  readonly instance?: string;
  readonly state?: PlayedState;
  readonly entries?: readonly VersionEntry[];
  readonly options?: Partial<ScrubOptions>;
  readonly judge?: Judge;
  /** Called before each version; what it throws ends the walk. */
  readonly onWalk?: () => void;
  /** Waited for at the end of each file, whoever stops meanwhile. */
  readonly onHash?: () => Promise<void>;
}

export function playedScrub(played: PlayedScrub) {
  const { clock, instance = 'one', state = new PlayedState(), onWalk, judge } = played;
  const entries = played.entries ?? playedEntries(3, 1_000);
  const events = new EventBus<ScrubEvents>();
  const told: string[] = [];
  events.on('started', ({ resumed }) => told.push(resumed ? 'resumed' : 'started'));
  events.on('finished', ({ artifacts }) => told.push(`finished ${artifacts}`));
  events.on('failed', ({ reason }) => told.push(`failed ${reason}`));
  const options: ScrubOptions = {
    rateBytes: 0,
    everyMs: 86_400_000,
    hours: [],
    firstAfterMs: 0,
    ...played.options,
  };
  const current = { options };
  const store: Pick<Store, 'versions' | 'setTrust'> = {
    async *versions() {
      for (const entry of entries) {
        onWalk?.();
        yield entry;
      }
    },
    setTrust: async () => true,
  };
  const scrub = new Scrub({
    clock,
    // Nothing rots here, so nobody asks for the rest of a store.
    store: store as Store,
    paths: { artifact: (key) => key.path, zipHash: (key) => key.path },
    zips: { verify: () => Promise.reject(new Error('there are no zips')) },
    state,
    instance,
    events,
    ...(judge === undefined ? {} : { judge }),
    options: () => current.options,
    hasher: {
      async hash(path: string, { grant }: HashOptions = {}) {
        const sizeBytes = entries.find((entry) => entry.path === path)?.artifacts.mod?.sizeBytes ?? 0;
        for (let at = 0; at < sizeBytes; at += stepBytes) await grant?.(stepBytes);
        await played.onHash?.();
        return { sizeBytes, sha256 };
      },
      close: async () => {},
    },
  });
  onTestFinished(() => scrub.close());
  return { scrub, told, state, events, current };
}
