/** For tests of taking over: a fill of one file over upstreams fed by hand, and what it tells. */
import { randomBytes } from 'node:crypto';
import type { ArtifactKey } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Follower } from './follower.ts';
import type { TakeOver } from './relay-body.ts';
import { MemorySink } from './sink.ts';
import { testProving } from './test-proving.ts';
import { FedUpstream, fedWalk } from './test-source.ts';
import { SourcesFailure } from './types.ts';
import { ZipFill, type ZipFillDeps } from './zip-fill.ts';

const key = { path: 'example.com/a', version: 'v1.0.0', ext: 'zip' } as ArtifactKey;
export const never = new AbortController().signal;
export const sizeBytes = 400 * 1024;
export const file = Buffer.alloc(sizeBytes, randomBytes(1000));
export const other = Buffer.from(file.map((byte) => byte ^ 0xff));
export const at = 100_000;
export const etag = '"one"';
export const whole = { contentLength: sizeBytes };
export const tagged = { ...whole, etag };

class ZipError extends ModferryError {}

/** The rest of the file from `from`, as a 206 says it. */
export function rest(from: number, more: object = {}) {
  return { contentLength: sizeBytes - from, offset: from, totalBytes: sizeBytes, etag, ...more };
}

/** A fill over fed upstreams named by one letter each, the first three of which come back by name. */
export function startFill(names: string, overrides: Partial<ZipFillDeps> = {}) {
  const upstreams = names.split('').map((name) => new FedUpstream(name));
  const { walk, clock } = fedWalk(upstreams);
  const takeOvers: TakeOver[] = [];
  const refused: string[] = [];
  const fetched: unknown[] = [];
  const deps: ZipFillDeps = {
    clock,
    options: {
      holdMs: 2_000,
      tailBytes: 1024,
      firstByteMs: { meta: 1_000, zip: 1_000 },
      lastHopeMs: 60_000,
      idleMs: 15_000,
      minRateBytes: 4096,
      limits: { zipBytes: 10_000_000, inflatedBytes: 10_000_000, modBytes: 1, infoBytes: 1 },
      concurrency: 1,
      passThroughMemoryBytes: 0,
    },
    shareInMemoryBytes: 10_000_000,
    openWalk: (_signal, without) => {
      if (without === undefined) return walk;
      const others = upstreams.filter(({ name }) => !without.has(name));
      return fedWalk(others, clock).walk;
    },
    accept: () => true,
    openSink: async () => new MemorySink(1_000_000, () => {}),
    verify: async (input) => {
      const bytes = 'buffer' in input ? input.buffer : Buffer.alloc(0);
      if (!bytes.equals(file) && !bytes.equals(other)) throw new ZipError('bad_crc', 'bad CRC');
      return { h1: 'h1:x' };
    },
    openProving: (signal) => testProving({ key, clock }, signal),
    publish: async () => {},
    claim: async () => 'ours',
    failure: async (failed) => new SourcesFailure('failed', 'no source', failed.outcomes),
    onRefused: (source, reason) => refused.push(`${source}: ${reason}`),
    onTakeOver: (event) => takeOvers.push(event),
    onFetched: ({ source, outcomes }) =>
      fetched.push({ source, outcomes: outcomes.map((one) => `${one.source} ${one.code}`) }),
    ...overrides,
  };
  const fill = new ZipFill(key, deps);
  const [a, b, c] = upstreams as [FedUpstream, FedUpstream, FedUpstream];
  return { fill, clock, walk, a, b, c, takeOvers, refused, fetched };
}

/** Reads until so many bytes are here, or the end. */
export async function read(follower: Follower, from: number, atMost = sizeBytes): Promise<Buffer> {
  const block = Buffer.alloc(atMost);
  let got = 0;
  while (got < atMost) {
    const count = await follower.readAt(block.subarray(got), atMost - got, from + got, never);
    if (count === 0) break;
    got += count;
  }
  return block.subarray(0, got);
}

/** As `startFill`, with one follower, when `a` has said what it has and sent the first `at` bytes of it. */
export async function fillWithPart(names: string) {
  const started = startFill(names);
  const { fill, clock, a } = started;
  fill.join();
  await clock.advance(0);
  a.say(tagged, file.subarray(0, at));
  return started;
}
