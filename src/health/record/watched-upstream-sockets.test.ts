import { afterEach, describe, expect, it } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import {
  type Fault,
  type Gate,
  gate,
  hold,
  reset,
  stall,
  status,
  truncate,
} from '../../../test/kit/faults.ts';
import { createHttpUpstream } from '../../upstream/http-upstream.ts';
import { readBody } from '../../upstream/read-body.ts';
import { UpstreamError } from '../../upstream/types.ts';
import { owners } from './test-record.ts';
import { codeOf, m, request, type Watched, watch } from './test-watched.ts';
import type { WatchedUpstream } from './watched-upstream.ts';

describe('over real sockets', () => {
  const module = fakeModule({ path: m, paddingBytes: 400_000 });
  const opened: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one.close();
  });

  async function start(fault?: Fault | readonly Fault[]): Promise<Watched & { fake: FakeUpstream }> {
    const fake = await startFakeUpstream({ modules: [module] });
    if (fault !== undefined) fake.faults.add({ match: '.zip', fault });
    const inner = createHttpUpstream({
      name: 'one',
      url: fake.url,
      version: '1',
      instanceId: 'me',
      bodyIdleMs: 200,
    });
    opened.push(fake, inner);
    return { fake, ...watch(inner) };
  }

  async function download(watched: WatchedUpstream): Promise<Buffer> {
    return readBody(await watched.fetch(request()), 10_000_000);
  }

  it('a good zip is good', async () => {
    const { watched, record, traffic } = await start();
    expect((await download(watched)).equals(module.zip)).toBe(true);
    expect(traffic).toEqual(['attempt zip ok', `body ${module.zip.length} true`]);
    expect(record).toMatchObject({ state: 'healthy', inFlight: 0, lastError: undefined });
  });

  it.each([
    ['truncated', truncate(200_000)],
    ['reset', [hold(200_000, openGate()), reset(200_000)]],
    ['timeout', stall(200_000)],
  ] as const)('one that is cut is a failure: %s', async (code, fault) => {
    const { watched, record, traffic } = await start(fault);
    expect(await codeOf(download(watched))).toBe(code);
    expect(traffic[0]).toBe('attempt zip ok');
    expect(traffic[1]).toMatch(/^body \d+ false$/);
    expect(record).toMatchObject({ state: 'suspect', inFlight: 0, lastError: { code } });
    expect(record.isAvoided(m)).toBe(true);
  });

  it.each([
    ['status', status(500), 'suspect'],
    ['reset', reset(), 'suspect'],
    ['absent', status(404), 'healthy'],
  ] as const)('a refusal is what it says: %s', async (code, fault, state) => {
    const { watched, record } = await start(fault);
    expect(await codeOf(download(watched))).toBe(code);
    expect(record).toMatchObject({ state, inFlight: 0 });
  });

  it('one that is beaten in the middle of its body is no failure', async () => {
    const at = gate();
    const { watched, record, traffic } = await start(hold(200_000, at));
    const controller = new AbortController();
    const answer = await watched.fetch(request({ signal: controller.signal }));
    const reading = readBody(answer, 10_000_000);
    await at.reached;
    controller.abort(new UpstreamError('one', 'beaten', 'two was quicker'));
    expect(await codeOf(reading)).toBe('beaten');
    expect(record).toMatchObject({ state: 'healthy', inFlight: 0 });
    expect(traffic.at(-1)).toMatch(/^body \d+ false$/);
  });

  it('one that is given up as too slow in the middle of its body is a failure', async () => {
    const at = gate();
    const { watched, record } = await start(hold(200_000, at));
    const controller = new AbortController();
    const reading = readBody(await watched.fetch(request({ signal: controller.signal })), 10_000_000);
    await at.reached;
    controller.abort(new UpstreamError('one', 'timeout', 'no progress'));
    expect(await codeOf(reading)).toBe('timeout');
    expect(record).toMatchObject({ state: 'suspect', inFlight: 0, lastError: { message: 'no progress' } });
  });

  it('one that refuses connections is not well', async () => {
    const { fake, watched, record } = await start();
    await fake.refuse();
    expect(await codeOf(download(watched))).toBe('connect');
    expect(record.figures(owners).cause).toMatch(/^connect: no connection/);
  });
});

function openGate(): Gate {
  const at = gate();
  at.open();
  return at;
}
