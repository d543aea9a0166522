import { describe, expect, it } from 'vitest';
import { healthDefaults } from '../test-options.ts';
import { owners, path, testRecord } from './test-record.ts';

const m = path('example.com/m');
const n = path('example.com/n');

describe('out', () => {
  it('takes two modules: all probes are one, and all that belongs to none', () => {
    const probes = testRecord();
    for (let nth = 0; nth < 10; nth += 1) probes.probe('connect', { modulePath: path(`example.com/${nth}`) });
    expect(probes.record.state).toBe('suspect');
    probes.see('connect');
    expect(probes.record.state).toBe('out');
    const one = testRecord();
    for (let nth = 0; nth < 10; nth += 1) one.see('refused', { modulePath: m });
    expect(one.record.state).toBe('suspect');
    one.see('refused', { modulePath: n });
    expect(one.record.state).toBe('out');
  });

  it('comes with ten avoided modules even when good answers are between', async () => {
    const { record, see, told, clock } = testRecord();
    for (let nth = 0; nth < 10; nth += 1) {
      await clock.advance(100);
      see('truncated', { modulePath: path(`example.com/${nth}`) });
      see('ok', { modulePath: n });
    }
    expect(record.state).toBe('out');
    expect(told.at(-1)).toBe('state suspect out');
    expect(record.figures(owners)).toMatchObject({ stars: 0, avoidedModules: 10 });
    expect(record.figures(owners).cause).toMatch(/^it failed on 10 modules within 5 min, the last: example/);
  });

  it('by avoided modules takes ten more', async () => {
    const { record, see, probe, pass } = testRecord({ outForMs: 1_000 });
    for (let nth = 0; nth < 10; nth += 1) see('truncated', { modulePath: path(`example.com/${nth}`) });
    for (let nth = 0; nth < 3; nth += 1) probe('ok');
    await pass(2_000);
    expect(record.state).toBe('recovering');
    see('truncated', { modulePath: m });
    expect(record.state).toBe('suspect');
  });

  it('comes with the breaker, and ends only when that is closed', async () => {
    const { record, see, probe, pass, told } = testRecord({ goodProbes: 1 });
    for (let nth = 0; nth < 20; nth += 1) {
      see('ok');
      see('redirect');
    }
    expect(record).toMatchObject({ state: 'out', breaker: 'open', breakerUntilMs: 30_000 });
    probe('ok');
    await pass(60_000);
    expect(record).toMatchObject({ state: 'out', breaker: 'half_open' });
    probe('ok');
    probe('ok');
    expect(record.state).toBe('out');
    probe('ok');
    expect(record).toMatchObject({ state: 'recovering', breaker: 'closed' });
    expect(told.filter((line) => line.startsWith('breaker'))).toEqual([
      'breaker closed open',
      'breaker open half_open',
      'breaker half_open closed',
    ]);
  });

  it('ends in a slow start', async () => {
    const { record, see, probe, pass } = testRecord();
    for (const modulePath of [m, n, m]) see('timeout', { modulePath });
    for (let nth = 0; nth < 3; nth += 1) probe('ok');
    await pass(60_000);
    expect(record).toMatchObject({ state: 'recovering', share: 0.1 });
    await pass(30_000);
    expect(record).toMatchObject({ state: 'healthy', share: 1 });
  });
});

describe('trials', () => {
  it('while out are one at a time, 2 s apart', async () => {
    const { record, see, clock } = testRecord();
    for (const modulePath of [m, n, m]) see('timeout', { modulePath });
    const release = record.tryTakeTrial();
    expect(release).toBeDefined();
    await clock.advance(5_000);
    expect(record.hasTrialPlace).toBe(false);
    release?.();
    expect(record.hasTrialPlace).toBe(true);
    record.tryTakeTrial()?.();
    expect(record.tryTakeTrial()).toBeUndefined();
    await clock.advance(2_000);
    expect(record.tryTakeTrial()).toBeDefined();
  });

  it('while out are free once it has answered well, until it fails again', async () => {
    const { record, see, probe, clock } = testRecord();
    for (const modulePath of [m, n, m]) see('timeout', { modulePath });
    probe('ok');
    expect(record.tryTakeTrial()).toBeDefined();
    expect(record.tryTakeTrial()).toBeDefined();
    see('timeout', { modulePath: n });
    expect(record.hasTrialPlace).toBe(false);
    await clock.advance(60_000);
    expect(record.hasTrialPlace).toBe(true);
  });

  it('of a half-open breaker are one at a time', async () => {
    const { record, see, clock } = testRecord();
    for (let nth = 0; nth < 20; nth += 1) see('reset');
    await clock.advance(30_000);
    expect(record.breaker).toBe('half_open');
    record.tryTakeTrial()?.();
    const release = record.tryTakeTrial();
    expect(release).toBeDefined();
    expect(record.hasTrialPlace).toBe(false);
    see('ok');
    expect(record.hasTrialPlace).toBe(false);
    release?.();
    expect(record.hasTrialPlace).toBe(true);
  });
});

describe('modules', () => {
  it('are avoided after a failure on them until a good answer', () => {
    const { record, see, told } = testRecord();
    see('refused', { kind: 'zip', modulePath: m, message: 'the zip is broken' });
    expect(record.isAvoided(m)).toBe(true);
    expect(record.isAvoided(n)).toBe(false);
    expect(told).toContain('avoided example.com/m 60000');
    see('ok', { modulePath: m, part: 'head' });
    expect(record.isAvoided(m)).toBe(true);
    see('ok', { modulePath: m, part: 'body' });
    expect(record.isAvoided(m)).toBe(false);
  });

  it('are not avoided for what concerns the whole upstream, nor by probes', () => {
    const { record, see, probe } = testRecord();
    for (const code of ['dns', 'connect', 'tls', 'proxy', 'proxy_auth', 'redirect'] as const) {
      see(code, { modulePath: m });
    }
    probe('refused', { modulePath: m });
    expect(record.isAvoided(m)).toBe(false);
  });
});

describe('an answer in two parts', () => {
  it('has its latency with the first byte and its credit with the end of the body', () => {
    const { record, see } = testRecord();
    see('reset');
    see('ok', { kind: 'zip', part: 'head', tookMs: 50 });
    expect(record.samples('zip')).toBe(1);
    expect(record.state).toBe('suspect');
    see('ok', { kind: 'zip', part: 'body', tookMs: 900 });
    expect(record.state).toBe('recovering');
    expect(record.samples('zip')).toBe(1);
    expect(record.figures(owners).windows['5m'].answers).toBe(2);
  });

  it('is one failure when its body fails', () => {
    const { record, see } = testRecord();
    see('ok', { kind: 'zip', part: 'head' });
    see('truncated', { kind: 'zip', part: 'body', modulePath: m });
    expect(record.figures(owners).windows['5m']).toMatchObject({ answers: 1, failures: 1, successRate: 0 });
    expect(record.state).toBe('suspect');
  });

  it('does not mend with first bytes what fails in bodies', () => {
    const { record, see } = testRecord();
    for (const modulePath of [m, n, m]) {
      see('ok', { kind: 'zip', part: 'head', modulePath });
      see('timeout', { kind: 'zip', part: 'body', modulePath });
    }
    expect(record.state).toBe('out');
  });
});

it('clears breaker, rest, avoided modules and state by hand, and keeps the figures', () => {
  const { record, see, events } = testRecord();
  const causes: string[] = [];
  events.on('state', ({ to, cause }) => causes.push(`${to}: ${cause}`));
  for (let nth = 0; nth < 20; nth += 1) see('reset', { modulePath: m });
  see('status', { status: 429 });
  record.clear();
  expect(record).toMatchObject({ state: 'healthy', breaker: 'closed', restUntilMs: undefined });
  expect(record.isAvoided(m)).toBe(false);
  expect(causes.at(-1)).toBe('healthy: cleared by an operator');
  expect(record.figures(owners).windows['5m'].failures).toBe(20);
});

it('follows a new snapshot of the settings', () => {
  let options = healthDefaults;
  const { record, see } = testRecord({}, { options: () => options });
  options = { ...healthDefaults, outAfter: 2 };
  see('dns', { modulePath: m });
  see('dns', { modulePath: n });
  expect(record.state).toBe('out');
});
