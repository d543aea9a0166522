/**
 * A zip that takes longer than the hold time: it streams with its tail held, one fetch feeds every asker, clients
 * come and go, and a source that breaks is continued by another one only with the very same bytes (design rule 2).
 */
import { describe, expect, it } from 'vitest';
import { type Answer, ask, expectCleanStore, modferry, storedZips, upstream } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { chunked, delay, flipByte, gate, hold, reset, truncate } from '../kit/faults.ts';
import { openRaw } from '../kit/raw-http.ts';

const tailBytes = 64 * 1024;
const module = fakeModule({ path: 'example.com/big', paddingBytes: 1024 * 1024 });
const { zip } = module;
const path = '/example.com/big/@v/v1.0.0.zip';
const short = { MODFERRY_INGEST_HOLD: '50ms' };
const half = Math.floor(zip.length / 2);

interface Streaming {
  readonly answer: Promise<Answer>;
  /** Resolves when at least so many bytes are here. */
  readonly got: (bytes: number) => Promise<void>;
  readonly receivedBytes: () => number;
  readonly headAt: Promise<number>;
  readonly leave: () => void;
}

function stream(base: string, headers: Record<string, string> = {}): Streaming {
  let received = 0;
  const watchers = new Set<() => void>();
  const leaving = new AbortController();
  const head = Promise.withResolvers<number>();
  const answer = ask(base, path, {
    headers,
    signal: leaving.signal,
    onHead: head.resolve,
    onData(_, total) {
      received = total;
      for (const watcher of watchers) watcher();
    },
  });
  const got = (bytes: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (received >= bytes && resolve());
      watchers.add(look);
      look();
      void answer.then(
        ({ status }) => reject(new Error(`ended with ${status} after ${received} of ${bytes} bytes`)),
        reject,
      );
    });
  return { answer, got, receivedBytes: () => received, headAt: head.promise, leave: () => leaving.abort() };
}

describe('a long fill', () => {
  it('streams behind the hold time, with its tail held until all of it is verified', async () => {
    const middle = gate();
    const last = gate();
    const source = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: [hold(half, middle), hold(zip.length - 10, last)] }],
    });
    const proxy = await modferry({ upstreams: [source], env: short });

    const client = stream(proxy.url);
    await client.got(half);
    expect(client.receivedBytes()).toBe(half);
    middle.open();
    await last.reached;
    await client.got(zip.length - tailBytes);
    // Whoever looks now has all but the tail, and nothing is stored.
    expect(client.receivedBytes()).toBe(zip.length - tailBytes);
    expect(await storedZips(proxy.dataDir)).toEqual([]);
    last.open();

    const answer = await client.answer;
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.headers).toMatchObject({ 'content-length': String(zip.length) });
    expect(answer.headers.etag, 'no validator before it is proven').toBeUndefined();
    expect(answer.body.equals(zip)).toBe(true);
  });

  it('goes out whole, with its validators, when it is verified within the hold time', async () => {
    const source = await upstream({ modules: [module] });
    const proxy = await modferry({ upstreams: [source], env: { MODFERRY_INGEST_HOLD: '10s' } });
    const answer = await ask(proxy.url, path);
    expect(answer.body.equals(zip)).toBe(true);
    expect(answer.headers.etag).toMatch(/^"[0-9a-f]{64}"$/);
  });

  it('is held whole for a HEAD, a Range and an HTTP/1.0 client', async () => {
    const middle = gate();
    const source = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: [chunked(), hold(half, middle)] }],
    });
    const proxy = await modferry({ upstreams: [source], env: short });
    const streaming = stream(proxy.url);
    const head = ask(proxy.url, path, { method: 'HEAD' });
    const range = ask(proxy.url, path, { headers: { range: 'bytes=5-9' } });
    await using old = await openRaw(proxy.port);
    await old.write(`GET ${path} HTTP/1.0\r\n\r\n`);
    // The others would have begun by now: this one has, and it asked at the same time.
    await streaming.got(half - tailBytes);
    expect(old.received()).toHaveLength(0);
    middle.open();

    expect(await head).toMatchObject({ status: 200, complete: true });
    expect((await head).headers['content-length']).toBe(String(zip.length));
    expect(await range).toMatchObject({ status: 206, body: zip.subarray(5, 10) });
    expect(await old.ended).toBe('fin');
    const text = old.received();
    expect(text.toString('latin1')).toContain(`Content-Length: ${zip.length}`);
    expect(text.subarray(-zip.length).equals(zip)).toBe(true);
    expect((await streaming.answer).body.equals(zip)).toBe(true);
    expect(source.count('.zip')).toBe(1);
  });
});

describe('many askers', () => {
  it('fifty of one slow fill cost one request and all get the right bytes, late joiners too', async () => {
    const middle = gate();
    const source = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: hold(half, middle) }],
    });
    const proxy = await modferry({ upstreams: [source], env: short });
    const early = Array.from({ length: 40 }, () => stream(proxy.url));
    await Promise.all(early.map((client) => client.got(half)));
    const late = Array.from({ length: 10 }, () => stream(proxy.url));
    await Promise.all(late.map((client) => client.got(half)));
    middle.open();

    for (const { answer } of [...early, ...late]) {
      const { body, complete } = await answer;
      expect(complete).toBe(true);
      expect(body.equals(zip)).toBe(true);
    }
    expect(source.count('.zip')).toBe(1);
    await proxy.stop();
    expect(await storedZips(proxy.dataDir)).toEqual(['example.com/big@v1.0.0']);
  });

  it('a client that leaves does not spoil it for the others', async () => {
    const middle = gate();
    const source = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: hold(half, middle) }],
    });
    const proxy = await modferry({ upstreams: [source], env: short });
    const leaver = stream(proxy.url);
    const stayers = Array.from({ length: 3 }, () => stream(proxy.url));
    await Promise.all([leaver, ...stayers].map((client) => client.got(half)));
    leaver.leave();
    expect((await leaver.answer).complete).toBe(false);
    await using killed = await openRaw(proxy.port);
    await killed.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await killed.waitForBytes(1000);
    killed.reset();
    middle.open();

    for (const { answer } of stayers) expect((await answer).body.equals(zip)).toBe(true);
    expect(source.count('.zip')).toBe(1);
  });

  it('the last one that leaves early cancels the request to the upstream, and nothing is stored', async () => {
    const early = gate();
    const big = fakeModule({ path: 'example.com/big', paddingBytes: 4 * 1024 * 1024 });
    const source = await upstream({
      modules: [big],
      rules: [{ match: '.zip', times: 1, fault: hold(200_000, early) }],
    });
    const proxy = await modferry({ upstreams: [source], env: short });
    const clients = [stream(proxy.url), stream(proxy.url)];
    await Promise.all(clients.map((client) => client.got(200_000)));
    const asked = await source.waitForRequest('.zip');
    for (const client of clients) client.leave();
    await asked.done;
    expect(asked.aborted).toBe(true);
    expect(await storedZips(proxy.dataDir)).toEqual([]);

    const again = await ask(proxy.url, path);
    expect(again.body.equals(big.zip)).toBe(true);
  });

  it('what is nearly done is finished and stored although nobody waits any more', async () => {
    const late = gate();
    const at = Math.floor(zip.length * 0.9);
    const source = await upstream({ modules: [module], rules: [{ match: '.zip', fault: hold(at, late) }] });
    const proxy = await modferry({ upstreams: [source], env: short });
    const client = stream(proxy.url);
    await client.got(at - tailBytes);
    client.leave();
    await client.answer;
    late.open();
    const record = await source.waitForRequest('.zip');
    await record.done;
    expect(record.aborted).toBe(false);
    const again = await ask(proxy.url, path);
    expect(again.body.equals(zip)).toBe(true);
    expect(source.count('.zip')).toBe(1);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    expect(await storedZips(proxy.dataDir)).toHaveLength(1);
  });
});

describe('a source that breaks while its zip is streaming', () => {
  it.each([
    ['reset', reset(half)],
    ['cut', truncate(half)],
    ['refused at its end for a wrong byte in what was held back', flipByte(-30)],
  ])('%s: the client gets the right whole where a second source has the same bytes', async (_, fault) => {
    const middle = gate();
    const broken = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: [hold(half, middle), fault] }],
    });
    const good = await upstream({ modules: [module] });
    const proxy = await modferry({ upstreams: [broken, good], env: short });
    const client = stream(proxy.url);
    await client.got(half);
    middle.open();

    const answer = await client.answer;
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.body.equals(zip)).toBe(true);
    expect(good.count('.zip')).toBe(1);
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    expect(await storedZips(proxy.dataDir)).toHaveLength(1);
  });

  it('the transfer is broken, never a mixture, where the second source has other bytes; later clients get those', async () => {
    const middle = gate();
    const other = fakeModule({
      path: 'example.com/big',
      paddingBytes: 1024 * 1024,
      files: { 'a.txt': 'other\n' },
    });
    const broken = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: [hold(half, middle), reset(half)] }],
    });
    const second = await upstream({ modules: [other] });
    const proxy = await modferry({ upstreams: [broken, second], env: short });
    const client = stream(proxy.url);
    await client.got(half);
    middle.open();

    const answer = await client.answer;
    expect(answer.complete).toBe(false);
    expect(answer.body.equals(zip.subarray(0, answer.body.length)), 'what came is a piece of the first').toBe(
      true,
    );
    expect((await ask(proxy.url, path)).body.equals(other.zip)).toBe(true);
  });

  it('whoever has not received a byte is served whole by the second source, whatever its bytes', async () => {
    const other = fakeModule({ path: 'example.com/big', paddingBytes: 1024 * 1024 + 5 });
    const begin = gate();
    const broken = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: [delay(begin), flipByte(half)] }],
    });
    const second = await upstream({ modules: [other] });
    const proxy = await modferry({ upstreams: [broken, second], env: { MODFERRY_INGEST_HOLD: '10s' } });
    const clients = [stream(proxy.url), stream(proxy.url), stream(proxy.url, { range: 'bytes=0-' })];
    await begin.reached;
    begin.open();
    for (const { answer } of clients) {
      const { body, complete } = await answer;
      expect(complete).toBe(true);
      expect(body.equals(other.zip)).toBe(true);
    }
  });
});
