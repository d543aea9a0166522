import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Version } from '../../gomod/types.ts';
import { parseModules } from './bench-settings.ts';
import { figuresOf, percentile } from './mirror-figures.ts';
import { rankMirrors } from './ranking.ts';
import { recommend } from './recommendation.ts';
import { findDisputes } from './same-bytes-vote.ts';
import { failed, mirror, sample, zip } from './test-samples.ts';

const modules = parseModules(['example.com/a@v1.0.0']);
const rank = (names: readonly string[], samples: Parameters<typeof rankMirrors>[2]) =>
  rankMirrors(names.map(mirror), modules, samples);
const times = (count: number, make: (index: number) => ReturnType<typeof sample>) =>
  Array.from({ length: count }, (_, index) => make(index));

describe('percentiles', () => {
  it('are the nearest rank', () => {
    const values = [40, 10, 20, 30, 50];
    expect(percentile(values, 0.5)).toBe(30);
    expect(percentile(values, 0.95)).toBe(50);
    expect(percentile([10, 20], 0.5)).toBe(10);
    expect(percentile([7], 0.95)).toBe(7);
    expect(percentile([], 0.5)).toBeNull();
    expect(
      percentile(
        Array.from({ length: 100 }, (_, index) => index + 1),
        0.95,
      ),
    ).toBe(95);
  });

  it('leave the least share of the values above them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, share) => {
          const found = percentile(values, share);
          if (found === null) return false;
          const upTo = values.filter((value) => value <= found).length;
          const below = values.filter((value) => value < found).length;
          return values.includes(found) && upTo >= share * values.length && below < share * values.length;
        },
      ),
    );
  });
});

describe('figures', () => {
  it('take times from good requests only, and each step from those that took it', () => {
    const figures = figuresOf([
      sample('a', { dnsMs: 5, connectMs: 10, tlsMs: 20, firstByteMs: 100, isReused: false }),
      sample('a', { firstByteMs: 30 }),
      sample('a', { firstByteMs: 40 }),
      failed('a', 'timeout', { dnsMs: 9000, totalMs: 30_000 }),
    ]);
    expect(figures).toMatchObject({
      asked: 4,
      ok: 3,
      dnsMs: 5,
      connectMs: 10,
      proxyMs: null,
      tlsMs: 20,
      firstByteMs: { p50: 40, p95: 100 },
      firstByteNewMs: { p50: 100 },
      firstByteKeptMs: { p50: 30, p95: 40 },
    });
  });

  it('count errors by kind, statuses apart, the most frequent first', () => {
    const { faults } = figuresOf([
      failed('a', 'status', { status: 404 }),
      failed('a', 'status', { status: 503 }),
      failed('a', 'status', { status: 503 }),
      failed('a', 'dns'),
    ]);
    expect(faults.map(({ kind, status, count }) => [kind, status, count])).toEqual([
      ['status', 503, 2],
      ['status', 404, 1],
      ['dns', null, 1],
    ]);
  });

  it('give speed as all bytes by all time', () => {
    const { bytesPerSecond } = figuresOf([
      sample('a', { sizeBytes: 3_000_000, totalMs: 1500 }),
      sample('a', { sizeBytes: 1_000_000, totalMs: 500 }),
    ]);
    expect(bytesPerSecond).toBe(2_000_000);
  });
});

describe('the ranking', () => {
  it('puts the quicker one first, and both have all stars within 200 ms', () => {
    const { mirrors } = rank(
      ['slow', 'quick'],
      [sample('slow', { firstByteMs: 190 }), sample('quick', { firstByteMs: 20 })],
    );
    expect(mirrors.map(({ name, rank: place, stars, score }) => [name, place, stars, score])).toEqual([
      ['quick', 1, 5, 100],
      ['slow', 2, 5, 100],
    ]);
  });

  it('takes stars away for latency by (best + 200 ms) / p50, down to a fifth', () => {
    const { mirrors } = rank(
      ['quick', 'half', 'far'],
      [
        sample('quick', { firstByteMs: 100 }),
        sample('half', { firstByteMs: 600 }),
        sample('far', { firstByteMs: 60_000 }),
      ],
    );
    expect(mirrors.map(({ score, stars }) => [score, stars])).toEqual([
      [100, 5],
      [50, 3],
      [20, 1],
    ]);
  });

  it('takes stars away for failures; below half it is not usable', () => {
    const { mirrors } = rank(
      ['most', 'few', 'none'],
      [
        ...times(7, () => sample('most')),
        ...times(3, () => failed('most', 'status', { status: 500 })),
        ...times(4, () => sample('few')),
        ...times(6, () => failed('few', 'reset')),
        ...times(10, () => failed('none', 'dns')),
      ],
    );
    expect(mirrors.map(({ name, score, stars, isUsable }) => [name, score, stars, isUsable])).toEqual([
      ['most', 70, 4, true],
      ['few', 40, 2, false],
      ['none', 0, 0, false],
    ]);
  });

  it('does not measure others by a mirror that mostly fails quickly', () => {
    const { mirrors } = rank(
      ['bad', 'good'],
      [
        sample('bad', { firstByteMs: 1 }),
        ...times(9, () => failed('bad', 'status', { status: 500 })),
        sample('good', { firstByteMs: 900 }),
      ],
    );
    expect(mirrors[0]).toMatchObject({ name: 'good', stars: 5 });
  });

  it('counts the speed of large zips, not of small ones', () => {
    const large = { sizeBytes: 10_000_000 };
    const withZips = (size: { sizeBytes: number }) =>
      rank(
        ['fast', 'crawling'],
        [
          sample('fast'),
          sample('crawling'),
          zip('fast', 'h1:A', { ...size, totalMs: 1000 }),
          zip('crawling', 'h1:A', { ...size, totalMs: 10_000 }),
        ],
      ).mirrors.map(({ stars }) => stars);
    expect(withZips(large)).toEqual([5, 3]);
    expect(withZips({ sizeBytes: 10_000 })).toEqual([5, 5]);
  });

  it('has a mirror without a single good zip not usable', () => {
    const { mirrors } = rank(
      ['a'],
      [...times(9, () => sample('a')), failed('a', 'truncated', { kind: 'zip' })],
    );
    expect(mirrors[0]).toMatchObject({ isUsable: false });
  });
});

describe('wrong bytes', () => {
  const withZips = (...said: [string, string | null][]) =>
    rank(
      said.map(([name]) => name),
      said.flatMap(([name, h1]) => [
        sample(name, { firstByteMs: name === 'liar' ? 1 : 90 }),
        zip(name, h1, h1 === null ? { fault: { kind: 'content', message: 'no zip' } } : {}),
      ]),
    );

  it('put a mirror last and take all its stars, however quick it is', () => {
    const { mirrors, disputes } = withZips(['liar', 'h1:X'], ['a', 'h1:A'], ['b', 'h1:A']);
    expect(mirrors.at(-1)).toMatchObject({ name: 'liar', stars: 0, bytes: 'wrong', isUsable: false });
    expect(mirrors[0]).toMatchObject({ stars: 5, bytes: 'right', isUsable: true });
    expect(disputes).toEqual([
      {
        what: 'example.com/a@v1.0.0.zip',
        mirror: 'liar',
        verdict: 'wrong',
        identity: 'h1:X',
        expected: 'h1:A',
      },
    ]);
  });

  it('are unclear between two that disagree: neither is recommended', () => {
    const { mirrors } = withZips(['a', 'h1:A'], ['b', 'h1:B']);
    expect(mirrors.map(({ bytes, isUsable }) => [bytes, isUsable])).toEqual([
      ['unclear', false],
      ['unclear', false],
    ]);
    expect(recommend(mirrors).goproxy).toBeNull();
  });

  it('are decided by a known hash, even against the majority', () => {
    const [module] = modules;
    if (module === undefined) throw new Error('no module');
    const disputes = findDisputes(
      [zip('a', 'h1:X'), zip('b', 'h1:X'), zip('c', 'h1:GOOD')],
      [{ ...module, query: 'v1.0.0' as Version, zipH1: 'h1:GOOD' }],
    );
    expect(disputes.map((dispute) => dispute.mirror)).toEqual(['a', 'b']);
  });

  it('are also a zip that is none, and a mirror that says now this, now that', () => {
    const broken = withZips(['a', 'h1:A'], ['b', null]);
    expect(broken.mirrors.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['a', 'right'],
      ['b', 'wrong'],
    ]);
    const fickle = rank(['a', 'b'], [zip('a', 'h1:A'), zip('a', 'h1:A'), zip('b', 'h1:A'), zip('b', 'h1:B')]);
    expect(fickle.mirrors.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['a', 'right'],
      ['b', 'wrong'],
    ]);
  });

  it('are no matter of a transfer that broke, nor of different versions of @latest', () => {
    const { disputes } = rank(
      ['a', 'b', 'c'],
      [
        zip('a', 'h1:A'),
        failed('b', 'truncated', { kind: 'zip', sizeBytes: 3 }),
        zip('c', 'h1:B', { version: 'v1.1.0' }),
      ],
    );
    expect(disputes).toEqual([]);
  });
});

describe('the recommendation', () => {
  it('joins the good ones in their order by |, with direct behind a comma', () => {
    const { mirrors } = rank(
      ['second', 'first', 'far'],
      [
        sample('second', { firstByteMs: 50 }),
        sample('first', { firstByteMs: 20 }),
        sample('far', { firstByteMs: 60_000 }),
      ],
    );
    expect(recommend(mirrors)).toEqual({
      urls: ['https://first', 'https://second'],
      goproxy: 'https://first|https://second,direct',
      yaml: 'upstreams:\n  - url: "https://first"\n  - url: "https://second"\n',
    });
  });

  it('takes what is usable when nothing is good', () => {
    const { mirrors } = rank(
      ['meagre'],
      [...times(5, () => sample('meagre')), ...times(5, () => failed('meagre', 'status', { status: 500 }))],
    );
    expect(mirrors[0]?.stars).toBeLessThan(4);
    expect(recommend(mirrors).goproxy).toBe('https://meagre,direct');
  });
});
