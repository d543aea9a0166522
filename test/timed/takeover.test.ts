/**
 * A zip whose source stalls, drips or breaks in the middle, with a good source behind it: the other one goes on, by
 * Range where both promise the same bytes, else from the beginning. Every client gets exactly one source's file, or a
 * broken transfer that begins like one.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Answer, ask, expectCleanStore, modferry, storedZips, upstream } from '../e2e/support.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { drip, type Fault, flipByte, gate, hold, reset, stall, status, truncate } from '../kit/faults.ts';

/** Stored without compression: two of them with different bytes are of one length. */
function big(sizeBytes = 1024 * 1024): FakeModule {
  const files = { 'data.bin': randomBytes(sizeBytes) };
  return fakeModule({ path: 'example.com/big', files, zip: { compress: false } });
}

const module = big();
const { zip } = module;
const path = '/example.com/big/@v/v1.0.0.zip';
const at = Math.floor(zip.length * 0.7);
const config = {
  timeouts: { idle: '600ms' },
  ingest: { hold: '50ms' },
  retry: { repeats: 0 },
};

function etagOf(source: FakeUpstream): Promise<string> {
  return ask(source.url, path).then(({ headers }) => {
    source.reset();
    return String(headers.etag);
  });
}

function many(base: string, count = 50, onData: (totalBytes: number) => void = () => {}): Promise<Answer[]> {
  const options = { onData: (_chunk: Buffer, totalBytes: number) => onData(totalBytes) };
  return Promise.all(Array.from({ length: count }, () => ask(base, path, options)));
}

function rangesAt(source: FakeUpstream): (string | undefined)[] {
  return source.requests
    .filter((request) => request.path.endsWith('.zip'))
    .map(({ headers }) => headers.range);
}

/** Complete and one of the files, or broken and the beginning of one. */
function expectNoMixture(answer: Answer, files: readonly Buffer[]): void {
  const { body, complete } = answer;
  if (answer.status !== 200) return;
  const fits = files.some((file) =>
    complete ? body.equals(file) : body.length < file.length && body.equals(file.subarray(0, body.length)),
  );
  expect(fits, `${complete ? 'complete' : 'broken'}, ${body.length} bytes`).toBe(true);
}

describe('a source that ends in mid-zip', () => {
  it.each([
    ['stalls', stall(at)],
    ['resets the connection', reset(at)],
    ['is truncated', truncate(at)],
  ])('%s: fifty clients get the whole file, and the rest comes by Range', async (_what, fault) => {
    const bad = await upstream({ modules: [module] });
    const good = await upstream({ modules: [module] });
    const etag = await etagOf(good);
    const arrived = gate();
    bad.faults.add({ match: '.zip', fault: [hold(at, arrived), fault] });
    const proxy = await modferry({ upstreams: [bad, good], config: { ...config, timeouts: { idle: '2s' } } });

    // What a reset overtakes is lost, so it waits until the bytes are here.
    const answers = await many(proxy.url, 50, (totalBytes) => totalBytes >= at && arrived.open());
    for (const { status: code, complete, body } of answers) {
      expect({ code, complete, right: body.equals(zip) }).toEqual({ code: 200, complete: true, right: true });
    }
    expect([bad.count('.zip'), good.count('.zip')]).toEqual([1, 1]);
    const asked = good.requests.find((request) => request.path.endsWith('.zip'));
    expect(asked?.headers).toMatchObject({ range: `bytes=${at}-`, 'if-range': etag });
    expect(asked).toMatchObject({ status: 206, bytesSent: zip.length - at });
    await proxy.waitForLine(/took over a zip/);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    expect(await storedZips(proxy.dataDir)).toEqual(['example.com/big@v1.0.0']);
  });

  it('before a client has received anything goes unnoticed', async () => {
    const bad = await upstream({ modules: [module], rules: [{ match: '.zip', fault: truncate(at) }] });
    const good = await upstream({ modules: [module] });
    const patient = { ...config, timeouts: { idle: '20s' }, ingest: { hold: '10s' } };
    const proxy = await modferry({ upstreams: [bad, good], config: patient });
    const answer = await ask(proxy.url, path);

    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.headers.etag).toMatch(/^"[0-9a-f]{64}"$/);
    expect(answer.body.equals(zip)).toBe(true);
  });
});

describe('a source that drips', () => {
  it('is left for the other after some seconds, and so is one that stalls far below the idle time', async () => {
    const slow: readonly Fault[] = [drip(1000), stall(at)];
    const answers = slow.map(async (fault) => {
      const bad = await upstream({ modules: [module], rules: [{ match: '.zip', fault }] });
      const good = await upstream({ modules: [module] });
      const patient = { ...config, timeouts: { idle: '60s' } };
      const proxy = await modferry({ upstreams: [bad, good], config: patient });
      const startedMs = performance.now();
      const answer = await ask(proxy.url, path);
      return { answer, tookMs: performance.now() - startedMs, ranges: rangesAt(good) };
    });
    const [dripped, stalled] = await Promise.all(answers);

    for (const one of [dripped, stalled]) {
      expect(one?.answer).toMatchObject({ status: 200, complete: true });
      expect(one?.answer.body.equals(zip)).toBe(true);
      expect(one?.tookMs).toBeLessThan(25_000);
    }
    // A few kilobytes are sooner fetched again than joined.
    expect(dripped?.ranges).toEqual([undefined]);
    expect(stalled?.ranges).toEqual([`bytes=${at}-`]);
  });

  it('is the last hope when it is alone', async () => {
    const small = big(10_000);
    const only = await upstream({ modules: [small], rules: [{ match: '.zip', fault: drip(1000) }] });
    const dead = await upstream();
    await dead.refuse();
    const proxy = await modferry({
      upstreams: [only, dead],
      config: { ...config, timeouts: { idle: '5s' } },
    });
    const answer = await ask(proxy.url, path);

    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.body.equals(small.zip)).toBe(true);
  });
});

describe('two sources with different bytes of one length', () => {
  const other = big();

  it('are never mixed: who has received bytes is broken, the others get one whole file', async () => {
    expect(other.zip.length).toBe(zip.length);
    for (const fault of [stall(at), truncate(at)]) {
      const one = await upstream({ modules: [module], rules: [{ match: '.zip', fault }] });
      const two = await upstream({ modules: [other] });
      const proxy = await modferry({ upstreams: [one, two], config });
      const answers = await many(proxy.url);

      for (const answer of answers) expectNoMixture(answer, [zip, other.zip]);
      const broken = answers.filter(({ complete }) => !complete);
      for (const { body } of broken) expect(body.equals(zip.subarray(0, body.length))).toBe(true);
      expect((await ask(proxy.url, path)).body.equals(other.zip)).toBe(true);
      await proxy.stop();
      await expectCleanStore(proxy.dataDir);
    }
  });

  it('are not mixed either when both lie with one ETag', async () => {
    const one = await upstream({ modules: [module] });
    const etag = await etagOf(one);
    one.faults.add({ match: '.zip', fault: truncate(at) });
    const two = await upstream({ modules: [other] });
    two.faults.add({ match: '.zip', times: 1, fault: lyingPart(other.zip, at, etag) });
    const proxy = await modferry({ upstreams: [one, two], config });
    const answers = await many(proxy.url);

    for (const answer of answers) expectNoMixture(answer, [zip, other.zip]);
    expect((await ask(proxy.url, path)).body.equals(other.zip)).toBe(true);
    expect(rangesAt(two)).toEqual([`bytes=${at}-`, undefined]);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
  });

  it('leave no bad file behind when the second one is rotten as well', async () => {
    const one = await upstream({ modules: [module], rules: [{ match: '.zip', fault: truncate(at) }] });
    const two = await upstream({ modules: [module], rules: [{ match: '.zip', fault: flipByte(-200) }] });
    const three = await upstream({ modules: [module] });
    const proxy = await modferry({ upstreams: [one, two, three], config });
    const answers = await many(proxy.url, 10);

    for (const answer of answers) expectNoMixture(answer, [zip]);
    expect((await ask(proxy.url, path)).body.equals(zip)).toBe(true);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
  });
});

describe('a second source that cannot send a part', () => {
  async function through(second: (etag: string) => { times?: number; fault: Fault }) {
    const bad = await upstream({ modules: [module] });
    const good = await upstream({ modules: [module] });
    const etag = await etagOf(good);
    bad.faults.add({ match: '.zip', fault: truncate(at) });
    good.faults.add({ match: '.zip', ...second(etag) });
    const proxy = await modferry({ upstreams: [bad, good], config });
    const answers = await many(proxy.url, 10);
    for (const { complete, body } of answers) {
      expect({ complete, right: body.equals(zip) }).toEqual({ complete: true, right: true });
    }
    return rangesAt(good);
  }

  it('sends the whole file (200), which is compared and taken', async () => {
    const ranges = await through((etag) => ({ fault: status(200, { ETag: etag }, zip) }));
    expect(ranges).toEqual([`bytes=${at}-`]);
  });

  it.each([
    ['another part than the one asked', 'bytes 0-9/10'],
    ['a part of nothing', ''],
  ])('sends %s (206): it is asked for all of it', async (_what, contentRange) => {
    const headers = { 'Content-Range': contentRange };
    const ranges = await through((etag) => ({
      times: 1,
      fault: status(206, { ...headers, ETag: etag }, zip.subarray(at)),
    }));
    expect(ranges).toEqual([`bytes=${at}-`, undefined]);
  });

  it('says 416: it is asked for all of it', async () => {
    const ranges = await through(() => ({ times: 1, fault: status(416) }));
    expect(ranges).toEqual([`bytes=${at}-`, undefined]);
  });
});

describe('a small answer that drips behind its status line', () => {
  it.each(['info', 'mod'] as const)('.%s costs one patience', async (ext) => {
    const bad = await upstream({
      modules: [module],
      rules: [{ match: `/big/@v/v1.0.0.${ext}`, fault: stall(5) }],
    });
    const good = await upstream({ modules: [module] });
    const timeouts = { idle: '60s', first_byte: { meta: '300ms', zip: '10s' }, first_byte_floor: '300ms' };
    const proxy = await modferry({ upstreams: [bad, good], config: { ...config, timeouts } });
    const startedMs = performance.now();
    const answer = await ask(proxy.url, `/example.com/big/@v/v1.0.0.${ext}`);

    expect(answer).toMatchObject({ status: 200, body: module[ext] });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(bad.count(`/big/@v/v1.0.0.${ext}`)).toBe(1);
  });
});

describe('a child modferry that does not want its bytes held', () => {
  it('gets them as they come, while a client waits for the hold time', async () => {
    const middle = gate();
    const source = await upstream({ modules: [module], rules: [{ match: '.zip', fault: hold(at, middle) }] });
    const patient = { ...config, timeouts: { idle: '90s' }, ingest: { hold: '60s' } };
    const proxy = await modferry({ upstreams: [source], config: patient });
    let clientHead = 0;
    const client = ask(proxy.url, path, { onHead: (code) => (clientHead = code) });
    await source.waitForRequest('.zip');
    const early = Promise.withResolvers<number>();
    const child = ask(proxy.url, path, {
      headers: { 'x-modferry-via': 'child', 'x-modferry-hold': 'no' },
      onData: (_chunk, totalBytes) => totalBytes >= at && early.resolve(totalBytes),
    });
    expect(await early.promise).toBe(at);
    expect(clientHead).toBe(0);
    middle.open();

    for (const answer of await Promise.all([client, child])) {
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer.body.equals(zip)).toBe(true);
    }
  });
});

/** The rest of another file under a borrowed ETag. */
function lyingPart(file: Buffer, from: number, etag: string): Fault {
  const headers = { ETag: etag, 'Content-Range': `bytes ${from}-${file.length - 1}/${file.length}` };
  return status(206, headers, file.subarray(from));
}
