/**
 * The GOPROXY protocol over real HTTP, as https://go.dev/ref/mod#goproxy-protocol has it, for GET and HEAD: bodies,
 * headers, conditions and ranges. Status by cause is in `status.test.ts`.
 */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { replaceBody } from '../kit/faults.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { ask, eventually, modferry, upstream, withDefaults } from './support.ts';

const pseudo = 'v1.2.4-0.20240102030405-abcdefabcdef';
const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3' });
const modules = [
  lib,
  fakeModule({ path: 'example.com/lib', version: 'v1.10.0' }),
  fakeModule({ path: 'example.com/lib', version: 'v1.9.0' }),
  fakeModule({ path: 'example.com/lib', version: 'v1.10.0-rc.1' }),
  fakeModule({ path: 'example.com/lib', version: pseudo }),
  fakeModule({ path: 'example.com/lib', version: 'v2.0.0+incompatible', hasGoMod: false }),
];
const immutable = 'public, max-age=31536000, immutable';

const queries = { 'example.com/lib@main': pseudo, 'example.com/lib@v2.0.0': 'v2.0.0+incompatible' };

async function start(config: Record<string, unknown> = {}) {
  const source = await upstream({ modules, queries });
  const proxy = await modferry({ upstreams: [source], config });
  return { source, proxy };
}

/** One pair for all tests that only need what it serves: a start costs more than most of them. */
let shared: { source: FakeUpstream; proxy: ModferryProcess };
beforeAll(async () => {
  const source = await startFakeUpstream({ modules, queries });
  shared = { source, proxy: await startModferry(withDefaults({ upstreams: [source] })) };
  return async () => {
    await shared.proxy.close();
    await source.close();
  };
});

describe('each endpoint', () => {
  const artifacts = [
    ['info', lib.info, 'application/json'],
    ['mod', lib.mod, 'text/plain; charset=utf-8'],
    ['zip', lib.zip, 'application/zip'],
  ] as const;

  it.each(artifacts)(
    'gives the .%s byte for byte with immutable headers, from upstream and from the store',
    async (ext, body, type) => {
      const { source, proxy } = await start();
      const path = `/example.com/lib/@v/v1.2.3.${ext}`;

      const first = await ask(proxy.url, path);
      const second = await ask(proxy.url, path);
      const third = await ask(proxy.url, path);

      for (const answer of [first, second, third]) {
        expect(answer).toMatchObject({ status: 200, body, complete: true });
        expect(answer.headers).toMatchObject({
          'content-type': type,
          'content-length': String(body.length),
          'cache-control': immutable,
          etag: `"${createHash('sha256').update(body).digest('hex')}"`,
          'last-modified': expect.stringMatching(/GMT$/),
          'accept-ranges': 'bytes',
        });
      }
      expect(source.count(`.${ext}`)).toBe(1);
    },
  );

  it.each(artifacts)(
    'answers HEAD of the .%s like GET without the body, on a miss and on a hit',
    async (ext, body) => {
      const { source, proxy } = await start();
      const path = `/example.com/lib/@v/v1.2.3.${ext}`;

      const miss = await ask(proxy.url, path, { method: 'HEAD' });
      const got = await ask(proxy.url, path);
      const hit = await ask(proxy.url, path, { method: 'HEAD' });

      for (const head of [miss, hit]) {
        expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0), complete: true });
        expect(head.headers).toMatchObject({ 'content-length': String(body.length), etag: got.headers.etag });
      }
      expect(source.count(`.${ext}`)).toBe(1);
    },
  );

  it('lists tags in semantic order, pre-releases included and pseudo-versions not', async () => {
    const { proxy } = shared;
    for (const method of ['GET', 'HEAD'] as const) {
      const answer = await ask(proxy.url, '/example.com/lib/@v/list', { method });
      const body = 'v1.2.3\nv1.9.0\nv1.10.0-rc.1\nv1.10.0\nv2.0.0+incompatible\n';
      expect(answer).toMatchObject({ status: 200, text: method === 'GET' ? body : '', complete: true });
      expect(answer.headers).toMatchObject({
        'content-type': 'text/plain; charset=utf-8',
        'content-length': String(body.length),
        'cache-control': 'public, max-age=60',
        etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
      });
    }
  });

  it('answers @latest and a branch with short freshness', async () => {
    const { source, proxy } = await start();
    source.setQuery('example.com/lib@latest', 'v1.10.0');
    const latest = await ask(proxy.url, '/example.com/lib/@latest');
    expect(JSON.parse(latest.text)).toMatchObject({ Version: 'v1.10.0' });
    expect(latest.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'public, max-age=60',
    });

    const branch = await ask(proxy.url, '/example.com/lib/@v/main.info');
    expect(JSON.parse(branch.text)).toMatchObject({ Version: pseudo });
    expect(branch.headers).toMatchObject({ 'cache-control': 'public, max-age=600' });
    const again = await ask(proxy.url, '/example.com/lib/@v/main.info');
    expect(again.body).toEqual(branch.body);
    expect(source.count('/main.info')).toBe(1);
  });

  it('answers HEAD of @latest and of a branch', async () => {
    const { proxy } = shared;
    for (const path of ['/example.com/lib/@latest', '/example.com/lib/@v/main.info']) {
      const head = await ask(proxy.url, path, { method: 'HEAD' });
      expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0), complete: true });
      const got = await ask(proxy.url, path);
      expect(head.headers['content-length']).toBe(String(got.body.length));
    }
  });

  it('gives all three files of a pseudo-version and of an +incompatible one, as immutable', async () => {
    const { proxy } = shared;
    for (const module of modules.slice(-2)) {
      for (const ext of ['info', 'mod', 'zip'] as const) {
        const answer = await ask(proxy.url, `/example.com/lib/@v/${module.version}.${ext}`);
        expect(answer).toMatchObject({ status: 200, body: module[ext] });
        expect(answer.headers['cache-control']).toBe(immutable);
      }
    }
  });

  it('passes the +incompatible answer for v2.0.0 of a path without /v2 through, not as immutable', async () => {
    const { proxy } = shared;
    const answer = await ask(proxy.url, '/example.com/lib/@v/v2.0.0.info');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ Version: 'v2.0.0+incompatible' });
    expect(answer.headers['cache-control']).toBe('public, max-age=600');
  });

  it('keeps unknown fields and odd spacing of .info, before and after storing', async () => {
    const { source, proxy } = await start();
    const text =
      '{ "Version":"v1.2.3",\n "Time":"2024-01-02T03:04:05+09:00",\n "Origin":{"VCS":"git","URL":"https://example.com/lib","Ref":"refs/tags/v1.2.3"},"New":[1]}\n';
    source.faults.add({ match: 'v1.2.3.info', fault: replaceBody(text) });
    for (let round = 0; round < 2; round += 1) {
      expect((await ask(proxy.url, '/example.com/lib/@v/v1.2.3.info')).text).toBe(text);
    }
  });

  it('reaches one stored entry by both spellings of an upper-case path', async () => {
    const azure = fakeModule({ path: 'example.com/Azure/SDK', version: 'v1.0.0-RC1' });
    const source = await upstream({ modules: [azure] });
    const proxy = await modferry({ upstreams: [source] });
    for (const path of [
      '/example.com/!azure/!s!d!k/@v/v1.0.0-!r!c1',
      '/example.com/%21azure/%21s%21d%21k/@v/v1.0.0-%21r%21c1',
    ]) {
      for (const ext of ['info', 'mod', 'zip'] as const) {
        expect(await ask(proxy.url, `${path}.${ext}`)).toMatchObject({ status: 200, body: azure[ext] });
      }
    }
    expect(source.requests).toHaveLength(3);
  });

  it('gives an empty list with 200 for a module without tags', async () => {
    const source = await upstream({
      modules: [fakeModule({ path: 'example.com/untagged', version: 'v0.0.0-20240102030405-abcdefabcdef' })],
    });
    const proxy = await modferry({ upstreams: [source] });
    const answer = await ask(proxy.url, '/example.com/untagged/@v/list');
    expect(answer).toMatchObject({ status: 200, text: '', complete: true });
  });
});

describe('the union of lists', () => {
  it('has what both upstreams list and what is stored, once each', async () => {
    const at = (version: string) => fakeModule({ path: 'example.com/u', version });
    const first = await upstream({ modules: [at('v1.0.0'), at('v1.2.0'), at('v0.1.0')] });
    const second = await upstream({ modules: [at('v1.1.0'), at('v1.2.0')] });
    const proxy = await modferry({
      upstreams: [first, second],
      config: { freshness: { list: '0s', stale_while_revalidate: '0s' } },
    });
    for (const ext of ['info', 'mod', 'zip']) await ask(proxy.url, `/example.com/u/@v/v0.1.0.${ext}`);
    first.remove('example.com/u', 'v0.1.0');

    // A version counts as stored when its zip is published, which happens behind the reply.
    await eventually(
      () => ask(proxy.url, '/example.com/u/@v/list'),
      ({ text }) => text === 'v0.1.0\nv1.0.0\nv1.1.0\nv1.2.0\n',
    );
  });

  it('takes as @latest the highest answer of all upstreams', async () => {
    const at = (version: string) => fakeModule({ path: 'example.com/u', version });
    const first = await upstream({ modules: [at('v1.0.0')] });
    const second = await upstream({ modules: [at('v1.1.0')] });
    const proxy = await modferry({ upstreams: [first, second] });
    const answer = await ask(proxy.url, '/example.com/u/@latest');
    expect(JSON.parse(answer.text)).toMatchObject({ Version: 'v1.1.0' });
  });
});

describe('Disable-Module-Fetch: true', () => {
  const headers = { 'Disable-Module-Fetch': 'true' };

  it('serves only what is stored and never asks anybody', async () => {
    const { source, proxy } = await start();
    for (const name of [
      '@v/v1.2.3.info',
      '@v/v1.2.3.mod',
      '@v/v1.2.3.zip',
      '@v/list',
      '@latest',
      '@v/main.info',
    ]) {
      const answer = await ask(proxy.url, `/example.com/lib/${name}`, { headers });
      expect(answer.status, name).toBe(404);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.text).toMatch(/not stored/);
    }
    expect(source.requests).toHaveLength(0);

    for (const ext of ['info', 'mod', 'zip'] as const)
      await ask(proxy.url, `/example.com/lib/@v/v1.2.3.${ext}`);
    const asked = source.requests.length;
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const answer = await ask(proxy.url, `/example.com/lib/@v/v1.2.3.${ext}`, { headers });
      expect(answer).toMatchObject({ status: 200, body: lib[ext] });
    }
    await eventually(
      () => ask(proxy.url, '/example.com/lib/@v/list', { headers }),
      ({ text }) => text === 'v1.2.3\n',
    );
    expect(JSON.parse((await ask(proxy.url, '/example.com/lib/@latest', { headers })).text)).toMatchObject({
      Version: 'v1.2.3',
    });
    expect(source.requests).toHaveLength(asked);
  });
});

describe('a path prefix', () => {
  it('serves the protocol and the pages below it, and nothing of the protocol beside it', async () => {
    const { proxy } = await start({ path_prefix: '/goproxy' });
    expect(await ask(proxy.url, '/goproxy/example.com/lib/@v/v1.2.3.mod')).toMatchObject({
      status: 200,
      body: lib.mod,
    });
    expect((await ask(proxy.url, '/example.com/lib/@v/v1.2.3.mod')).status).toBe(404);
    expect((await ask(proxy.url, '/goproxyexample.com/lib/@v/v1.2.3.mod')).status).toBe(404);
    expect((await ask(proxy.url, '/goproxy/')).text).toContain('/goproxy');
    expect((await ask(proxy.url, '/healthz')).status).toBe(200);
  });
});

describe('other methods', () => {
  it.each([
    // Nobody may publish here at all; who has a token may be an administrator.
    ['PUT', 403],
    ['DELETE', 401],
  ])('refuses %s of a zip to whoever is not known', async (method, status) => {
    const answer = await ask(shared.proxy.url, '/example.com/lib/@v/v1.2.3.zip', { method });
    expect(answer.status).toBe(status);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    'refuses %s with 405 and says which are allowed',
    async (method) => {
      const { source, proxy } = shared;
      const before = source.requests.length;
      for (const path of [
        '/example.com/lib/@v/v1.2.3.mod',
        '/example.com/lib/@v/list',
        '/example.com/lib/@latest',
        '/sumdb/sum.golang.org/latest',
        '/healthz',
      ]) {
        const answer = await ask(proxy.url, path, { method });
        expect(answer.status, path).toBe(405);
        expect(answer.headers.allow).toBe('GET, HEAD');
      }
      expect(source.requests).toHaveLength(before);
    },
  );
});

describe('pages', () => {
  it('shows the home page with the line for clients', async () => {
    const { proxy } = shared;
    const home = await ask(proxy.url, '/');
    expect(home.status).toBe(200);
    expect(home.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(home.text).toContain(`go env -w GOPROXY=${proxy.url}`);
  });

  it.each([
    ['/healthz', 'text/plain; charset=utf-8', /^ok\n$/],
    ['/readyz', 'text/plain; charset=utf-8', /^ready\n$/],
    ['/robots.txt', 'text/plain; charset=utf-8', /Disallow: \//],
    ['/version', 'application/json', /"version":"\d+\.\d+\.\d+/],
  ])('answers %s', async (path, type, text) => {
    const { proxy } = shared;
    const answer = await ask(proxy.url, path);
    expect(answer).toMatchObject({ status: 200, text: expect.stringMatching(text) });
    expect(answer.headers['content-type']).toBe(type);
    const head = await ask(proxy.url, path, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe(String(answer.body.length));
  });
});
