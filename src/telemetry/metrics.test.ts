import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { newHotCounters, type RequestEvents } from '../proxy/request-events.ts';
import { noCounts } from '../scrub/types.ts';
import { RequestMetrics } from './request-metrics.ts';
import { type Line, linesOf, type MetricsFixture, metricsFixture, upstreamFigures } from './test-metrics.ts';

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

function request(changes: Partial<RequestEvents['request']> = {}): RequestEvents['request'] {
  return {
    artifact: 'zip',
    source: 'upstream:cn',
    status: 200,
    bytes: 1000,
    tookMs: 80,
    firstByteMs: 30,
    aborted: false,
    ...changes,
  };
}

const key = { path: 'example.com/m' as ModulePath, version: 'v1.0.0' as Version, ext: 'zip' } as const;

/** One of everything that is counted. */
function tellAll({ requests, health, ingest, scrub, hot }: MetricsFixture): void {
  requests.emit('request', request());
  requests.emit('request', request({ aborted: true }));
  health.emit('attempt', { upstream: 'cn', answerClass: 'zip', code: 'ok', tookMs: 40 });
  health.emit('body', { upstream: 'cn', answerClass: 'zip', bytes: 5000, tookMs: 9, isComplete: true });
  health.emit('probe', { upstream: 'cn', code: 'timeout', tookMs: 3000, message: '' });
  health.emit('hedge', { upstream: 'io' });
  health.emit('repeat', { upstream: 'io', nth: 1 });
  health.emit('switched', { route: 'public', from: 'cn', to: 'io', cause: '' });
  ingest.emit('takeOver', { key, from: 'cn', to: 'io', atByte: 1, how: 'resumed', cause: '' });
  ingest.emit('refused', { key, source: 'cn', reason: '' });
  const trust = { unproven: 'off' } as const;
  ingest.emit('published', { key, sizeBytes: 1, source: 'cn', byLookAhead: false, trust });
  const suspect = {
    key,
    cause: 'mismatch',
    source: 'cn',
    reason: '',
    sha256: '',
    sizeBytes: 1,
    atMs: 0,
  } as const;
  ingest.emit('mismatch', { ...suspect, quarantineId: undefined });
  ingest.emit('healed', { key, from: ['cn'], source: 'io' });
  scrub.emit('rotten', { key, reason: '', cause: 'rotten' });
  scrub.emit('finished', { ...noCounts, tookMs: 1 });
  hot.info.requests += 10;
  hot.info.bytes += 1500;
}

interface Described {
  readonly help: string | undefined;
  readonly type: string | undefined;
}

function describedIn(text: string): Map<string, Described> {
  const found = new Map<string, { help: string | undefined; type: string | undefined }>();
  for (const [, what = '', name = '', rest = ''] of text.matchAll(/^# (HELP|TYPE) (\S+) (.*)$/gm)) {
    const one = found.get(name) ?? { help: undefined, type: undefined };
    if (what === 'HELP') one.help = rest;
    else one.type = rest;
    found.set(name, one);
  }
  return found;
}

/** The rules of `promtool check metrics`, as far as they concern us. */
function faultsOf(name: string, { help, type }: Described): string[] {
  const faults: string[] = [];
  if (help === undefined || help === '') faults.push('no HELP');
  if (!['counter', 'gauge', 'histogram'].includes(type ?? '')) faults.push('no TYPE');
  if (!/^[a-z][a-z0-9_]*$/.test(name)) faults.push('not in snake case');
  if ((type === 'counter') !== name.endsWith('_total')) faults.push('_total belongs to counters');
  if (name.endsWith('_info') && type !== 'gauge') faults.push('_info belongs to gauges');
  if (/_(count|sum|bucket)$/.test(name)) faults.push('suffix of a histogram');
  if (/(^|_)(counter|gauge|histogram|summary)(_|$)/.test(name)) faults.push('has its type in its name');
  if (/_(ms|milliseconds|us|minutes|hours|kb|kib|mb|mib|percent)(_|$)/.test(name))
    faults.push('no base unit');
  return faults;
}

describe('the page of metrics', () => {
  it('keeps the rules of promtool', async () => {
    const fixture = metricsFixture();
    tellAll(fixture);
    const { body, contentType } = await fixture.metrics.text();
    const described = describedIn(body);
    const faults = [...described].flatMap(([name, one]) => faultsOf(name, one).map((fault) => [name, fault]));

    expect(faults).toEqual([]);
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body.endsWith('\n')).toBe(true);
    for (const { name } of linesOf(body).values()) {
      const family = described.get(name) ?? described.get(name.replace(/_(bucket|sum|count)$/, ''));
      expect(family, name).toBeDefined();
    }
  });

  it('has what docs/metrics.md names, with those labels, and nothing else', async () => {
    const rows = Array.from(
      page.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|/gm),
      ([, name = '', type = '', labels = '']) => ({
        name,
        type,
        labels: Array.from(labels.matchAll(/`(\w+)`/g), ([, label = '']) => label).sort(),
      }),
    );
    const fixture = metricsFixture();
    tellAll(fixture);
    // Some are seen only after a while: garbage must be collected, the loop must run.
    await fixture.metrics.text();
    const { body } = await fixture.metrics.text();
    const described = describedIn(body);
    const lines = [...linesOf(body).values()];

    expect(rows.map(({ name }) => name).sort()).toEqual([...described.keys()].sort());
    for (const { name, type, labels } of rows) {
      expect(described.get(name)?.type, name).toBe(type);
      const line = lines.find((each) => each.name === name || each.name === `${name}_count`);
      if (line !== undefined) expect(Object.keys(line.labels).sort(), name).toEqual(labels);
    }
    const silent = rows.filter(({ name }) => !lines.some((line) => line.name.startsWith(name)));
    expect(silent.map(({ name }) => name).filter((name) => !name.startsWith('nodejs_'))).toEqual([
      // Not known without a walk over the store.
      'modferry_store_bytes',
    ]);
  });

  it('is the same for those who ask at the same time', async () => {
    let asked = 0;
    const { metrics } = metricsFixture({
      space: () => {
        asked += 1;
        return Promise.resolve({ freeBytes: 1, totalBytes: 2 });
      },
    });
    const [first, second] = await Promise.all([metrics.text(), metrics.text()]);
    expect(asked).toBe(1);
    expect(first).toBe(second);
  });

  it('leaves out what cannot be known', async () => {
    const { scrape } = metricsFixture({ space: () => Promise.reject(new Error('EIO')) });
    const lines = await scrape();
    expect([...lines.keys()].filter((series) => series.startsWith('modferry_store'))).toEqual([]);
    expect(lines.get('modferry_config_revision')?.value).toBe(3);
  });

  it('is refused after close, and nothing is counted any more', async () => {
    const { metrics } = metricsFixture();
    metrics.close();
    await expect(metrics.text()).rejects.toMatchObject({ code: 'stopping' });

    const requests = new EventBus<RequestEvents>();
    const counting = new RequestMetrics({ requests, hot: newHotCounters() });
    const answers = (): number => counting.families[0]?.samples().length ?? Number.NaN;
    requests.emit('request', request());
    counting.close();
    requests.emit('request', request({ artifact: 'mod' }));
    expect(answers()).toBe(1);
  });

  it('keeps no process alive once it has been read', async () => {
    const url = (file: string): string => new URL(file, import.meta.url).href;
    const script = `
      const { EventBus } = await import('${url('../lib/event-bus.ts')}');
      const { newHotCounters } = await import('${url('../proxy/request-events.ts')}');
      const { createMetrics } = await import('${url('./metrics.ts')}');
      const bus = new EventBus();
      const metrics = createMetrics({ requests: bus, health: bus, ingest: bus, scrub: bus, hot: newHotCounters(),
        databases: () => [], now: () => 0,
        figures: () => [], space: async () => ({ freeBytes: 1, totalBytes: 2 }),
        service: () => ({ lookAhead: {} , mode: 'normal', version: 'x', nodeVersion: 'y', revision: 1, fills: 0,
          queued: 0, joins: 0, negatives: 0, eventWriteErrors: 0 }) });
      console.log((await metrics.text()).body.includes('modferry_build_info'));`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 15_000,
    });
    expect(stdout).toBe('true\n');
  });
});

describe('requests', () => {
  it('are counted with the ready answers, which are not timed', async () => {
    const { requests, hot, scrape } = metricsFixture();
    requests.emit('request', request({ artifact: 'info', source: 'store', bytes: 100, tookMs: 4 }));
    hot.info.requests = 10;
    hot.info.bytes = 1500;
    const lines = await scrape();
    const value = (series: string): number | undefined => lines.get(series)?.value;
    expect(value('modferry_requests_total{artifact="info",source="store",status="200"}')).toBe(11);
    expect(value('modferry_response_bytes_total{artifact="info",source="store"}')).toBe(1600);
    expect(value('modferry_hits_total{kind="memory"}')).toBe(10);
    expect(value('modferry_hits_total{kind="disk"}')).toBe(1);
    expect(value('modferry_request_duration_seconds_count{artifact="info",source="store"}')).toBe(1);
    expect(value('modferry_request_duration_seconds_sum{artifact="info",source="store"}')).toBeCloseTo(0.004);
  });

  it('go up from scrape to scrape', async () => {
    const { requests, hot, scrape } = metricsFixture();
    requests.emit('request', request());
    await scrape();
    requests.emit('request', request({ source: 'upstream:io' }));
    hot.mod.requests += 1;
    const lines = await scrape();
    expect(lines.get('modferry_requests_total{artifact="zip",source="upstream",status="200"}')?.value).toBe(
      2,
    );
    expect(lines.get('modferry_misses_total{artifact="zip"}')?.value).toBe(2);
    expect(lines.get('modferry_requests_total{artifact="mod",source="store",status="200"}')?.value).toBe(1);
  });

  it('are timed in buckets that add up', async () => {
    const { requests, scrape } = metricsFixture();
    for (const tookMs of [1, 9, 10, 11, 400_000]) requests.emit('request', request({ tookMs }));
    requests.emit('request', request({ tookMs: Number.NaN }));
    const lines = await scrape();
    const upTo = (le: string): number | undefined =>
      [...lines.values()].find(
        (line) => line.name === 'modferry_request_duration_seconds_bucket' && line.labels['le'] === le,
      )?.value;
    expect([upTo('0.001'), upTo('0.01'), upTo('0.025'), upTo('300'), upTo('+Inf')]).toEqual([1, 3, 4, 4, 5]);
  });

  it('that were aborted are counted, not timed', async () => {
    const { requests, scrape } = metricsFixture();
    requests.emit('request', request({ status: 499, source: 'none', aborted: true, bytes: 0 }));
    const lines = await scrape();
    expect(lines.get('modferry_requests_aborted_total{artifact="zip"}')?.value).toBe(1);
    expect(lines.get('modferry_requests_total{artifact="zip",source="none",status="499"}')?.value).toBe(1);
    expect([...lines.keys()].some((series) => series.startsWith('modferry_request_duration'))).toBe(false);
  });
});

describe('upstreams', () => {
  it('have one state each', async () => {
    const { scrape } = metricsFixture({
      figures: () => [
        upstreamFigures('cn', { state: 'out', breaker: 'half_open', favouriteOf: ['corp.example/secret'] }),
      ],
    });
    const lines = [...(await scrape()).values()];
    const set = (name: string): string[] =>
      lines
        .filter((line) => line.name === name && line.value === 1)
        .map(({ labels }) => Object.values(labels).join());
    expect(set('modferry_upstream_state')).toEqual(['cn,out']);
    expect(set('modferry_upstream_breaker_state')).toEqual(['cn,half_open']);
    expect(set('modferry_upstream_favourite')).toEqual(['cn,private']);
    expect(lines.filter(({ name }) => name === 'modferry_upstream_state')).toHaveLength(5);
  });

  it('have counters before anything happens to them', async () => {
    const { scrape } = metricsFixture();
    const lines = await scrape();
    for (const series of [
      'modferry_hedges_total{upstream="io"}',
      'modferry_upstream_bytes_total{upstream="cn"}',
      'modferry_switches_total{route="public"}',
      'modferry_take_overs_total{how="restarted"}',
    ]) {
      expect(lines.get(series)?.value, series).toBe(0);
    }
  });

  it('are counted by what became of their attempts; the first choice is no switch', async () => {
    const { health, scrape } = metricsFixture();
    health.emit('attempt', { upstream: 'cn', answerClass: 'meta', code: 'ok', tookMs: 150 });
    health.emit('attempt', { upstream: 'cn', answerClass: 'meta', code: 'timeout', tookMs: 5000 });
    health.emit('switched', { route: 'public', from: undefined, to: 'cn', cause: 'the first choice' });
    health.emit('switched', { route: 'public', from: 'cn', to: undefined, cause: '' });
    health.emit('switched', { route: 'corp.example/secret', from: 'cn', to: 'io', cause: '' });
    const lines = await scrape();
    const attempts = 'modferry_upstream_attempts_total{upstream="cn",class="meta",result';
    expect(lines.get(`${attempts}="ok"}`)?.value).toBe(1);
    expect(lines.get(`${attempts}="timeout"}`)?.value).toBe(1);
    expect(lines.get('modferry_upstream_first_byte_seconds_count{upstream="cn",class="meta"}')?.value).toBe(
      1,
    );
    expect(lines.get('modferry_switches_total{route="public"}')?.value).toBe(1);
    expect(lines.get('modferry_switches_total{route="private"}')?.value).toBe(1);
    // A route may be named by its pattern: whoever scrapes is not told.
    expect([...lines.keys()].filter((series) => series.includes('corp.example'))).toEqual([]);
  });

  it('may have any name, and any number of them', async () => {
    const odd = 'a"b\\c\nd';
    const names = [odd, ...Array.from({ length: 500 }, (_, index) => `mirror-${index}`)];
    const { health, scrape } = metricsFixture({ figures: () => names.map((name) => upstreamFigures(name)) });
    for (const upstream of names) health.emit('hedge', { upstream });
    const lines = [...(await scrape()).values()];
    const hedges = lines.filter(({ name }) => name === 'modferry_hedges_total');
    expect(hedges).toHaveLength(51);
    expect(hedges.reduce((sum, { value }) => sum + value, 0)).toBe(501);
    expect(hedges.find(({ labels }) => labels['upstream'] === 'other')?.value).toBe(451);
    expect(hedges.map(({ labels }) => labels['upstream'])).toContain('a\\"b\\\\c\\nd');
    expect(lines.filter(({ name }) => name === 'modferry_upstream_score')).toHaveLength(50);
  });
});

describe('labels', () => {
  it('stay bounded whatever is told', async () => {
    const { requests, ingest, scrape } = metricsFixture();
    const count = async (): Promise<number> => [...(await scrape()).values()].filter(isOurs).length;
    for (let status = 100; status < 600; status += 100) requests.emit('request', request({ status }));
    const before = await count();
    for (let index = 0; index < 2_000; index += 1) {
      requests.emit('request', request({ source: `upstream:m${index}`, status: 1000 + index }));
      requests.emit('request', request({ source: `odd ${index}`, status: Number.NaN }));
      ingest.emit('refused', { key, source: `m${index}`, reason: '' });
    }
    // `other` for the status, `none` for the source with its two histograms, and fifty names.
    expect((await count()) - before).toBeLessThan(110);
  });
});

function isOurs({ name }: Line): boolean {
  return name.startsWith('modferry_');
}
