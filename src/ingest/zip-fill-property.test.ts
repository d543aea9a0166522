import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArtifactKey } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { isStrongEtag } from '../upstream/answer-place.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamRequest,
} from '../upstream/types.ts';
import type { Follower } from './follower.ts';
import { MemorySink } from './sink.ts';
import { testProving } from './test-proving.ts';
import { fedWalk } from './test-source.ts';
import { SourcesFailure } from './types.ts';
import { ZipFill } from './zip-fill.ts';

const key = { path: 'example.com/a', version: 'v1.0.0', ext: 'zip' } as ArtifactKey;
const never = new AbortController().signal;
const sizeBytes = 300_000;
const blockBytes = 20_000;
/** They differ in every part, so that any mixture shows. */
const files = { one: randomBytes(sizeBytes), two: randomBytes(sizeBytes) };

class ZipError extends ModferryError {}

/** How a source behaves; one that lies has a strong ETag that another file has elsewhere. */
interface Behaviour {
  readonly file: keyof typeof files;
  readonly etag: string | undefined;
  readonly part: 'granted' | 'ignored' | 'none' | 'elsewhere';
  readonly everyMs: number;
  /** Where its first bodies end, and how. */
  readonly cuts: readonly { readonly afterBytes: number; readonly how: 'reset' | 'stall' }[];
}

class Source implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError = false;
  readonly #clock: FakeClock;
  readonly #behaviour: Behaviour;
  #asked = 0;

  constructor(name: string, clock: FakeClock, behaviour: Behaviour) {
    this.name = name;
    this.#clock = clock;
    this.#behaviour = behaviour;
  }

  async fetch({ fromByte = 0, ifRange }: UpstreamRequest): Promise<UpstreamAnswer> {
    const { etag, part, file } = this.#behaviour;
    const cut = this.#behaviour.cuts[this.#asked];
    this.#asked += 1;
    let offset = 0;
    const isCurrent = ifRange === undefined || (isStrongEtag(etag) && ifRange === etag);
    if (fromByte > 0 && isCurrent) {
      if (part === 'none') throw new UpstreamError(this.name, 'status', '416', { status: 416 });
      if (part === 'elsewhere')
        throw new UpstreamError(this.name, 'protocol', 'another part', { status: 206 });
      if (part === 'granted') offset = fromByte;
    }
    const state = { isCancelled: false, wake: () => {} };
    return {
      upstream: this.name,
      contentLength: sizeBytes - offset,
      offset,
      totalBytes: sizeBytes,
      contentType: 'application/zip',
      etag,
      lastModified: undefined,
      firstByteMs: 1,
      body: this.#body(files[file].subarray(offset), cut, state),
      cancel() {
        state.isCancelled = true;
        state.wake();
      },
    };
  }

  async close(): Promise<void> {}

  async *#body(
    bytes: Buffer,
    cut: Behaviour['cuts'][number] | undefined,
    state: { isCancelled: boolean; wake: () => void },
  ): AsyncGenerator<Buffer, void, void> {
    const end = Math.min(bytes.length, cut?.afterBytes ?? bytes.length);
    for (let at = 0; at < end; at += blockBytes) {
      await new Promise<void>((resolve) => {
        state.wake = resolve;
        this.#clock.setTimeout(resolve, this.#behaviour.everyMs);
      });
      if (state.isCancelled) throw new UpstreamError(this.name, 'aborted', 'dropped');
      yield bytes.subarray(at, Math.min(end, at + blockBytes));
    }
    if (end === bytes.length) return;
    if (cut?.how === 'reset') throw new UpstreamError(this.name, 'reset', 'connection reset');
    await new Promise<void>((resolve) => {
      state.wake = resolve;
    });
    throw new UpstreamError(this.name, 'aborted', 'dropped');
  }
}

/** All that one client ever gets, and whether its transfer ended well. */
async function consume(follower: Follower, hold: boolean) {
  const parts: Buffer[] = [];
  let position = 0;
  try {
    await follower.open(false, never, hold);
    for (;;) {
      const block = Buffer.alloc(7_000);
      const count = await follower.readAt(block, block.length, position, never);
      if (count === 0) return { bytes: Buffer.concat(parts), isComplete: true };
      parts.push(block.subarray(0, count));
      position += count;
    }
  } catch {
    return { bytes: Buffer.concat(parts), isComplete: false };
  } finally {
    follower.leave();
  }
}

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  file: fc.constantFrom('one', 'two'),
  etag: fc.constantFrom('"same"', '"other"', 'W/"same"', undefined),
  part: fc.constantFrom('granted', 'ignored', 'none', 'elsewhere'),
  everyMs: fc.constantFrom(1, 200, 2_000, 9_000),
  cuts: fc.array(
    fc.record({
      afterBytes: fc.integer({ min: 0, max: sizeBytes }),
      how: fc.constantFrom('reset', 'stall'),
    }),
    { maxLength: 2 },
  ),
});

describe('whatever sources do in the middle of a zip', () => {
  it('a client gets one whole file, or a broken transfer that begins like one', async () => {
    const scenario = fc.record({
      sources: fc.array(behaviour, { minLength: 1, maxLength: 3 }),
      clients: fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 20_000 }), hold: fc.boolean() }), {
        minLength: 1,
        maxLength: 4,
      }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ sources, clients }) => {
        const clock = new FakeClock();
        const upstreams = sources.map((one, index) => new Source(`s${index}`, clock, one));
        let openSinks = 0;
        const fill = new ZipFill(key, {
          clock,
          options: {
            holdMs: 500,
            tailBytes: 1_000,
            firstByteMs: { meta: 1_000, zip: 1_000 },
            lastHopeMs: 60_000,
            idleMs: 15_000,
            minRateBytes: 4_096,
            limits: { zipBytes: 1_000_000, inflatedBytes: 1_000_000, modBytes: 1, infoBytes: 1 },
            concurrency: 1,
            passThroughMemoryBytes: 0,
          },
          shareInMemoryBytes: 0,
          openWalk: (_signal, without) =>
            fedWalk(
              upstreams.filter(({ name }) => without?.has(name) !== true),
              clock,
            ).walk,
          accept: () => true,
          openSink: async () => {
            openSinks += 1;
            return new MemorySink(sizeBytes, () => {
              openSinks -= 1;
            });
          },
          verify: async (input) => {
            const bytes = 'buffer' in input ? input.buffer : Buffer.alloc(0);
            if (bytes.equals(files.one) || bytes.equals(files.two)) return { h1: 'h1:x' };
            throw new ZipError('bad_crc', 'bad CRC');
          },
          openProving: (signal) => testProving({ key, clock }, signal),
          publish: async () => {},
          claim: async () => 'ours',
          failure: async (failed) => new SourcesFailure('failed', 'no source', failed.outcomes),
          onRefused: () => {},
        });
        const first = consume(fill.join(), true);
        const running = clients.map(async ({ atMs, hold }) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, atMs));
          return { hold, ...(await consume(fill.join(), hold)) };
        });
        await clock.advance(900_000);
        const results = [{ hold: true, ...(await first) }, ...(await Promise.all(running))];
        const outcome = await fill.outcome.catch(() => undefined);

        for (const { bytes, isComplete, hold } of results) {
          const whole = Object.values(files).some((file) => bytes.equals(file));
          const begins = Object.values(files).some((file) => bytes.equals(file.subarray(0, bytes.length)));
          expect(isComplete).toBe(whole);
          // Who verifies for itself may see what a lying ETag has joined, but never its end.
          if (hold) expect(begins).toBe(true);
          if (outcome === undefined) expect(isComplete).toBe(false);
        }
        await clock.advance(0);
        expect({ openSinks, timers: clock.timers }).toEqual({ openSinks: 0, timers: 0 });
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
