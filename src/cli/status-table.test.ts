import { describe, expect, it } from 'vitest';
import { emptyWindow, quietFigures } from '../health/test-figures.ts';
import type { UpstreamFigures } from '../health/types.ts';
import { ageText, type StatusAnswer, statusText } from './status-table.ts';

const nowMs = Date.parse('2026-01-02T03:04:05Z');

function upstream(more: Partial<UpstreamFigures>): UpstreamFigures {
  return quietFigures({ sinceMs: nowMs - 3_600_000, ...more });
}

function answer(...upstreams: readonly UpstreamFigures[]): StatusAnswer {
  return {
    version: '0.1.0',
    startedAt: new Date(nowMs - 65_000).toISOString(),
    urls: ['http://localhost:8080'],
    draining: false,
    mode: { mode: 'normal', untilMs: null },
    isFrozen: false,
    strategy: { public: 'priority', private: 'priority' },
    upstreams,
    store: {},
    fills: 0,
    proofs: {
      database: 'sum.golang.org',
      mode: 'require',
      unproven: false,
      databases: [{ name: 'sum.golang.org', treeSize: 9, isForked: false }],
    },
  };
}

/** As it comes over the socket: JSON has no undefined. */
function text(status: StatusAnswer): string {
  return statusText(JSON.parse(JSON.stringify(status)) as StatusAnswer, nowMs);
}

describe('statusText', () => {
  it('shows name, state, stars, success, latencies, breaker, age and the last error on one line', () => {
    const recent = { ...emptyWindow, p50Ms: 31.6, p95Ms: 12_345 };
    const shown = text(
      answer(
        upstream({
          favouriteOf: ['public'],
          jitterMs: 7.2,
          windows: { '5m': recent, '1h': emptyWindow, '24h': { ...emptyWindow, successRate: 0.9996 } },
          lastError: { code: 'timeout', message: 'no first byte in time', atMs: nowMs - 7_260_000 },
        }),
      ),
    );
    expect(shown).toContain('modferry 0.1.0, up 1m 5s, mode normal\nlistening on http://localhost:8080\n');
    expect(shown).toMatch(
      /^→ {2}cn {4}healthy {2}★★★★★ {2}99\.9 % {2}32 ms {2}12\.3 s {2}7 ms {4}closed {3}1h {5}timeout: no first byte in time \(2h 1m ago\)$/m,
    );
  });

  it('says nothing it does not know', () => {
    expect(text(answer(upstream({ stars: 0, score: 0 })))).toMatch(
      /^ {3}cn {4}healthy {2}☆☆☆☆☆ {2}- {7}- {4}- {4}- {7}closed {3}1h {5}-$/m,
    );
  });

  it.each<[string, Partial<UpstreamFigures>, RegExp]>([
    ['an operator goes before health', { isTakenOut: true, state: 'healthy' }, / taken out /],
    ['a pin', { isPinned: true, state: 'suspect' }, / suspect, pinned /],
    ['a rest', { restUntilMs: nowMs + 20_000 }, / resting 20s /],
    ['a rest that is over', { restUntilMs: nowMs - 1 }, / healthy /],
    ['an open breaker', { breaker: 'open', breakerUntilMs: nowMs + 12_000 }, / open 12s /],
    ['a trial', { breaker: 'half_open' }, / half open /],
    ['a level', { level: 2 }, / cn \(level 2\) /],
  ])('tells %s', (_name, more, expected) => {
    expect(text(answer(upstream(more)))).toMatch(expected);
  });

  it('tells the mode, what is left of it, and a frozen order', () => {
    const status = { ...answer(), mode: { mode: 'offline', untilMs: nowMs + 90_000 }, isFrozen: true };
    expect(text(status)).toContain('mode offline for 1m 30s more, order frozen\n');
    expect(text(status)).toContain('no upstreams\n');
  });

  it('keeps control characters and long texts of an upstream out of the table', () => {
    const message = `bad\nanswer ${'x'.repeat(500)}`;
    const shown = text(answer(upstream({ lastError: { code: 'status', message, atMs: nowMs } })));
    expect(shown.split('\n').every((line) => line.length < 200)).toBe(true);
    expect(shown).toContain('status: bad answer xxx');
  });
});

describe('ageText', () => {
  it.each([
    [-5, '0s'],
    [499, '0s'],
    [8_000, '8s'],
    [725_000, '12m 5s'],
    [3_600_000, '1h'],
    [3_605_000, '1h'],
    [273_600_000, '3d 4h'],
  ])('%i ms are %s', (ms, expected) => {
    expect(ageText(ms)).toBe(expected);
  });
});
