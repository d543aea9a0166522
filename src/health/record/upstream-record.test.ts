import { describe, expect, it } from 'vitest';
import { owners, path, testRecord } from './test-record.ts';

const m = path('example.com/m');
const n = path('example.com/n');

describe('what is seen', () => {
  it('at the start is nothing: healthy, full score, no figures', () => {
    const { record, clock } = testRecord();
    expect(record.figures(owners)).toMatchObject({
      name: 'one',
      url: 'https://one.example.com',
      state: 'healthy',
      sinceMs: clock.now(),
      cause: '',
      score: 100,
      stars: 5,
      ttfbMs: { meta: undefined, zip: undefined },
      jitterMs: undefined,
      breaker: 'closed',
      lastError: undefined,
      lastProbe: undefined,
      avoidedModules: 0,
    });
    expect(record.cost('meta')).toBeUndefined();
    expect(record.quantileMs('meta', 0.5)).toBeUndefined();
    expect(record.hasTrialPlace).toBe(false);
    expect(record.tryTakeTrial()).toBeUndefined();
  });

  it('makes latency of small answers and probes together, and of zips apart', () => {
    const { record, see, probe } = testRecord();
    see('ok', { tookMs: 100 });
    probe('ok', { tookMs: 100 });
    see('ok', { kind: 'zip', tookMs: 2_000 });
    expect(record.samples('meta')).toBe(2);
    expect(record.samples('zip')).toBe(1);
    expect(record.quantileMs('meta', 0.99)).toBeCloseTo(100, -1);
    expect(record.quantileMs('zip', 0.5)).toBeGreaterThan(1_900);
    expect(record.figures(owners).windows['5m'].p99Ms).toBeLessThan(110);
  });

  it('takes absences for good answers that tell nothing of latency', () => {
    const { record, see } = testRecord();
    see('absent', { tookMs: 20_000, status: 404 });
    see('gone', { tookMs: 20_000, status: 410 });
    expect(record.state).toBe('healthy');
    expect(record.samples('meta')).toBe(0);
    expect(record.figures(owners).windows['5m']).toMatchObject({ answers: 2, failures: 0, successRate: 1 });
  });

  it.each(['aborted', 'skipped', 'busy', 'loop'] as const)('learns nothing from %s', (code) => {
    const { record, see, told } = testRecord();
    for (let nth = 0; nth < 30; nth += 1) see(code, { modulePath: path(`example.com/${nth}`) });
    expect(record.figures(owners)).toMatchObject({ state: 'healthy', score: 100, lastError: undefined });
    expect(record.figures(owners).windows['5m'].answers).toBe(0);
    expect(told).toEqual([]);
  });

  it('does not hold the sources of a parent against it', () => {
    const { record, see } = testRecord();
    see('status', { status: 502, isSourcesFault: true });
    see('status', { status: 503, retryAfterMs: 5_000, isSourcesFault: true });
    expect(record).toMatchObject({ state: 'healthy', restUntilMs: undefined });
  });

  it.each([
    'dns',
    'connect',
    'tls',
    'proxy',
    'proxy_auth',
    'timeout',
    'reset',
    'truncated',
    'status',
    'redirect',
    'protocol',
    'refused',
  ] as const)('takes %s for a failure', async (code) => {
    const { record, see, clock } = testRecord();
    await clock.advance(700);
    see(code, { message: 'because', status: code === 'status' ? 500 : undefined });
    const figures = record.figures(owners);
    expect(figures).toMatchObject({ state: 'suspect', cause: `${code}: because` });
    expect(figures.lastError).toEqual({ code, message: 'because', atMs: clock.now() });
    expect(figures.windows['24h']).toMatchObject({ answers: 1, failures: 1, successRate: 0 });
    expect(figures.score).toBeCloseTo(75);
    expect(record.lastFailureAtMs).toBe(700);
    expect(record.samples('meta')).toBe(0);
  });

  it('weighs probes half', () => {
    const { record, probe, clock } = testRecord();
    probe('timeout', { tookMs: 3_000 });
    expect(record.score).toBeCloseTo(85.7, 1);
    expect(record.figures(owners).lastProbe).toEqual({ atMs: clock.now(), ok: false, tookMs: 3_000 });
    probe('absent');
    expect(record.figures(owners).lastProbe).toMatchObject({ ok: true });
  });

  it('lowers the score by latency beside the bound, which an absolute limit replaces', () => {
    const relative = testRecord({}, { latencyBoundMs: () => 250 });
    relative.see('ok', { tookMs: 500 });
    expect(relative.record.score).toBeGreaterThan(45);
    expect(relative.record.score).toBeLessThan(55);
    const absolute = testRecord({ latencyLimitMs: 1_000 }, { latencyBoundMs: () => 250 });
    absolute.see('ok', { tookMs: 500 });
    expect(absolute.record.score).toBe(100);
  });

  it('gives jitter and peaks', () => {
    const { record, see } = testRecord();
    see('ok', { tookMs: 100 });
    see('ok', { tookMs: 140 });
    expect(record.figures(owners)).toMatchObject({ jitterMs: 40, ttfbMs: { meta: 140, zip: undefined } });
  });

  it('costs more with requests under way and with failures', () => {
    const { record, see } = testRecord();
    see('ok', { tookMs: 100 });
    expect(record.cost('meta')).toBeCloseTo(100);
    expect(record.cost('zip')).toBeCloseTo(100);
    const leave = record.begin();
    expect(record.inFlight).toBe(1);
    expect(record.cost('meta')).toBeCloseTo(200);
    leave();
    leave();
    expect(record.inFlight).toBe(0);
    see('reset');
    expect(record.cost('meta')).toBeCloseTo(100 / 0.8 ** 2);
  });

  it('is slow by half of its answers, with five samples at least', async () => {
    const { record, see, pass, told } = testRecord({}, { latencyBoundMs: () => 250 });
    for (let nth = 0; nth < 4; nth += 1) see('ok', { tookMs: 400 });
    await pass(20_000);
    expect(record.state).toBe('healthy');
    see('ok', { tookMs: 400 });
    await pass(11_000);
    expect(told).toEqual(['state healthy slow']);
  });
});

describe('zips', () => {
  const broken = { kind: 'zip', part: 'body', modulePath: path('example.com/m') } as const;

  it.each(['timeout', 'truncated', 'reset'] as const)(
    'that end by %s are asked of others for a while, whatever probes say',
    async (code) => {
      const { record, see, probe, pass } = testRecord();
      see(code, broken);
      probe('ok');
      see('ok', { kind: 'meta' });
      expect(record.isAvoidedForZips).toBe(true);
      await pass(60_000);
      expect(record.isAvoidedForZips).toBe(false);
    },
  );

  it('are asked again after a good one', () => {
    const { record, see } = testRecord();
    see('reset', broken);
    see('ok', { kind: 'zip', part: 'body' });
    expect(record.isAvoidedForZips).toBe(false);
  });

  it('with wrong bytes say nothing of other zips', () => {
    const { record, see } = testRecord();
    see('refused', broken);
    expect(record.isAvoidedForZips).toBe(false);
  });
});

describe('being beaten', () => {
  it('asks for a probe after three short silences in a row, which say nothing of health by themselves', () => {
    let doubts = 0;
    const { see, told } = testRecord({}, { onDoubt: () => (doubts += 1) });
    for (let nth = 0; nth < 2; nth += 1) see('beaten', { tookMs: 100 });
    see('ok');
    for (let nth = 0; nth < 2; nth += 1) see('beaten', { tookMs: 100 });
    expect(doubts).toBe(0);
    see('beaten', { tookMs: 100 });
    expect(doubts).toBe(1);
    expect(told).toEqual([]);
  });

  it('in doubt makes suspect when it is silent for longer than the quickest allows', () => {
    const { see, told, record } = testRecord({}, { latencyBoundMs: () => 230 });
    for (let nth = 0; nth < 2; nth += 1) see('beaten', { tookMs: 300 });
    expect(told).toEqual([]);
    expect(record.isDoubted).toBe(false);
    see('beaten', { tookMs: 229 });
    expect(record.isDoubted).toBe(true);
    expect(told).toEqual([]);
    see('beaten', { tookMs: 231 });
    expect(told).toEqual(['state healthy suspect']);
  });

  it('is no failure, and suspicious only after long silence', () => {
    const { record, see } = testRecord();
    see('beaten', { tookMs: 1_000 });
    expect(record.state).toBe('healthy');
    see('beaten', { tookMs: 1_001 });
    const figures = record.figures(owners);
    expect(figures).toMatchObject({
      state: 'suspect',
      cause: 'beaten: silent for 1001 ms while another answered',
    });
    expect(figures.windows['5m'].failures).toBe(0);
    expect(record.lastFailureAtMs).toBeUndefined();
  });

  it('is judged by its own p95 and by the bound of its owner', () => {
    const usual = testRecord();
    for (let nth = 0; nth < 10; nth += 1) usual.see('ok', { kind: 'zip', tookMs: 3_000 });
    usual.see('beaten', { kind: 'zip', tookMs: 2_500 });
    expect(usual.record.state).toBe('healthy');
    usual.see('beaten', { kind: 'zip', tookMs: 4_000 });
    expect(usual.record.state).toBe('suspect');
    const patient = testRecord({}, { beatenIsSuspectAfterMs: () => 5_000 });
    patient.see('beaten', { tookMs: 4_000 });
    expect(patient.record.state).toBe('healthy');
  });

  it('teaches that it is slow, but never that it is quick', () => {
    const { record, see } = testRecord();
    for (let nth = 0; nth < 5; nth += 1) see('ok', { tookMs: 200 });
    see('beaten', { tookMs: 3 });
    expect(record.samples('meta')).toBe(5);
    for (let nth = 0; nth < 6; nth += 1) see('beaten', { tookMs: 600 });
    expect(record.quantileMs('meta', 0.5)).toBeGreaterThan(500);
    expect(record.figures(owners).ttfbMs.meta).toBe(600);
  });

  it('after its first byte says nothing', () => {
    const { record, see } = testRecord();
    see('beaten', { part: 'body', tookMs: 60_000 });
    expect(record.state).toBe('healthy');
  });

  it('never takes it out', () => {
    const { record, see } = testRecord();
    for (const modulePath of [m, n, m, n]) see('beaten', { tookMs: 5_000, modulePath });
    expect(record.state).toBe('suspect');
  });
});

describe('a rest', () => {
  it.each([
    [429, undefined, 30_000],
    [429, 5_000, 5_000],
    [503, 7_000, 7_000],
    [503, 0, 1_000],
    [429, 31_536_000_000, 300_000],
  ])('is taken for status %i with Retry-After %s: %i ms', async (status, retryAfterMs, forMs) => {
    const { record, see, told, clock } = testRecord();
    see('status', { status, retryAfterMs });
    expect(told).toEqual([`rest ${forMs}`]);
    expect(record).toMatchObject({ state: 'healthy', restUntilMs: forMs });
    expect(record.figures(owners)).toMatchObject({ restUntilMs: clock.now() + forMs, score: 100 });
    await clock.advance(forMs);
    expect(record.restUntilMs).toBeUndefined();
  });

  it('is not taken for a plain 503', () => {
    const { record, see } = testRecord();
    see('status', { status: 503 });
    expect(record).toMatchObject({ state: 'suspect', restUntilMs: undefined });
  });

  it('is told once and never becomes shorter', () => {
    const { record, see, told } = testRecord();
    see('status', { status: 429, retryAfterMs: 60_000 });
    see('status', { status: 429, retryAfterMs: 5_000 });
    expect(told).toEqual(['rest 60000']);
    expect(record.restUntilMs).toBe(60_000);
  });
});

it('tells throughput of long whole bodies and counts all bytes', () => {
  const { record } = testRecord();
  record.bodyEnded(262_144, 1_000, true);
  record.bodyEnded(9_000_000, 1_000, false);
  expect(record.bytesPerSecond).toBeUndefined();
  record.bodyEnded(1_000_000, 500, true);
  expect(record.bytesPerSecond).toBe(2_000_000);
  expect(record.figures(owners).windows['1h']).toMatchObject({
    bytes: 10_262_144,
    bytesPerSecond: 2_000_000,
  });
});
