/** The gate in front of real requests: nothing gets past it, ready answers included. */
import { request as ask, createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Access, Decision, DenialCode, Identity } from '../access/types.ts';
import { anonymous } from '../access/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { newHotCounters } from '../proxy/request-events.ts';
import type { Reply } from '../proxy/types.ts';
import { AccessLog } from './access-log.ts';
import { createApi, type Endpoint } from './api.ts';
import { BufferPool } from './buffer-pool.ts';
import { Handler } from './handler.ts';
import { HotCache } from './hot-cache.ts';
import { type TestGate, testGate } from './test-gate.ts';

const alice: Identity = { ...anonymous, kind: 'user', name: 'alice' };
const mod = '/corp.example/m/@v/v1.0.0.mod';

const reply: Reply = {
  kind: 'bytes',
  body: Buffer.from('module corp.example/m\n'),
  sha256: 'ab'.repeat(32),
  lastModifiedMs: undefined,
  contentType: 'text',
  cache: { kind: 'immutable' },
  source: 'store',
  keep: true,
};

interface Said {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function serve({ gate, audited }: TestGate, endpoints: readonly Endpoint[] = []) {
  const clock = new FakeClock();
  let logged = '';
  let asked = 0;
  const accessLog = new AccessLog('all', clock, async (text) => {
    logged += text;
  });
  const never = async (): Promise<never> => {
    throw new Error('no uploads here');
  };
  const handler = new Handler({
    clock,
    proxy: {
      async handle() {
        asked += 1;
        return reply;
      },
    },
    hot: new HotCache(1024 * 1024),
    hotCounters: newHotCounters(),
    requests: new EventBus(),
    accessLog,
    pool: new BufferPool(),
    version: '1.2.3',
    instanceId: 'me',
    pathPrefix: '',
    idleWriteMs: 5_000,
    negativeMaxAgeS: () => 30,
    provenance: () => 'off',
    page: (name) => ({ status: 200, contentType: 'text/plain', body: `${name}\n` }),
    gate,
    uploads: {
      registry: { publish: never, unpublish: never },
      gate,
      audit: { note: () => {} },
      clock,
      pathPrefix: '',
      maxZipBytes: () => 1,
    },
    api: createApi(endpoints),
    onUnexpected: (error) => {
      throw error;
    },
  });
  const server = createServer((request, response) => handler.handle(request, response));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => new Promise<void>((done) => server.close(() => done())));
  const { port } = server.address() as AddressInfo;
  const get = (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Said> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', headers = {}, body } = options;
      const sent = ask({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
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
      sent.on('error', reject);
      sent.end(body);
    });
  return {
    get,
    port,
    audited,
    asked: () => asked,
    logged: async () => {
      await accessLog.flush();
      return logged;
    },
  };
}

/** `Basic alice` is Alice, who may everything; everybody else is refused. */
function onlyAlice(
  code: DenialCode = 'unauthenticated',
  retryAfterMs?: number,
  isByRules = true,
): Partial<Access> {
  const decide = (authorization: string | undefined): Decision =>
    authorization === 'Basic alice'
      ? { allowed: true, identity: alice, address: '10.1.2.3' }
      : {
          allowed: false,
          code,
          text: 'log in first',
          retryAfterMs,
          identity: anonymous,
          address: '10.9.9.9',
          rule: 'route corp: read',
          isByRules,
        };
  return {
    decideNow: (asker) => decide(asker.authorization),
    decide: async (asker) => decide(asker.authorization),
    identify: async (asker) => decide(asker.authorization),
    admitAddress: () =>
      code === 'unauthenticated'
        ? { allowed: true, identity: anonymous, address: '10.9.9.9' }
        : decide(undefined),
    isOpen: () => false,
  };
}

const asAlice = { headers: { authorization: 'Basic alice' } };

describe('the gate', () => {
  it('asks who it is again for a ready answer, and tells caches not to share it', async () => {
    const { get, asked, audited, logged } = await serve(testGate(onlyAlice()));
    const first = await get(mod, asAlice);
    expect(first).toMatchObject({ status: 200, text: 'module corp.example/m\n' });
    expect(first.headers).toMatchObject({
      'cache-control': 'private, max-age=31536000, immutable',
      vary: 'Authorization',
    });
    expect(await get(mod, asAlice)).toMatchObject({ status: 200 });
    expect(asked(), 'the second one was ready').toBe(1);

    expect(await get(mod)).toMatchObject({ status: 401, text: 'log in first\n' });
    expect(await get(mod, { headers: { authorization: 'Basic bob' } })).toMatchObject({ status: 401 });
    expect(await get(mod, { method: 'HEAD' })).toMatchObject({ status: 401 });
    expect(await get(mod, { headers: { range: 'bytes=0-3' } })).toMatchObject({ status: 401 });
    expect(await get(mod, { headers: { 'if-none-match': `"${'ab'.repeat(32)}"` } })).toMatchObject({
      status: 401,
    });
    expect(asked()).toBe(1);
    expect(audited[0]).toMatchObject({
      action: 'denied',
      who: 'anonymous',
      from: '10.9.9.9',
      result: 'refused',
      module: 'corp.example/m',
      reason: 'route corp: read',
    });
    expect(audited).toHaveLength(5);
    expect((await logged()).match(/"by":"user:alice"/g)).toHaveLength(2);
  });

  it.each<[DenialCode, number, Record<string, string>]>([
    ['unauthenticated', 401, { 'www-authenticate': 'Basic realm="modferry", charset="UTF-8"' }],
    ['forbidden', 403, {}],
    ['hidden', 404, {}],
    ['limited', 429, { 'retry-after': '3' }],
    ['unavailable', 503, { 'retry-after': '3' }],
  ])('answers %s with %i', async (code, status, headers) => {
    const retryAfterMs = code === 'limited' || code === 'unavailable' ? 2_500 : undefined;
    const { get } = await serve(testGate(onlyAlice(code, retryAfterMs)));
    const said = await get(mod);
    expect(said).toMatchObject({ status, headers: { ...headers, 'cache-control': 'no-store' } });
    if (code !== 'unauthenticated') expect(said.headers).not.toHaveProperty('www-authenticate');
  });

  it('says 404 for a private name that nobody could bring, instead of asking to log in', async () => {
    const { get, asked, audited } = await serve(testGate(onlyAlice(), false));
    expect(await get(mod)).toMatchObject({ status: 404, text: expect.stringContaining('no private source') });
    expect(asked()).toBe(0);
    expect(audited).toMatchObject([
      { action: 'denied', module: 'corp.example/m', reason: 'route corp: read', result: 'refused' },
    ]);
  });

  it.each<[DenialCode, number]>([
    ['unauthenticated', 401],
    ['forbidden', 403],
  ])('says the same as everywhere where it is no rule that denies: %s', async (code, status) => {
    const { get, audited } = await serve(testGate(onlyAlice(code, undefined, false), false));
    expect(await get(mod)).toMatchObject({ status });
    expect(audited).toMatchObject([{ action: 'denied', data: { code } }]);
  });

  it('decides once for a request that a ready answer was looked for', async () => {
    const asked: unknown[] = [];
    const access = onlyAlice();
    const { get } = await serve(
      testGate({
        ...access,
        decideNow: (asker, wanted) => {
          asked.push(wanted);
          return access.decideNow?.(asker, wanted);
        },
      }),
    );
    await get(mod, asAlice);
    asked.length = 0;
    expect(await get(mod)).toMatchObject({ status: 401 });
    expect(asked).toHaveLength(1);
  });

  it.each<[string, string]>([
    ['PUT', '/corp.example/m/@v/v1.0.0.zip'],
    ['POST', '/-/v1/tokens'],
    ['POST', '/-/v1/hook'],
  ])('tells a client that is sending still why it may not: %s %s', async (method, path) => {
    const hook: Endpoint = {
      method: 'POST',
      name: 'hook',
      may: 'own',
      answer: () => ({ status: 202, body: {} }),
    };
    const tokens: Endpoint = { ...hook, name: 'tokens', may: 'admin' };
    const { port } = await serve(testGate(onlyAlice('forbidden')), [hook, tokens]);
    const socket = connect(port, '127.0.0.1');
    const sizeBytes = 8 * 1024 * 1024;
    let got = '';
    const ended = new Promise<string>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString();
      });
      socket.on('error', (error) => resolve(`${error.message} ${got}`));
      socket.on('close', () => resolve(got));
    });
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${sizeBytes}\r\n\r\n`);
    // Half of it before the answer can be there, half of it afterwards.
    socket.write(Buffer.alloc(sizeBytes / 2));
    await expect.poll(() => got).toContain('log in first');
    socket.write(Buffer.alloc(sizeBytes / 2));
    expect(await ended).toMatch(
      /^HTTP\/1\.1 403 .*\r\n[^]*connection: close\r\n[^]*\r\n\r\nlog in first\n$/i,
    );
  });

  it('stands before pages and the checksum database, but not before the health of the process', async () => {
    const { get } = await serve(testGate(onlyAlice()));
    for (const path of ['/', '/metrics', '/version', '/sumdb/sum.golang.org/supported']) {
      expect(await get(path), path).toMatchObject({ status: 401 });
    }
    for (const path of ['/healthz', '/readyz', '/robots.txt']) {
      expect(await get(path), path).toMatchObject({ status: 200 });
    }
  });

  it('asks nobody about what is open, and lets every cache keep it', async () => {
    const { get, asked } = await serve(testGate());
    expect((await get(mod)).headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect((await get(mod, { headers: { authorization: 'Basic bob' } })).status).toBe(200);
    expect(asked()).toBe(1);
  });
});

describe('the API', () => {
  const endpoints: readonly Endpoint[] = [
    {
      method: 'GET',
      name: 'whoami',
      may: 'known',
      answer: ({ identity }) => ({ status: 200, body: { name: identity.name } }),
    },
    {
      method: 'POST',
      name: 'tokens',
      may: 'admin',
      answer: ({ body }) => ({ status: 201, body: { got: body.length } }),
    },
    {
      method: 'DELETE',
      name: 'tokens',
      hasRest: true,
      may: 'admin',
      answer: ({ rest }) => ({ status: 200, body: { rest } }),
    },
    { method: 'POST', name: 'hook', may: 'own', answer: ({ address }) => ({ status: 202, body: address }) },
  ];

  it('is decided by the gate, and answers JSON', async () => {
    const { get, audited } = await serve(testGate(onlyAlice()), endpoints);
    expect(await get('/-/v1/whoami')).toMatchObject({ status: 401 });
    // Else whoever tries passwords would try them here.
    expect(audited).toMatchObject([{ action: 'denied', result: 'refused', data: { right: 'identity' } }]);
    const said = await get('/-/v1/whoami', asAlice);
    expect(said).toMatchObject({ status: 200, text: '{"name":"alice"}\n' });
    expect(said.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(await get('/-/v1/tokens', { method: 'POST', body: 'x' })).toMatchObject({ status: 401 });
    expect(await get('/-/v1/tokens', { ...asAlice, method: 'POST', body: 'xyz' })).toMatchObject({
      status: 201,
      text: '{"got":3}\n',
    });
    expect(await get('/-/v1/tokens/a1', { ...asAlice, method: 'DELETE' })).toMatchObject({
      status: 200,
      text: '{"rest":"a1"}\n',
    });
    expect(await get('/-/v1/hook', { method: 'POST' })).toMatchObject({ status: 202 });
  });

  it('judges where from and how often also what proves by itself who asks', async () => {
    const hook = ['/-/v1/hook', { method: 'POST', headers: { authorization: 'Basic alice' } }] as const;
    const told = await serve(testGate(onlyAlice('unauthenticated')), endpoints);
    // The address is the one that trusted proxies tell.
    expect(await told.get(...hook)).toMatchObject({ status: 202, text: '10.9.9.9' });
    expect(told.audited).toEqual([]);
    const denied = await serve(testGate(onlyAlice('forbidden')), endpoints);
    expect(await denied.get(...hook)).toMatchObject({ status: 403 });
    expect(denied.audited).toMatchObject([{ action: 'denied', from: '10.9.9.9' }]);
    const limited = await serve(testGate(onlyAlice('limited', 2_500)), endpoints);
    expect(await limited.get(...hook)).toMatchObject({ status: 429, headers: { 'retry-after': '3' } });
  });

  it('refuses what it does not know, wrong methods, and bodies over 1 MiB', async () => {
    const { get } = await serve(testGate(onlyAlice()), endpoints);
    for (const path of ['/-/v1/other', '/-/v1/tokens/a/b', '/-/v1/whoami/x']) {
      expect(await get(path, asAlice), path).toMatchObject({ status: 404 });
    }
    expect(await get('/-/v1/tokens', asAlice)).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    const body = 'x'.repeat(1024 * 1024 + 1);
    expect(await get('/-/v1/hook', { method: 'POST', body })).toMatchObject({ status: 413 });
  });
});
