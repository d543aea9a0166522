import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from './fake-module.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from './fake-upstream.ts';
import { gate, hold } from './faults.ts';
import { openRaw, rawRequest } from './raw-http.ts';
import { textReply } from './reply.ts';
import { KitTimeout } from './request-log.ts';
import { tempDir } from './temp.ts';

const A1 = fakeModule({ path: 'example.com/Az', version: 'v1.0.0' });
const A2 = fakeModule({ path: 'example.com/Az', version: 'v1.10.0' });
const PRE = fakeModule({ path: 'example.com/Az', version: 'v2.0.0-rc.1' });
const PSEUDO = fakeModule({ path: 'example.com/Az', version: 'v1.10.1-0.20240102030405-abcdefabcdef' });

async function start(options: FakeUpstreamOptions) {
  const upstream = await startFakeUpstream(options);
  onTestFinished(upstream.close);
  return upstream;
}

async function textOf(url: string, init?: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  return `${response.status} ${await response.text()}`;
}

async function folder(): Promise<string> {
  const dir = await tempDir('layout');
  onTestFinished(dir.remove);
  const versions = join(dir.path, 'example.com/!az/@v');
  await mkdir(versions, { recursive: true });
  await writeFile(join(versions, 'v1.0.0.info'), A1.info);
  await writeFile(join(versions, 'v1.0.0.mod'), A1.mod);
  await writeFile(join(versions, 'v1.0.0.zip'), A1.zip);
  return dir.path;
}

describe('the protocol from memory', () => {
  it('serves list, info, mod, zip and @latest of escaped paths', async () => {
    const { url } = await start({ modules: [A2, PRE, PSEUDO, A1] });
    expect(await textOf(`${url}/example.com/!az/@v/list`)).toBe('200 v1.0.0\nv1.10.0\nv2.0.0-rc.1\n');
    expect(await textOf(`${url}/example.com/%21az/@latest`)).toBe(`200 ${A2.info.toString()}`);
    expect(await textOf(`${url}/example.com/!az/@v/v1.0.0.info`)).toBe(`200 ${A1.info.toString()}`);
    expect(await textOf(`${url}/example.com/!az/@v/v1.0.0.mod`)).toBe(`200 ${A1.mod.toString()}`);
    const zip = await rawRequest(Number(new URL(url).port), [
      'GET /example.com/!az/@v/v1.0.0.zip HTTP/1.1',
      'Host: x',
    ]);
    expect(zip.body).toEqual(A1.zip);
  });

  it('answers version queries from its table, and the table can change', async () => {
    const upstream = await start({ modules: [A1, A2], queries: { 'example.com/Az@main': 'v1.0.0' } });
    const main = `${upstream.url}/example.com/!az/@v/main.info`;
    const before = await textOf(main);
    upstream.setQuery('example.com/Az@main', 'v1.10.0');
    upstream.setQuery('example.com/Az@latest', 'v1.0.0');
    expect(before).toBe(`200 ${A1.info.toString()}`);
    expect(await textOf(main)).toBe(`200 ${A2.info.toString()}`);
    expect(await textOf(`${upstream.url}/example.com/!az/@latest`)).toBe(`200 ${A1.info.toString()}`);
    upstream.setQuery('example.com/Az@main', undefined);
    expect(await textOf(main)).toMatch(/^404 /);
  });

  it('says 404 with a line of text for what it does not have, until it is added', async () => {
    const upstream = await start({});
    expect(await textOf(`${upstream.url}/example.com/!az/@v/list`)).toBe(
      '404 not found: example.com/!az: unknown module\n',
    );
    upstream.add(A1);
    expect(await textOf(`${upstream.url}/example.com/!az/@v/list`)).toBe('200 v1.0.0\n');
    upstream.remove('example.com/Az', 'v1.0.0');
    expect(await textOf(`${upstream.url}/example.com/!az/@v/v1.0.0.mod`)).toMatch(/^404 /);
    expect(await textOf(`${upstream.url}/robots.txt`)).toMatch(/^404 /);
    expect(await textOf(`${upstream.url}/x/@v/list`, { method: 'POST' })).toMatch(/^405 /);
  });
});

describe('the protocol from a folder', () => {
  it('sends files with length and validators, and nothing from outside the folder', async () => {
    const upstream = await start({ root: await folder() });
    const answer = await fetch(`${upstream.url}/example.com/!az/@v/v1.0.0.zip`);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(A1.zip);
    expect(answer.headers.get('content-length')).toBe(String(A1.zip.length));
    expect(answer.headers.get('last-modified')).toBeTruthy();
    expect(await textOf(`${upstream.url}/example.com/!az/@v/list`)).toBe('200 v1.0.0\n');
    expect(await textOf(`${upstream.url}/example.com/!az/@latest`)).toBe(`200 ${A1.info.toString()}`);
    const outside = await rawRequest(upstream.port, ['GET /x/../../etc/@v/passwd.mod HTTP/1.1', 'Host: x']);
    expect(outside.status).toBe(404);
  });

  it('answers single ranges and If-None-Match, and a range whose If-Range is stale whole', async () => {
    const upstream = await start({ root: await folder() });
    const url = `${upstream.url}/example.com/!az/@v/v1.0.0.zip`;
    const etag = (await fetch(url)).headers.get('etag') ?? '';
    const size = A1.zip.length;

    const middle = await fetch(url, { headers: { Range: 'bytes=10-19', 'If-Range': etag } });
    const tail = await fetch(url, { headers: { Range: 'bytes=-4' } });
    const stale = await fetch(url, { headers: { Range: 'bytes=10-', 'If-Range': '"other"' } });
    const beyond = await fetch(url, { headers: { Range: `bytes=${size}-` } });
    const same = await fetch(url, { headers: { 'If-None-Match': etag } });

    expect(middle.status).toBe(206);
    expect(middle.headers.get('content-range')).toBe(`bytes 10-19/${size}`);
    expect(Buffer.from(await middle.arrayBuffer())).toEqual(A1.zip.subarray(10, 20));
    expect(Buffer.from(await tail.arrayBuffer())).toEqual(A1.zip.subarray(-4));
    expect([stale.status, beyond.status, same.status]).toEqual([200, 416, 304]);
  });

  it('answers HEAD with the length and no body', async () => {
    const upstream = await start({ root: await folder() });
    const head = await rawRequest(upstream.port, ['HEAD /example.com/!az/@v/v1.0.0.zip HTTP/1.1', 'Host: x']);
    expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(head.headers).toContainEqual(['Content-Length', String(A1.zip.length)]);
  });
});

describe('/sumdb/', () => {
  it('is 404 unless somebody answers it', async () => {
    const { url } = await start({});
    expect(await textOf(`${url}/sumdb/sum.golang.org/supported`)).toMatch(/^404 /);
  });

  it('is delegated to a function', async () => {
    const { url } = await start({ sumdb: (path) => textReply(200, `asked ${path}`) });
    expect(await textOf(`${url}/sumdb/sum.golang.org/lookup/a@v1.0.0`)).toBe(
      '200 asked sum.golang.org/lookup/a@v1.0.0',
    );
  });

  it('is passed through to a database elsewhere, whose name may have a path', async () => {
    const far = await start({
      sumdb: (path) => textReply(path.includes('missing') ? 404 : 200, `far ${path}`),
    });
    const near = await start({ sumdb: [{ name: 'db.test/one', url: `${far.url}/sumdb/inner` }] });
    expect(await textOf(`${near.url}/sumdb/db.test/one/supported`)).toBe('200 ');
    expect(await textOf(`${near.url}/sumdb/db.test/one/latest`)).toBe('200 far inner/latest');
    expect(await textOf(`${near.url}/sumdb/db.test/one/missing`)).toMatch(/^404 /);
    expect(await textOf(`${near.url}/sumdb/db.test/two/latest`)).toMatch(/^404 /);
  });
});

describe('the record', () => {
  it('has what was asked, unescaped, with its headers, order, status and bytes', async () => {
    const upstream = await start({ modules: [A1] });
    await fetch(`${upstream.url}/example.com/%21az/@v/v1.0.0.mod?x=1`, { headers: { 'X-Test': 'yes' } });
    await fetch(`${upstream.url}/example.com/none/@v/list`);
    await Promise.all(upstream.requests.map((record) => record.done));

    expect(upstream.requests).toHaveLength(2);
    expect(upstream.requests[0]).toMatchObject({
      method: 'GET',
      url: '/example.com/%21az/@v/v1.0.0.mod?x=1',
      path: '/example.com/Az/@v/v1.0.0.mod',
      status: 200,
      bytesSent: A1.mod.length,
      aborted: false,
    });
    expect(upstream.requests[0]?.headers['x-test']).toBe('yes');
    expect(upstream.count(/Az/)).toBe(1);
    expect(upstream.count('/list')).toBe(1);
    upstream.reset();
    expect(upstream.requests).toHaveLength(0);
  });

  it('can be waited for, before and after the request comes', async () => {
    const upstream = await start({ modules: [A1] });
    const second = upstream.waitForRequest('/list', { count: 2 });
    await fetch(`${upstream.url}/example.com/!az/@v/list`);
    const first = await upstream.waitForRequest('/list');
    await fetch(`${upstream.url}/example.com/!az/@v/list`);
    expect((await second).atMs).toBeGreaterThan(first.atMs);
  });

  it('says what came instead when a wait is in vain', async () => {
    const upstream = await start({});
    await fetch(`${upstream.url}/example.com/none/@v/list`);
    const failure: unknown = await upstream
      .waitForRequest('.zip', { timeoutMs: 5 })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KitTimeout);
    expect(String(failure)).toContain('seen: GET /example.com/none/@v/list');
  });

  it('marks a client that left, also one whose reply waited in a pipeline', async () => {
    const door = gate();
    const upstream = await start({ modules: [A1], rules: [{ match: '.zip', fault: hold(10, door) }] });
    const client = await openRaw(upstream.port);
    await client.write('GET /example.com/!az/@v/v1.0.0.zip HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2));
    await upstream.waitForRequest('.zip', { count: 2 });
    await door.reached;

    client.reset();

    await Promise.all(upstream.requests.map((record) => record.done));
    expect(upstream.requests.map((record) => record.aborted)).toEqual([true, true]);
  });
});

describe('the connections', () => {
  it('are counted', async () => {
    const upstream = await start({});
    const first = await openRaw(upstream.port);
    await first.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
    await upstream.waitForRequest('/a');
    const second = await openRaw(upstream.port);
    await second.write('GET /b HTTP/1.1\r\nHost: x\r\n\r\n');
    const { socketId, requestOnSocket } = await upstream.waitForRequest('/b');

    expect({ socketId, requestOnSocket }).toEqual({ socketId: 2, requestOnSocket: 1 });
    expect(upstream.sockets).toMatchObject({ accepted: 2, open: 2, peak: 2 });
    await upstream.refuse();
    expect(upstream.sockets).toMatchObject({ accepted: 2, open: 0, peak: 2 });
    await expect(first.ended).resolves.not.toBe('local');
    second.destroy();
  });

  it('are refused on demand and accepted again on the same port', async () => {
    const upstream = await start({ modules: [A1] });
    const url = `${upstream.url}/example.com/!az/@v/list`;
    await textOf(url);
    await upstream.refuse();
    await expect(openRaw(upstream.port)).rejects.toThrow('ECONNREFUSED');
    await upstream.listenAgain();
    expect(await textOf(url)).toBe('200 v1.0.0\n');
  });

  it('wait out the latency before the first byte', async () => {
    const upstream = await start({ modules: [A1], latencyMs: 50 });
    const startedMs = performance.now();
    await textOf(`${upstream.url}/example.com/!az/@v/list`);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(45);
  });
});

describe('fake-upstream-main', () => {
  it('serves a folder as a process of its own and stops on SIGTERM', async () => {
    const main = join(import.meta.dirname, 'fake-upstream-main.ts');
    const child = spawn(process.execPath, [main, '--root', await folder(), '--latency', '1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = new Promise((resolve) => child.on('exit', resolve));
    const line = new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
    const url = (await line).replace('listening on ', '').trim();

    expect(await textOf(`${url}/example.com/!az/@v/v1.0.0.mod`)).toBe(`200 ${A1.mod.toString()}`);

    child.kill('SIGTERM');
    await expect(exited).resolves.toBe(0);
  });
});
