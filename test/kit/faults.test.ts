import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from './fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import {
  captivePortal,
  chunked,
  closeAfter,
  delay,
  drip,
  endless,
  type Fault,
  faultScript,
  flipByte,
  garbage,
  gate,
  gzip,
  hold,
  hugeHeaders,
  redirect,
  redirectLoop,
  replaceBody,
  reset,
  stall,
  status,
  truncate,
  wrongLength,
} from './faults.ts';
import { openRaw, rawPipeline, rawRequest } from './raw-http.ts';
import { headerValues } from './raw-response.ts';
import type { RequestRecord } from './request-log.ts';

const MODULE = fakeModule({ path: 'example.com/a', version: 'v1.0.0', paddingBytes: 5000 });
const TARGET = '/example.com/a/@v/v1.0.0.zip';
const REQUEST = [`GET ${TARGET} HTTP/1.1`, 'Host: x'];
const REQUEST_TEXT = `${REQUEST.join('\r\n')}\r\n\r\n`;

async function upstreamWith(...fault: Fault[]): Promise<FakeUpstream> {
  const upstream = await startFakeUpstream({ modules: [MODULE], rules: [{ match: '.zip', fault }] });
  onTestFinished(upstream.close);
  return upstream;
}

/** Sends the request and waits until the headers and so much of the body came. */
async function openUntil(upstream: FakeUpstream, bodyBytes: number) {
  const client = await openRaw(upstream.port);
  onTestFinished(client.destroy);
  await client.write(REQUEST_TEXT);
  const head = await client.waitFor(/\r\n\r\n/);
  const start = head.index + 4;
  await client.waitForBytes(start + bodyBytes);
  return { client, body: () => client.received().subarray(start) };
}

describe('delay', () => {
  it('sends nothing until its gate is open, and then all is well', async () => {
    const door = gate();
    const upstream = await upstreamWith(delay(door));
    const answer = rawRequest(upstream.port, REQUEST);
    await door.reached;
    expect(upstream.requests[0]).toMatchObject({ status: undefined, bytesSent: 0 });

    door.open();

    expect((await answer).body).toEqual(MODULE.zip);
  });

  it('lasts as long as it says', async () => {
    const upstream = await upstreamWith(delay(60));
    const startedMs = performance.now();
    await rawRequest(upstream.port, REQUEST);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(55);
  });

  it('ends with its client', async () => {
    const upstream = await upstreamWith(delay(3_600_000));
    const client = await openRaw(upstream.port);
    await client.write(REQUEST_TEXT);
    const record = await upstream.waitForRequest('.zip');

    client.reset();

    await record.done;
    expect(record.aborted).toBe(true);
  });
});

describe('hold', () => {
  it('pauses exactly before its byte until the gate is open', async () => {
    const door = gate();
    const upstream = await upstreamWith(hold(1000, door));
    const { client, body } = await openUntil(upstream, 1000);
    await door.reached;
    expect(body()).toEqual(MODULE.zip.subarray(0, 1000));

    door.open();

    await client.waitForBytes(client.received().length - 1000 + MODULE.zip.length);
    expect(body()).toEqual(MODULE.zip);
    expect(door.arrivals).toBe(1);
  });

  it('at byte 0 lets the headers out', async () => {
    const door = gate();
    const upstream = await upstreamWith(hold(0, door));
    const { body } = await openUntil(upstream, 0);
    await door.reached;
    expect(body()).toHaveLength(0);
  });
});

describe('stall', () => {
  it('sends so many bytes and then leaves the connection open', async () => {
    const upstream = await upstreamWith(stall(700));
    const { client, body } = await openUntil(upstream, 700);
    const [record] = upstream.requests;

    client.end();
    client.reset();

    await record?.done;
    expect(body()).toEqual(MODULE.zip.subarray(0, 700));
    expect(record).toMatchObject({ bytesSent: 700, aborted: true });
  });

  it('can begin before the status line', async () => {
    const upstream = await upstreamWith(stall());
    const client = await openRaw(upstream.port);
    await client.write(REQUEST_TEXT);
    const record = await upstream.waitForRequest('.zip');

    client.reset();

    await record.done;
    expect(client.received()).toHaveLength(0);
    expect(record).toMatchObject({ status: undefined, aborted: true });
  });
});

describe('drip', () => {
  it('sends the right bytes at about the rate it says', async () => {
    const upstream = await upstreamWith(replaceBody(Buffer.alloc(300, 'x')), drip(2000));
    const startedMs = performance.now();

    const answer = await rawRequest(upstream.port, REQUEST);

    expect(answer.body.toString()).toBe('x'.repeat(300));
    // 300 bytes at 2000/s; the last piece is not waited for.
    expect(performance.now() - startedMs).toBeGreaterThan(80);
  });
});

describe('reset', () => {
  it('is an RST before any byte', async () => {
    const upstream = await upstreamWith(reset());
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(answer).toMatchObject({ statusLine: '', ending: 'reset' });
    expect(upstream.requests[0]).toMatchObject({ aborted: false });
  });

  it('is an RST after so many bytes, exactly when held before', async () => {
    const door = gate();
    const upstream = await upstreamWith(hold(300, door), reset(300));
    const { client, body } = await openUntil(upstream, 300);

    door.open();

    await expect(client.ended).resolves.toBe('reset');
    expect(body()).toEqual(MODULE.zip.subarray(0, 300));
  });
});

describe('truncate', () => {
  it('ends orderly, short of the declared length', async () => {
    const upstream = await upstreamWith(truncate(300));
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(headerValues(answer, 'content-length')).toEqual([String(MODULE.zip.length)]);
    expect(answer).toMatchObject({ endedCleanly: false, ending: 'fin' });
    expect(answer.body).toEqual(MODULE.zip.subarray(0, 300));
  });

  it('of a chunked body leaves out the last chunk', async () => {
    const upstream = await upstreamWith(truncate(300, 'chunked'));
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(headerValues(answer, 'transfer-encoding')).toEqual(['chunked']);
    expect(answer).toMatchObject({ endedCleanly: false, ending: 'fin' });
    expect(answer.body).toEqual(MODULE.zip.subarray(0, 300));
  });
});

describe('wrongLength', () => {
  it('declares less than it sends', async () => {
    const upstream = await upstreamWith(wrongLength(10));
    const { body } = await openUntil(upstream, MODULE.zip.length);
    expect(body()).toEqual(MODULE.zip);
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(headerValues(answer, 'content-length')).toEqual(['10']);
  });

  it('declares more than it sends and keeps the connection open', async () => {
    const upstream = await upstreamWith(wrongLength(1_000_000));
    const { client, body } = await openUntil(upstream, MODULE.zip.length);
    await upstream.requests[0]?.done;
    expect(client.received().toString('latin1')).toContain('Content-Length: 1000000\r\n');
    expect(body()).toEqual(MODULE.zip);
    expect(upstream.sockets.open).toBe(1);
  });
});

describe('wrong bytes', () => {
  it('flipByte inverts one byte, counted from either end', async () => {
    const upstream = await upstreamWith(flipByte(5), flipByte(-1));
    const answer = await rawRequest(upstream.port, REQUEST);
    const differing = [...answer.body.keys()].filter((index) => answer.body[index] !== MODULE.zip[index]);
    expect(differing).toEqual([5, MODULE.zip.length - 1]);
    expect(answer.endedCleanly).toBe(true);
  });

  it('replaceBody sends something else under the right headers', async () => {
    const upstream = await upstreamWith(replaceBody('not a zip'));
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(answer.body.toString()).toBe('not a zip');
    expect(headerValues(answer, 'content-type')).toEqual(['application/zip']);
  });
});

describe('wrong answers', () => {
  it('status answers with its code, headers and body', async () => {
    const upstream = await upstreamWith(status(503, { 'Retry-After': '7' }, 'busy\n'));
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(answer.statusLine).toBe('HTTP/1.1 503 Service Unavailable');
    expect(headerValues(answer, 'retry-after')).toEqual(['7']);
    expect(answer.body.toString()).toBe('busy\n');
  });

  it('captivePortal is a 200 of HTML', async () => {
    const upstream = await upstreamWith(captivePortal());
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(answer.status).toBe(200);
    expect(headerValues(answer, 'content-type')).toEqual(['text/html; charset=utf-8']);
    expect(answer.body.toString()).toContain('<html>');
  });

  it('redirect points elsewhere and redirectLoop to the same place', async () => {
    const upstream = await upstreamWith(redirect('http://127.0.0.1:9/x', 307));
    const once = await rawRequest(upstream.port, REQUEST);
    upstream.reset();
    upstream.faults.add({ match: '.zip', fault: redirectLoop() });
    const loop = await rawRequest(upstream.port, REQUEST);

    expect(once.status).toBe(307);
    expect(headerValues(once, 'location')).toEqual(['http://127.0.0.1:9/x']);
    expect(loop.status).toBe(302);
    expect(headerValues(loop, 'location')).toEqual([TARGET]);
  });

  it('garbage is not HTTP', async () => {
    const upstream = await upstreamWith(garbage());
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(answer).toMatchObject({ statusLine: 'SSH-2.0-OpenSSH_9.6', status: 0, ending: 'fin' });
  });

  it('hugeHeaders sends at least so many bytes of headers', async () => {
    const upstream = await upstreamWith(hugeHeaders(100_000));
    const answer = await rawRequest(upstream.port, REQUEST);
    const headerBytes = answer.headers.reduce(
      (sum, [name, value]) => sum + name.length + value.length + 4,
      0,
    );
    expect(headerBytes).toBeGreaterThan(100_000);
    expect(answer.body).toEqual(MODULE.zip);
  });

  it('endless goes on until the client leaves', async () => {
    const upstream = await upstreamWith(endless());
    const { client } = await openUntil(upstream, 3_000_000);
    const [record] = upstream.requests;

    client.reset();

    await record?.done;
    expect(client.received().toString('latin1')).toContain('Transfer-Encoding: chunked');
    expect(record?.bytesSent).toBeGreaterThan(2_000_000);
    expect(record?.aborted).toBe(true);
  });

  it('gzip codes the body although nobody accepts it', async () => {
    const upstream = await upstreamWith(gzip());
    const answer = await rawRequest(upstream.port, [...REQUEST, 'Accept-Encoding: identity']);
    expect(headerValues(answer, 'content-encoding')).toEqual(['gzip']);
    expect(gunzipSync(answer.body)).toEqual(MODULE.zip);
  });

  it('chunked is right, but without a length', async () => {
    const upstream = await upstreamWith(chunked());
    const answer = await rawRequest(upstream.port, REQUEST);
    expect(headerValues(answer, 'content-length')).toEqual([]);
    expect(answer.endedCleanly).toBe(true);
    expect(answer.body).toEqual(MODULE.zip);
  });
});

describe('closeAfter', () => {
  it('answers well and closes the kept-alive socket unannounced', async () => {
    const upstream = await upstreamWith(closeAfter());
    const { client, body } = await openUntil(upstream, MODULE.zip.length);

    await expect(client.ended).resolves.toBe('fin');

    expect(body()).toEqual(MODULE.zip);
    expect(client.received().toString('latin1')).toContain('Connection: keep-alive');
  });

  it('is the stale-socket race when only a repeated request on the same socket is reset', async () => {
    const upstream = await startFakeUpstream({
      modules: [MODULE],
      rules: [{ match: (request) => request.requestOnSocket > 1, fault: reset() }],
    });
    onTestFinished(upstream.close);
    const { client, body } = await openUntil(upstream, MODULE.zip.length);

    await client.write(REQUEST_TEXT);

    await expect(client.ended).resolves.toBe('reset');
    expect(body()).toEqual(MODULE.zip);
  });
});

describe('faults together', () => {
  it('happen to one request of a pipeline and spare the next', async () => {
    const upstream = await startFakeUpstream({
      modules: [MODULE],
      rules: [{ match: '.zip', times: 1, fault: status(500) }],
    });
    onTestFinished(upstream.close);
    const answers = await rawPipeline(upstream.port, REQUEST_TEXT.repeat(2), { responses: 2 });
    expect(answers.map((answer) => answer.status)).toEqual([500, 200]);
  });
});

describe('faultScript', () => {
  const request = (path: string): RequestRecord => ({
    method: 'GET',
    url: path,
    path,
    headers: {},
    atMs: 0,
    socketId: 1,
    requestOnSocket: 1,
    status: undefined,
    bytesSent: 0,
    aborted: false,
    done: Promise.resolve(),
  });

  it('skips, then hits so many times, then lets the next rule decide', () => {
    const script = faultScript();
    const first = script.add({ match: '.mod', skip: 1, times: 2, fault: gzip() });
    const second = script.add({ match: /\.mod$/g, fault: [chunked(), endless()] });

    const kinds = Array.from({ length: 4 }, () =>
      script.take(request('/a/@v/v1.0.0.mod')).map(({ kind }) => kind),
    );

    expect(kinds).toEqual([['chunked', 'endless'], ['gzip'], ['gzip'], ['chunked', 'endless']]);
    expect([first.hits, second.hits]).toEqual([2, 2]);
    expect(script.take(request('/a/@v/list'))).toEqual([]);
  });

  it('forgets a rule that was taken back', () => {
    const script = faultScript([{ match: 'list', fault: gzip() }]);
    const rule = script.add({ match: '.zip', fault: gzip() });
    rule.remove();
    expect(script.take(request('/a/@v/v1.0.0.zip'))).toEqual([]);
    expect(script.take(request('/a/@v/list'))).toHaveLength(1);
    script.clear();
    expect(script.take(request('/a/@v/list'))).toEqual([]);
  });
});
