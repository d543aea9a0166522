import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { healthDefaults } from '../test-options.ts';
import type { HealthState, Observation } from '../types.ts';
import { owners, path, testRecord } from './test-record.ts';

const codes = [
  'ok',
  'ok',
  'ok',
  'absent',
  'gone',
  'dns',
  'timeout',
  'reset',
  'truncated',
  'status',
  'refused',
  'beaten',
  'aborted',
  'busy',
] as const;

const observation: fc.Arbitrary<Observation> = fc.record(
  {
    kind: fc.constantFrom('probe', 'meta', 'zip'),
    part: fc.constantFrom('whole', 'head', 'body'),
    code: fc.constantFrom(...codes),
    tookMs: fc.nat(8_000),
    status: fc.constantFrom(429, 500, 503),
    retryAfterMs: fc.nat(1e9),
    modulePath: fc.nat(20).map((nth) => path(`example.com/${nth}`)),
  },
  { requiredKeys: ['kind', 'code', 'tookMs'] },
);

const step = fc.record({ seen: observation, stepMs: fc.nat(20_000) });
const steps = fc.array(step, { minLength: 1, maxLength: 120 });

function isUsed(state: HealthState): boolean {
  return state === 'healthy' || state === 'slow' || state === 'recovering';
}

describe('for any observations and times', () => {
  it('every figure is within its bounds', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.double({ min: 0, max: 0.999, noNaN: true }), async (all, random) => {
        const { record, pass } = testRecord({}, { random: () => random, latencyBoundMs: () => 300 });
        for (const { seen, stepMs } of all) {
          record.observe(seen);
          await pass(stepMs);
          const figures = record.figures(owners);
          for (const window of Object.values(figures.windows)) {
            expect(window.failures).toBeLessThanOrEqual(window.answers);
            const rate = window.successRate ?? 0;
            expect(rate >= 0 && rate <= 1).toBe(true);
          }
          expect(figures.score >= 0 && figures.score <= 100).toBe(true);
          expect(figures.stars >= 0 && figures.stars <= 5).toBe(true);
          expect(record.share >= 0.1 && record.share <= 1).toBe(true);
          expect(figures.stars === 0 || figures.state !== 'out').toBe(true);
          // The breaker opens together with `out`, and `out` waits for it.
          expect(record.breaker === 'closed' || record.state === 'out').toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('it only goes the ways that the states allow', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { record, told, pass } = testRecord({ outAfter: 2 }, { latencyBoundMs: () => 300 });
        for (const { seen, stepMs } of all) {
          record.observe(seen);
          await pass(stepMs);
        }
        const ways = told.filter((line) => line.startsWith('state'));
        const allowed =
          /^state (healthy (slow|suspect|out)|slow (healthy|suspect|out)|recovering (healthy|suspect|out)|suspect (recovering|out)|out recovering)$/;
        let state = 'healthy';
        for (const way of ways) {
          expect(way).toMatch(allowed);
          const [, from, to = ''] = way.split(' ');
          expect(from).toBe(state);
          state = to;
        }
        expect(record.state).toBe(state);
      }),
      { numRuns: 60 },
    );
  });

  it('out and suspect always end after enough good probes and time', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { record, probe, pass } = testRecord({ outAfter: 2 });
        for (const { seen, stepMs } of all) {
          record.observe(seen);
          await pass(stepMs);
        }
        const longestMs = healthDefaults.outForMaxMs * 1.2 + healthDefaults.breaker.openMaxMs;
        for (let waitedMs = 0; waitedMs <= longestMs + 60_000; waitedMs += 5_000) {
          await pass(5_000);
          probe('ok');
        }
        expect(record).toMatchObject({ state: 'healthy', breaker: 'closed' });
      }),
      { numRuns: 15 },
    );
  });

  it('a half-open breaker lets through one trial at once', async () => {
    const trial = fc.record({ stepMs: fc.nat(1_500), release: fc.nat(3), seen: fc.option(observation) });
    await fc.assert(
      fc.asyncProperty(fc.array(trial, { minLength: 1, maxLength: 200 }), async (all) => {
        const { record, see, pass } = testRecord({ breaker: { ...healthDefaults.breaker, openMs: 1_000 } });
        let open: { release: () => void; atMs: number }[] = [];
        let nowMs = 0;
        for (let nth = 0; nth < 20; nth += 1) see('reset');
        for (const { stepMs, release, seen } of all) {
          if (seen !== null) record.observe(seen);
          if (record.breaker === 'half_open') {
            // Taken while it was out with a closed breaker, or lost for a minute: no trials of this breaker.
            const held = open.filter((one) => nowMs - one.atMs < 60_000).length;
            const taken = record.tryTakeTrial();
            expect(held > 0 && taken !== undefined).toBe(false);
            if (taken !== undefined) open.push({ release: taken, atMs: nowMs });
          }
          if (release === 0) {
            for (const one of open) one.release();
            open = [];
          }
          await pass(stepMs);
          nowMs += stepMs;
        }
      }),
      { numRuns: 40 },
    );
  });

  it('it is lost from use no more often than its stays allow', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 50, maxLength: 300 }), async (all) => {
        const { record, told, clock } = testRecord();
        let nowMs = 0;
        for (const { seen, stepMs } of all) {
          record.observe(seen);
          record.tick();
          await clock.advance(stepMs / 10);
          nowMs += stepMs / 10;
        }
        const losses = told.filter((line) => /^state (healthy|slow|recovering) (suspect|out)$/.test(line));
        // The first two cost nothing to speak of; each later one follows a stay of a minute, or of 48 s while out.
        expect(losses.length).toBeLessThanOrEqual(2 + nowMs / 48_000);
      }),
      { numRuns: 30 },
    );
  });
});

/** 2 s up, 2 s down; a request each 100 ms while it is used. When it was lost from use, in ms since the start. */
async function flap(hours: number, probeEveryMs: number): Promise<number[]> {
  const { record, events, see, probe, clock } = testRecord();
  const lossesMs: number[] = [];
  events.on('state', ({ from, to }) => {
    if (isUsed(from) && !isUsed(to)) lossesMs.push(clock.monotonic());
  });
  let nth = 0;
  for (let atMs = 0; atMs < hours * 3_600_000; atMs += 100) {
    const isUp = atMs % 4_000 < 2_000;
    if (atMs % probeEveryMs === 0) probe(isUp ? 'ok' : 'connect', { tookMs: 0 });
    if (isUsed(record.state)) {
      nth += 1;
      see(isUp ? 'ok' : 'connect', { modulePath: path(`example.com/${nth % 7}`), tookMs: 0 });
    }
    if (atMs % 1_000 === 0) record.tick();
    // A whole second at once: one turn of the event loop each is what makes this slow.
    if (atMs % 1_000 === 900) await clock.advance(1_000);
  }
  return lossesMs;
}

describe('flapping 2 s up, 2 s down', () => {
  it.each([
    { probeEveryMs: 10_000, atLeast: 2 },
    { probeEveryMs: 10_300, atLeast: 2 },
    // Probes that only ever meet it while it is up.
    { probeEveryMs: 8_000, atLeast: 20 },
  ])('is used at most once a minute after its first minute (probe every $probeEveryMs ms)', async (one) => {
    const lossesMs = await flap(2, one.probeEveryMs);
    expect(lossesMs.length).toBeGreaterThanOrEqual(one.atLeast);
    for (const [nth, atMs] of lossesMs.entries()) {
      if (nth >= 2) expect(atMs - (lossesMs[nth - 1] ?? 0)).toBeGreaterThanOrEqual(60_000);
    }
    expect(lossesMs.length).toBeLessThanOrEqual(120);
  });
});
