/** Test help: a store in a folder with made-up modules in it, files that rot, and a scrub with all that it needs. */
import fs from 'node:fs';
import { onTestFinished } from 'vitest';
import { type FakeModule, fakeModule } from '../../test/kit/fake-module.ts';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { judgeOff } from '../checksums/test-judges.ts';
import type { Judge } from '../checksums/types.ts';
import type { ArtifactExt, ArtifactKey } from '../gomod/types.ts';
import { Ingest } from '../ingest/ingest.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { keyOf, sha256Of } from '../store/contract/kit.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import { Layout } from '../store/fs/layout.ts';
import { makeTestFolder, type TestFolder } from '../store/fs/test-folder.ts';
import type { Store, Trust, VersionEntry } from '../store/store.ts';
import { createHttpUpstream } from '../upstream/http-upstream.ts';
import { plainPlan } from '../upstream/plan.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { FileHasher, type FileHasherOptions } from './file-hasher.ts';
import { type Heal, healThrough } from './heal.ts';
import { Scrub, type ScrubDeps } from './scrub.ts';
import { openScrubState } from './state-file.ts';
import type { ScrubEvents, ScrubOptions } from './types.ts';

/** Runs at once, without a limit. */
export const atOnce: ScrubOptions = {
  rateBytes: 0,
  everyMs: 7 * 86_400_000,
  hours: [],
  firstAfterMs: 0,
  lookupsPerSecond: 0,
};

/** Modules `example.com/m0`, `example.com/m1`, … */
export function modulesOf(count: number, paddingBytes = 0): FakeModule[] {
  return Array.from({ length: count }, (_, number) =>
    fakeModule({ path: `example.com/m${number}`, paddingBytes }),
  );
}

export function keyIn(module: FakeModule, ext: ArtifactExt): ArtifactKey {
  return keyOf(module.path, module.version, ext);
}

/** Publishes all three files as ingest would. */
export async function storeModule(
  store: Pick<Store, 'stage'>,
  module: FakeModule,
  trust: Trust = {},
): Promise<void> {
  for (const ext of ['info', 'mod', 'zip'] as const) {
    const staged = await store.stage(keyIn(module, ext));
    await staged.write([module[ext]]);
    const h1 = ext === 'zip' ? { h1: module.zipH1 } : ext === 'mod' ? { h1: module.modH1 } : {};
    const proof = ext === 'info' ? { unproven: 'none' as const } : trust;
    await staged.publish({ sha256: sha256Of(module[ext]), source: 'first', ...h1, ...proof });
    await staged.close();
  }
}

/** One bit of a file, in its middle, with times left as they were: what a disk does. */
export function flipBit(file: string, at = 0.5): void {
  const { atime, mtime } = fs.statSync(file);
  const bytes = fs.readFileSync(file);
  const index = Math.floor(bytes.length * at);
  bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index);
  fs.writeFileSync(file, bytes);
  fs.utimesSync(file, atime, mtime);
}

/** Replaces a file's bytes and leaves its time as it was. */
export function overwrite(file: string, bytes: Uint8Array | string): void {
  const { atime, mtime } = fs.statSync(file);
  fs.writeFileSync(file, bytes);
  fs.utimesSync(file, atime, mtime);
}

export async function storedBytes(store: Pick<Store, 'open'>, key: ArtifactKey): Promise<Buffer | undefined> {
  const file = await store.open(key);
  try {
    return await file?.readAll();
  } finally {
    await file?.close();
  }
}

export async function entryOf(store: Store, module: FakeModule): Promise<VersionEntry | undefined> {
  for await (const entry of store.versions()) if (entry.path === module.path) return entry;
  return undefined;
}

/** A folder with modules, and who opens stores and scrubs on it. */
export async function setUp(modules: readonly FakeModule[], trust: Trust = {}) {
  const folder = makeTestFolder();
  const store = await folder.open();
  for (const module of modules) await storeModule(store, module, trust);
  return { folder, store, layout: new Layout(folder.path) };
}

export function newHasher(options: FileHasherOptions = {}): FileHasher {
  const hasher = new FileHasher(options);
  onTestFinished(() => hasher.close());
  return hasher;
}

export function newVerifier(): ZipVerifier {
  const zips = new ZipVerifier();
  onTestFinished(() => zips.close());
  return zips;
}

let instances = 0;

/** A scrub as the service makes it; `told` are its events, progress left out. */
export function makeScrub(
  folder: Pick<TestFolder, 'path'>,
  store: FsStore,
  more: Partial<Omit<ScrubDeps, 'options'>> & { options?: ScrubOptions | (() => ScrubOptions) } = {},
) {
  const events = new EventBus<ScrubEvents>();
  const told: string[] = [];
  const nameOf = (key: ArtifactKey): string => `${key.path}@${key.version}.${key.ext}`;
  events.on('started', ({ resumed }) => told.push(resumed ? 'resumed' : 'started'));
  events.on('finished', (report) => told.push(`finished ${report.artifacts}`));
  events.on('failed', ({ reason }) => told.push(`failed ${reason}`));
  for (const type of ['rotten', 'renewed', 'unreadable', 'proven'] as const) {
    events.on(type, ({ key }) => told.push(`${type} ${nameOf(key)}`));
  }
  events.on('healed', ({ key, source }) => told.push(`healed ${nameOf(key)} ${source}`));
  events.on('quarantined', ({ key }) => told.push(`quarantined ${nameOf(key)}`));
  const { options = atOnce, clock = systemClock, ...deps } = more;
  instances += 1;
  const scrub = new Scrub({
    clock,
    store,
    paths: new Layout(folder.path),
    zips: newVerifier(),
    state: openScrubState(folder.path, systemClock),
    instance: `scrub-${instances}`,
    events,
    ...deps,
    options: typeof options === 'function' ? options : () => options,
  });
  onTestFinished(() => scrub.close());
  return { scrub, events, told };
}

/** The next event of a kind. */
export function next<Type extends keyof ScrubEvents>(
  events: EventBus<ScrubEvents>,
  type: Type,
  fits: (payload: ScrubEvents[Type]) => boolean = () => true,
): Promise<ScrubEvents[Type]> {
  return new Promise((resolve) => {
    const end = events.on(type, (payload) => {
      if (!fits(payload)) return;
      end();
      resolve(payload);
    });
  });
}

/** A real upstream on 127.0.0.1 with these modules, and an ingest that asks it. */
export async function healingFrom(
  store: Store,
  modules: readonly FakeModule[],
  options: { judge?: Judge; clock?: Clock } = {},
) {
  const { judge = judgeOff, clock = systemClock } = options;
  const server = await startFakeUpstream({ modules });
  const upstream = createHttpUpstream({
    name: 'mirror',
    url: server.url,
    version: '1.2.3',
    instanceId: 'me',
  });
  const events = new EventBus<IngestEvents>();
  const ingest = new Ingest({
    clock,
    store,
    verifier: newVerifier(),
    judge,
    events,
    options: () => ({
      holdMs: 2_000,
      tailBytes: 1024,
      firstByteMs: { meta: 5_000, zip: 5_000 },
      lastHopeMs: 60_000,
      idleMs: 15_000,
      minRateBytes: 0,
      limits: { zipBytes: 1e8, inflatedBytes: 1e8, modBytes: 1e6, infoBytes: 65_536 },
      concurrency: 4,
      passThroughMemoryBytes: 0,
    }),
    plan: (_path, answerClass) =>
      plainPlan({ upstreams: [upstream], answerClass, firstByteMs: 5_000, lastHopeMs: 60_000 }),
    isPrivate: () => false,
    knownToExist: async () => true,
    absenceHint: () => undefined,
    shareInMemoryBytes: 0,
  });
  onTestFinished(async () => {
    await ingest.close();
    await upstream.close();
    await server.close();
  });
  const heal: Heal = healThrough({ ingest, events, store, clock });
  return { heal, server, ingest, events };
}
