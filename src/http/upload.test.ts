import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeModuleZip } from '../../test/kit/make-zip.ts';
import { openRaw, rawRequest } from '../../test/kit/raw-http.ts';
import { anonymous, type Decision } from '../access/types.ts';
import { systemClock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { EventBus } from '../lib/event-bus.ts';
import {
  libModule,
  mebibyte,
  modulePath,
  type RegistryTestOptions,
  testRegistry,
  v,
} from '../publish/test-registry.ts';
import { PublishError, type PublishErrorCode, type Registry } from '../publish/types.ts';
import { AccessLog } from './access-log.ts';
import { Exchange } from './exchange.ts';
import { parseRoute } from './route.ts';
import { listen } from './server.ts';
import { testGate } from './test-gate.ts';
import { handleUpload, isUpload } from './upload.ts';

const target = '/corp.test/lib/@v/v1.0.0.zip';
const ci: Decision = {
  allowed: true,
  identity: { ...anonymous, kind: 'token', name: 'ci' },
  address: '10.0.0.7',
};
const stranger: Decision = {
  allowed: false,
  code: 'unauthenticated',
  text: 'log in first',
  retryAfterMs: undefined,
  identity: anonymous,
  address: '10.0.0.9',
  rule: 'route team: publish',
};

interface ServeOptions extends RegistryTestOptions {
  readonly decision?: Decision;
  readonly registry?: Partial<Registry>;
  readonly requestTimeoutMs?: number;
}

async function serve(options: ServeOptions = {}) {
  const test = await testRegistry(options);
  const { gate, audited } = testGate({ decideNow: () => options.decision ?? ci });
  const accessLog = new AccessLog('all', systemClock, async () => {});
  const faults: unknown[] = [];
  const settled: Promise<void>[] = [];
  const deps = {
    clock: systemClock,
    accessLog,
    requests: new EventBus<never>(),
    version: '1.2.3',
    negativeMaxAgeS: () => 30,
    onUnexpected: (error: unknown) => faults.push(error),
  };
  const uploads = {
    registry: { ...bound(test.registry), ...options.registry },
    gate,
    audit: { note: (entry: (typeof audited)[number]) => audited.push(entry) },
    clock: systemClock,
    pathPrefix: '',
    maxZipBytes: () => 10 * mebibyte,
  };
  const listening = await listen(
    [{ host: '127.0.0.1', port: 0 }],
    {
      maxConnections: 100,
      headersTimeoutMs: 5_000,
      requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
      keepAliveMs: 5_000,
      maxHeaderBytes: 16_384,
      idleMs: 60_000,
    },
    (request, response) => {
      const exchange = new Exchange(request, response, 'id-1', deps as never);
      const abort = new AbortController();
      response.once('close', () => {
        if (!response.writableFinished) abort.abort(new Error('the client went away'));
      });
      const route = parseRoute(exchange.url, '');
      if (route.kind !== 'protocol' || !isUpload(request.method, route.operation)) {
        // As a handler that reads bodies: it answers when the body is there.
        if (request.method === 'GET') exchange.text(200, 'got\n');
        else request.resume().once('end', () => exchange.text(405, 'no\n'));
        return;
      }
      settled.push(
        handleUpload(exchange, route.operation, abort.signal, uploads).catch((error: unknown) => {
          if (abort.signal.aborted) exchange.log(499, 0, 'none', true);
          else exchange.fail(error);
        }),
      );
    },
  );
  onTestFinished(() => listening.destroy());
  const port = listening.addresses[0]?.port ?? 0;
  return {
    ...test,
    port,
    audited,
    faults,
    settled: () => Promise.all(settled),
    send: (method: string, body: Buffer, headers: Readonly<Record<string, string>> = {}, path = target) =>
      send(port, method, path, body, headers),
  };
}

function bound(registry: Registry): Registry {
  return {
    publish: (upload) => registry.publish(upload),
    unpublish: (...given) => registry.unpublish(...given),
    tombstoneOf: (...given) => registry.tombstoneOf(...given),
    tombstones: (path) => registry.tombstones(path),
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function send(
  port: number,
  method: string,
  path: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

function head(method: string, ...lines: readonly string[]): string {
  return `${[`${method} ${target} HTTP/1.1`, 'Host: proxy.test:8080', ...lines].join('\r\n')}\r\n\r\n`;
}

describe('PUT of a module zip', () => {
  it('publishes: 201 with what is there now, and 200 when it was there', async () => {
    const test = await serve();
    const { zip, zipH1, modH1 } = libModule();

    const first = await test.send('PUT', zip);
    const again = await test.send('PUT', zip);

    const url = `http://127.0.0.1:${test.port}${target}`;
    expect(first.status).toBe(201);
    expect(first.headers).toMatchObject({ 'content-type': 'application/json', location: url });
    expect(JSON.parse(first.text)).toEqual({
      module: 'corp.test/lib',
      version: 'v1.0.0',
      h1: zipH1,
      goModH1: modH1,
      size: zip.length,
      url,
    });
    expect(again.status).toBe(200);
    expect(JSON.parse(again.text)).toEqual(JSON.parse(first.text));
    expect(await test.stored('v1.0.0', 'zip')).toEqual(zip);
    expect(
      test.audited.map(({ action, who, from, result, module, data }) => ({
        action,
        who,
        from,
        result,
        module,
        data,
      })),
    ).toEqual(
      ['published', 'present'].map((outcome) => ({
        action: 'publish',
        who: 'token:ci',
        from: '10.0.0.7',
        result: 'ok',
        module: 'corp.test/lib',
        data: { outcome, h1: zipH1, size: zip.length },
      })),
    );
  });

  it('takes a body of unknown length, and any type', async () => {
    const test = await serve();
    const { zip } = libModule();

    const answer = await test.send('PUT', zip, {
      'transfer-encoding': 'chunked',
      'content-type': 'text/html',
    });

    expect(answer.status).toBe(201);
  });

  it('answers 409 with both hashes for other content, and audits it', async () => {
    const test = await serve();
    const [one, other] = [libModule(), libModule({ files: { a: 'b' } })];
    await test.send('PUT', one.zip);

    const answer = await test.send('PUT', other.zip);

    expect(answer.status).toBe(409);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.text).toContain(one.zipH1);
    expect(answer.text).toContain(other.zipH1);
    expect(test.audited.at(-1)).toMatchObject({ action: 'publish', result: 'refused', version: 'v1.0.0' });
  });

  it('answers 400 for a bad zip with a line that can be printed', async () => {
    const test = await serve();
    const files = { 'go.mod': 'module corp.test/lib\n', 'a\u001b[2J\n': 'x' };

    const answer = await test.send('PUT', makeModuleZip('corp.test/lib', 'v1.0.0', files));

    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/^[^\p{C}]+\n$/u);
  });

  it.each([
    ['exists', 409],
    ['tombstone', 409],
    ['invalid', 400],
    ['too_large', 413],
    ['absent', 404],
    ['slow', 408],
    ['disk_full', 503],
  ] as const satisfies readonly (readonly [PublishErrorCode, number])[])('%s is %i', async (code, status) => {
    const publish = () => Promise.reject(new PublishError(code, 'do this'));
    const test = await serve({ registry: { publish } });

    const answer = await test.send('PUT', libModule().zip);

    expect(answer).toMatchObject({ status, text: 'do this\n' });
    expect(answer.headers['retry-after']).toBe(status === 503 ? '10' : undefined);
  });

  it.each(['verifier_busy', 'purged', 'locked', 'lock_lost'])('%s is 503, to be sent again', async (code) => {
    const publish = () => Promise.reject(new ModferryError(code, 'later'));
    const test = await serve({ registry: { publish } });

    const answer = await test.send('PUT', libModule().zip);

    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('tells nothing of an error that nobody expected', async () => {
    const publish = () => Promise.reject(new TypeError('secret'));
    const test = await serve({ registry: { publish } });

    const answer = await test.send('PUT', libModule().zip);

    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
    expect(test.faults).toHaveLength(1);
  });

  it('refuses an encoded body', async () => {
    const test = await serve();

    const answer = await test.send('PUT', libModule().zip, { 'content-encoding': 'gzip' });

    expect(answer.status).toBe(415);
    expect(test.audited.at(-1)).toMatchObject({ result: 'refused' });
  });

  it('refuses an empty body', async () => {
    const test = await serve();

    expect((await test.send('PUT', Buffer.alloc(0))).status).toBe(400);
  });
});

describe('a client that waits for 100 Continue', () => {
  it('gets it once access and size are decided', async () => {
    const test = await serve();
    const { zip } = libModule();
    await using connection = await openRaw(test.port);

    await connection.write(head('PUT', `Content-Length: ${zip.length}`, 'Expect: 100-continue'));
    await connection.waitFor(/^HTTP\/1.1 100 Continue\r\n\r\n/);
    await connection.write(zip);

    await connection.waitFor(/\r\n\r\nHTTP\/1.1 201 /);
  });

  it.each([
    ['without rights', { decision: stranger }, 'Content-Length: 5', 401],
    ['with too much', {}, `Content-Length: ${11 * mebibyte}`, 413],
  ] as const)('%s is refused before it sends anything', async (_, options, length, status) => {
    let isAsked = false;
    const publish: Registry['publish'] = () => {
      isAsked = true;
      return Promise.reject(new Error('asked'));
    };
    const test = await serve({ ...options, registry: { publish } });
    await using connection = await openRaw(test.port);

    await connection.write(head('PUT', length, 'Expect: 100-continue'));

    await connection.waitFor(new RegExp(`^HTTP/1.1 ${status} `));
    expect(connection.received().toString()).not.toContain('100 Continue');
    expect(await connection.ended).toBe('fin');
    expect(isAsked).toBe(false);
  });

  it('is not told to send a version that was taken back', async () => {
    const test = await serve();
    const { zip } = libModule();
    await test.publish(zip);
    await test.registry.unpublish(modulePath, v('v1.0.0'), 'leaked', 'user:a');
    await using connection = await openRaw(test.port);

    await connection.write(head('PUT', `Content-Length: ${zip.length}`, 'Expect: 100-continue'));

    await connection.waitFor(/^HTTP\/1.1 409 [^]*leaked/);
    expect(connection.received().toString()).not.toContain('100 Continue');
  });
});

describe('a client that does not stop sending', () => {
  it('is answered all the same when it sends more than is allowed', async () => {
    const test = await serve({ upload: { limits: { zipBytes: mebibyte } } });

    const answer = await test.send('PUT', Buffer.alloc(8 * mebibyte), { 'transfer-encoding': 'chunked' });

    expect(answer.status).toBe(413);
  });

  it('reads its refusal when it declared too much', async () => {
    const test = await serve();

    expect((await test.send('PUT', Buffer.alloc(11 * mebibyte))).status).toBe(413);
  });

  it('is cut off after a moment', async () => {
    const test = await serve();
    await using connection = await openRaw(test.port);

    await connection.write(head('PUT', `Content-Length: ${11 * mebibyte}`));
    await connection.waitFor(/^HTTP\/1.1 413 /);

    expect(['fin', 'reset']).toContain(await connection.ended);
  });
});

describe('the pace of an upload', () => {
  it('may be slower than the limit on other requests', async () => {
    const test = await serve({ requestTimeoutMs: 150 });
    const { zip } = libModule();
    await using connection = await openRaw(test.port);
    await connection.write(head('PUT', `Content-Length: ${zip.length}`));

    const step = Math.ceil(zip.length / 8);
    for (let at = 0; at < zip.length; at += step) {
      await connection.write(zip.subarray(at, at + step));
      await sleep(100);
    }

    await connection.waitFor(/^HTTP\/1.1 201 /);
  });

  it('is 408 when nothing comes any more, and nothing stays', async () => {
    const test = await serve({ upload: { idleMs: 100 } });
    const { zip } = libModule();
    await using connection = await openRaw(test.port);

    await connection.write(head('PUT', `Content-Length: ${zip.length}`));
    await connection.write(zip.subarray(0, 20));

    await connection.waitFor(/^HTTP\/1.1 408 [^]*nothing came for 0.1 s after byte 20/);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
    expect(test.audited).toMatchObject([{ action: 'publish', result: 'refused' }]);
  });

  it('does not matter once the client has gone: all is cleaned up and audited', async () => {
    const { readdirSync } = await import('node:fs');
    const test = await serve();
    const { zip } = libModule({ paddingBytes: mebibyte });
    const connection = await openRaw(test.port);
    await connection.write(head('PUT', `Content-Length: ${zip.length}`));
    await connection.write(zip.subarray(0, mebibyte / 2));

    connection.reset();
    await expect.poll(() => test.audited.length).toBe(1);
    await test.settled();

    expect(test.audited).toMatchObject([{ result: 'failed', reason: 'the client went away' }]);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
    const run = `${test.folder}/run`;
    expect(readdirSync(run).flatMap((name) => readdirSync(`${run}/${name}/staging`))).toEqual([]);
  });
});

describe('requests that are no uploads', () => {
  it('must bring their body in time', async () => {
    const test = await serve({ requestTimeoutMs: 100 });

    const answer = await rawRequest(
      test.port,
      'POST /corp.test/lib/@v/list HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab',
    );

    expect(answer.status).toBe(408);
  });

  it('lose their connection when the body of a GET never ends', async () => {
    const test = await serve({ requestTimeoutMs: 100 });
    await using connection = await openRaw(test.port);

    await connection.write('GET /corp.test/lib/@v/list HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab');
    await connection.waitFor(/^HTTP\/1.1 200 /);

    expect(['fin', 'reset', 'local']).toContain(await connection.ended);
  });

  it('are told 100 Continue by nobody, and answered', async () => {
    const test = await serve();

    const answer = await rawRequest(test.port, [
      'GET /corp.test/lib/@v/list HTTP/1.1',
      'Host: x',
      'Expect: 100-continue',
    ]);

    expect(answer.status).toBe(200);
  });
});

describe('DELETE of a module zip', () => {
  it('takes the version back with a reason, of any script', async () => {
    const test = await serve();
    await test.publish(libModule().zip);
    const reason = 'Schlüssel 泄露';

    const answer = await test.send('DELETE', Buffer.alloc(0), {
      'x-modferry-reason': Buffer.from(reason).toString('latin1'),
    });

    expect(answer.status).toBe(200);
    const { time, ...told } = JSON.parse(answer.text) as Record<string, unknown>;
    expect(told).toEqual({ module: 'corp.test/lib', version: 'v1.0.0', reason, who: 'token:ci' });
    expect(Date.parse(String(time))).not.toBeNaN();
    expect(test.registry.tombstoneOf(modulePath, v('v1.0.0'))?.reason).toBe(reason);
    expect(test.audited).toMatchObject([{ action: 'unpublish', result: 'ok', reason }]);
  });

  it.each([
    ['without a reason', {}, 400],
    ['with an empty one', { 'x-modferry-reason': ' ' }, 400],
    ['with one that is too long', { 'x-modferry-reason': 'x'.repeat(600) }, 400],
  ] as const)('%s is refused', async (_, headers, status) => {
    const test = await serve();
    await test.publish(libModule().zip);

    expect((await test.send('DELETE', Buffer.alloc(0), headers)).status).toBe(status);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(true);
  });

  it('is 404 for what is not published', async () => {
    const test = await serve();

    expect((await test.send('DELETE', Buffer.alloc(0), { 'x-modferry-reason': 'x' })).status).toBe(404);
  });

  it('asks for the right to administrate, PUT for the right to publish', async () => {
    const asked: unknown[] = [];
    const test = await serve({ decision: stranger });
    const put = await test.send('PUT', libModule().zip);
    const gone = await test.send('DELETE', Buffer.alloc(0), { 'x-modferry-reason': 'x' });

    expect([put.status, gone.status]).toEqual([401, 401]);
    for (const { data } of test.audited) asked.push(data?.['right']);
    expect(asked).toEqual(['publish', 'admin']);
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
  });
});

it.each([
  ['PUT', '/corp.test/lib/@v/v1.0.0.zip', true],
  ['DELETE', '/corp.test/lib/@v/v1.0.0.zip', true],
  ['POST', '/corp.test/lib/@v/v1.0.0.zip', false],
  ['GET', '/corp.test/lib/@v/v1.0.0.zip', false],
  ['PUT', '/corp.test/lib/@v/v1.0.0.mod', false],
  ['PUT', '/corp.test/lib/@v/list', false],
  ['PUT', '/corp.test/lib/@latest', false],
])('%s %s is an upload: %s', (method, path, expected) => {
  const route = parseRoute(path, '');
  expect(route.kind === 'protocol' && isUpload(method, route.operation)).toBe(expected);
});
