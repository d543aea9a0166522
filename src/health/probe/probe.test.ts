import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import { startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import {
  captivePortal,
  drip,
  endless,
  type Fault,
  flipByte,
  garbage,
  hugeHeaders,
  redirectLoop,
  reset,
  stall,
  status,
} from '../../../test/kit/faults.ts';
import type { FakeClock } from '../../lib/fake-clock.ts';
import { TestServers } from '../../upstream/test-servers.ts';
import { UpstreamError } from '../../upstream/types.ts';
import { defaultProbe } from './probe.ts';
import { answer, FakeTarget, options, rightFile, setUp, silence } from './test-prober.ts';

describe('the default probe', () => {
  it('is the go.mod that the checksum database proves for this version', () => {
    const sha256 = createHash('sha256').update(rightFile).digest('hex');
    expect(defaultProbe.sha256).toBe(sha256);
    // As in every go.sum that names it.
    const h1 = createHash('sha256').update(`${sha256}  go.mod\n`).digest('base64');
    expect(h1).toBe('bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=');
  });
});

describe('one probe', () => {
  it('has timed out when the answer is not whole in time, and the next one waits for its end', async () => {
    const { clock, prober, target, state, probes } = setUp();
    state.options = { ...options, everyMs: 500 };
    target.script = silence;
    prober.start();
    await clock.advance(3_049);
    expect(target.seen).toEqual([]);
    await clock.advance(1);
    expect(target.seen).toMatchObject([{ kind: 'probe', code: 'timeout', tookMs: 3_000 }]);
    expect(probes).toEqual([
      { upstream: 'up', code: 'timeout', tookMs: 3_000, message: 'no whole answer within 3 s' },
    ]);
    await clock.advance(60_000);
    expect(target.peak).toBe(1);
  });

  it('is compared with the known file', async () => {
    const { clock, prober, target } = setUp();
    target.script = async () => answer('module github.com/evil/errors\n');
    prober.start();
    await clock.advance(100);
    expect(target.seen).toMatchObject([
      { code: 'refused', message: "the probe's file was altered: a captive portal or rewriting mirror?" },
    ]);
  });

  it('is compared with the hash of the configuration, of its own entry first', async () => {
    const { clock, prober, target, state } = setUp();
    const sha256 = createHash('sha256').update('mine').digest('hex');
    state.options = { ...options, path: '/general', sha256: 'f'.repeat(64) };
    target.probe = { path: '/own', sha256 };
    target.script = async (_request, nth) => answer(nth === 1 ? 'mine' : 'other');
    prober.start();
    await clock.advance(100);
    await clock.advance(10_000);
    expect(target.requests.map((request) => request.target)).toEqual(['/own', '/own']);
    expect(target.codes).toEqual(['ok', 'refused']);
  });

  it('takes any small text where no hash is known, but no page', async () => {
    const { clock, prober, target } = setUp();
    target.probe = { path: '/health', sha256: '' };
    target.script = async (_request, nth) =>
      answer(nth === 1 ? 'fine' : '<!doctype html><title>Log in</title>');
    prober.start();
    await clock.advance(100);
    await clock.advance(10_000);
    expect(target.codes).toEqual(['ok', 'refused']);
  });

  it.each(['absent', 'gone'] as const)('is good when the file is %s', async (code) => {
    const { clock, prober, target } = setUp();
    target.script = async () => {
      throw new UpstreamError('up', code, 'status 4xx', { status: 404 });
    };
    prober.start();
    await clock.advance(100);
    expect(target.seen).toMatchObject([{ kind: 'probe', code, status: 404 }]);
    expect(await prober.probeNow('up')).toMatchObject([{ name: 'up', code }]);
  });

  it('hands on what a refusal said of a pause', async () => {
    const { clock, prober, target } = setUp();
    target.script = async () => {
      throw new UpstreamError('up', 'status', 'status 429', { status: 429, retryAfterMs: 30_000 });
    };
    prober.start();
    await clock.advance(100);
    expect(target.seen).toMatchObject([{ code: 'status', status: 429, retryAfterMs: 30_000 }]);
  });
});

describe('a parent modferry', () => {
  const facts = { version: '1.2.3', failoverMs: 6_000 };

  it('is asked for /readyz as soon as it is known to be one, and tells its facts', async () => {
    const { clock, prober, target } = setUp();
    target.script = async () => {
      target.parent = facts;
      return answer(target.requests.length === 1 ? rightFile : 'ready\n');
    };
    prober.start();
    await clock.advance(100);
    await clock.advance(10_000);
    expect(target.requests.map((request) => request.target)).toEqual([options.path, '/readyz', '/readyz']);
    expect(target.askedAtMs.slice(0, 2)).toEqual([50, 50]);
    expect(target.codes).toEqual(['ok', 'ok', 'ok']);
    expect(target.noted).toEqual([facts, facts, facts]);
  });

  it('has failed while it is not ready', async () => {
    const { clock, prober, target } = setUp();
    target.parent = facts;
    target.script = async () => {
      throw new UpstreamError('up', 'status', 'status 503: stopping', { status: 503 });
    };
    prober.start();
    await clock.advance(100);
    expect(target.seen).toMatchObject([{ code: 'status', message: 'not ready: status 503: stopping' }]);
  });

  it('is asked for its own path where its entry names one', async () => {
    const { clock, prober, target } = setUp();
    target.parent = facts;
    target.probe = { path: '/own', sha256: '' };
    prober.start();
    await clock.advance(100);
    expect(target.requests.map((request) => request.target)).toEqual(['/own']);
  });
});

describe('against real servers', () => {
  const errors = fakeModule({ path: 'github.com/pkg/errors', version: 'v0.9.1', hasGoMod: false });

  const servers = new TestServers();
  afterEach(() => servers.closeAll());

  function realTarget(url: string, clock: FakeClock): FakeTarget {
    const upstream = servers.upstreamAt(url);
    const target = new FakeTarget('up', clock);
    target.script = (request) => upstream.fetch(request);
    return target;
  }

  async function real(fault: Fault | readonly Fault[] | undefined) {
    const source = await startFakeUpstream({
      modules: [errors],
      ...(fault === undefined ? {} : { rules: [{ match: /./, fault }] }),
    });
    onTestFinished(source.close);
    const { clock, prober, targets } = setUp();
    const target = realTarget(source.url, clock);
    targets.splice(0, 1, target);
    return { source, clock, prober, target };
  }

  it('finds the good one good', async () => {
    const { prober, source } = await real(undefined);
    expect(await prober.probeNow()).toMatchObject([{ code: 'ok', message: '' }]);
    expect(source.requests[0]?.headers['x-modferry-via']).toBe('me');
  });

  it.each([
    ['redirects for ever', redirectLoop(), 'redirect'],
    ['speaks something else', garbage(), 'protocol'],
    ['has ten megabytes of headers', hugeHeaders(10 * 1024 ** 2), 'protocol'],
    ['has a body without end', endless(), 'refused'],
    ['shows a log-in page', captivePortal(), 'refused'],
    ['changes a byte', flipByte(3), 'refused'],
    ['wants a password', status(401), 'status'],
    ['forbids it', status(403), 'status'],
    ['fails', status(500), 'status'],
    ['cuts the connection', reset(), 'reset'],
  ] as [string, Fault, string][])('finds out one that %s', async (_what, fault, code) => {
    const { prober, source } = await real(fault);
    expect(await prober.probeNow()).toMatchObject([{ code }]);
    for (const asked of source.requests) await asked.done;
    // What the system's buffers take is sent, too.
    const sent = source.requests.reduce((sum, asked) => sum + asked.bytesSent, 0);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(source.requests.length).toBeLessThan(10);
  });

  it('leaves one that sends a gigabyte of headers long before their end', async () => {
    const line = `X-More: ${'a'.repeat(1000)}\r\n`.repeat(64);
    const { promise: sent, resolve } = Promise.withResolvers<number>();
    const flood = async (socket: Socket): Promise<void> => {
      socket.write('HTTP/1.1 200 OK\r\n');
      let bytes = 0;
      while (bytes < 1024 ** 3 && !socket.destroyed) {
        bytes += line.length;
        await new Promise((done) => socket.write(line, done));
      }
      resolve(bytes);
    };
    const url = await servers.serveTcp((socket) => void flood(socket));
    const { clock, prober, targets } = setUp();
    targets.splice(0, 1, realTarget(url, clock));
    expect(await prober.probeNow()).toMatchObject([{ code: 'protocol' }]);
    expect(await sent).toBeLessThan(32 * 1024 * 1024);
  });

  it.each([
    ['never answers', stall()],
    ['stalls in its body', stall(5)],
    ['drips', drip(1)],
  ] as [string, Fault][])('gives up one that %s, by the clock', async (_what, fault) => {
    const { prober, clock, source } = await real(fault);
    const probing = prober.probeNow();
    const asked = await source.waitForRequest(/./);
    await clock.advance(3_000);
    expect(await probing).toMatchObject([{ code: 'timeout', message: 'no whole answer within 3 s' }]);
    await asked.done;
  });
});
