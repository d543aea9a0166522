/**
 * Uploads that go wrong: a process killed in the middle, every bad zip, bombs, clients too slow or too greedy, a full
 * disk. Each has its answer, and nothing of it is ever listed.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type Answer,
  eventually,
  expectCleanStore,
  folder,
  modferry,
  storedVersions,
} from '../e2e/support.ts';
import { askAs, put, tokenIn, type Upload, zipPath } from '../e2e/upload-support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { openRaw, type RawConnection } from '../kit/raw-http.ts';
import { smallTmpfs, type TempDir, tempDir } from '../kit/temp.ts';
import { zipVectors } from '../kit/zip-vectors/zip-vectors.ts';
import { badModule, badZip, badZips, zipBombs } from './bad-zips.ts';

const MIB = 1024 * 1024;
const host = 'git.corp.test';

/** Everything is private, and comes from uploads alone. */
const uploadsOnly = {
  upstreams: ['http://127.0.0.1:9'],
  private: ['*'],
  direct: { enabled: false },
  look_ahead: { enabled: false },
  health: { probe: { enabled: false } },
};

let data: TempDir;
let proxy: ModferryProcess;
let token: string;

beforeAll(async () => {
  data = await tempDir('uploads');
  token = await tokenIn(data.path, 'ci', { publish: ['*'] });
  proxy = await startModferry({
    dataDir: data.path,
    config: {
      ...uploadsOnly,
      server: { headers_timeout: '1s', request_timeout: '1s' },
      publish: { idle: '2s' },
      ingest: { limits: { zip: '8MiB', inflated: '32MiB' } },
    },
  });
});

afterAll(async () => {
  await proxy.close();
  await data.remove();
});

/** A modferry for this test alone, with a token that may publish. */
async function started(dataDir: string) {
  const own = await tokenIn(dataDir, 'ci', { publish: ['*'] });
  return { own, process: await modferry({ dataDir, config: uploadsOnly }) };
}

interface Begun {
  readonly lines?: readonly string[];
  readonly port?: number;
  readonly as?: string;
}

/** A connection on which the head of a PUT was sent. */
async function begin(upload: Upload, { lines = [], port = proxy.port, as = token }: Begun = {}) {
  const connection: RawConnection = await openRaw(port);
  onTestFinished(connection.destroy);
  const length = lines.length > 0 ? [] : [`Content-Length: ${upload.zip.length}`];
  const head = [
    `PUT ${zipPath(upload)} HTTP/1.1`,
    'Host: proxy.test',
    `Authorization: Bearer ${as}`,
    ...length,
    ...lines,
  ];
  await connection.write(`${head.join('\r\n')}\r\n\r\n`);
  return connection;
}

/** Nothing of it can be had, and the module has no list. */
async function expectNothing(
  { path, version }: Pick<Upload, 'path' | 'version'>,
  base = proxy.url,
  as = token,
): Promise<void> {
  for (const name of [`v/${version}.info`, `v/${version}.mod`, `v/${version}.zip`, 'v/list', 'latest']) {
    expect((await askAs(as, base, `/${path}/@${name}`)).status, name).toBe(404);
  }
}

/** A text of one or two lines that a person can act on, on any terminal. */
function expectSentence({ status, text }: Answer, label: string): void {
  expect(status, `${label}: ${text}`).toBeGreaterThanOrEqual(400);
  expect(status, `${label}: ${text}`).toBeLessThan(500);
  expect(text, label).toMatch(/^[^\p{C}]{20,1000}\n$/u);
}

/** What is staged in the folder of any process. */
async function staged(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'run'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.parentPath.includes('staging'))
    .map(({ name }) => name);
}

describe('kill -9 in the middle of an upload', () => {
  it('leaves nothing, and the same upload works afterwards', async () => {
    const dataDir = (await folder('killed')).path;
    const module = fakeModule({ path: `${host}/killed`, paddingBytes: 2 * MIB });
    const { own, process: before } = await started(dataDir);
    const half = await begin(module, { port: before.port, as: own });
    await half.write(module.zip.subarray(0, MIB));
    await eventually(
      () => staged(dataDir),
      (names) => names.length > 0,
    );
    expect((await put(before.url, own, fakeModule({ path: `${host}/whole` }))).status).toBe(201);

    await before.kill();
    expect(await storedVersions(dataDir)).toEqual([expect.stringContaining(`${host}/whole@v1.0.0`)]);
    const after = await modferry({ dataDir, config: uploadsOnly });

    await expectNothing(module, after.url, own);
    expect((await put(after.url, own, module)).status).toBe(201);
    expect((await askAs(own, after.url, zipPath(module))).body.equals(module.zip)).toBe(true);
    expect((await askAs(own, after.url, `/${module.path}/@v/list`)).text).toBe('v1.0.0\n');
    await eventually(
      () => staged(dataDir),
      (names) => names.length === 0,
    );
    await after.stop();
    await expectCleanStore(dataDir);
  });
});

describe('a bad zip', () => {
  it('of every class is a 4xx with a sentence, and nothing stays', async () => {
    for (const [label, body] of Object.entries(badZips)) {
      const upload = { ...badModule, zip: body };
      expectSentence(await put(proxy.url, token, upload), label);
    }
    await expectNothing(badModule);
    expect(await staged(data.path)).toEqual([]);
  });

  it('that inflates without end costs no memory', async () => {
    // The checking thread is there before memory is measured.
    expect((await put(proxy.url, token, fakeModule({ path: `${host}/first` }))).status).toBe(201);
    proxy.resetPeakRss();
    const beforeBytes = proxy.rssBytes();
    for (const [label, body] of Object.entries(zipBombs())) {
      expect(body.length).toBeLessThan(8 * MIB);
      const upload = { ...badModule, zip: body };
      const answers = await Promise.all([1, 2, 3, 4].map(() => put(proxy.url, token, upload)));
      for (const answer of answers) {
        expectSentence(answer, label);
        // Not for anything that was seen before inflating.
        expect(answer.text).toMatch(/inflate/);
      }
      await expectNothing(upload);
    }
    const grownMib = (proxy.peakRssBytes() - beforeBytes) / MIB;
    expect(grownMib).toBeLessThan(100);
  });

  it('is refused wherever Go refuses it, and a good one taken', async () => {
    const vectors = zipVectors().zips;
    const bad = vectors.filter(({ isAccepted }) => !isAccepted);
    expect(bad.length).toBeGreaterThan(30);
    for (const vector of bad) expectSentence(await put(proxy.url, token, vector), vector.name);
    expect(await storedVersions(data.path)).toEqual([expect.stringContaining(`${host}/first@v1.0.0`)]);

    const upload = { ...badModule, zip: badZip({}) };
    expect((await put(proxy.url, token, upload)).status).toBe(201);
  });
});

describe('an upload', () => {
  it('that declares too much is 413 before its body is asked for', async () => {
    const module = { path: `${host}/large`, version: 'v1.0.0', zip: Buffer.alloc(0) };
    const lines = [`Content-Length: ${9 * MIB}`, 'Expect: 100-continue'];

    const connection = await begin(module, { lines });
    await connection.waitFor(/\r\n\r\n[^\r]+\n$/);

    const text = connection.received().toString();
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).not.toContain('100 Continue');
    expect(text).toContain(`${9 * MIB} bytes`);
    await expectNothing(module);
  });

  it('that may come is told so, and only then', async () => {
    const module = fakeModule({ path: `${host}/expected` });
    const lines = [`Content-Length: ${module.zip.length}`, 'Expect: 100-continue'];

    const connection = await begin(module, { lines });
    await connection.waitFor(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    await connection.write(module.zip);

    await connection.waitFor(/HTTP\/1\.1 201 /);
  });

  it.each([
    ['too large', (length: number) => [`Content-Length: ${9 * MIB + length}`]],
    ['of two lengths', (length: number) => [`Content-Length: ${length}`, 'Transfer-Encoding: chunked']],
    ['coded', (length: number) => [`Content-Length: ${length}`, 'Content-Encoding: gzip']],
  ])('that is refused is answered once, whatever its body looks like: %s', async (_, linesOf) => {
    const inner = `GET /healthz HTTP/1.1\r\nHost: proxy.test\r\n\r\n`.repeat(20);
    const upload = { path: `${host}/smuggled`, version: 'v1.0.0', zip: Buffer.alloc(0) };
    const connection = await begin(upload, { lines: linesOf(inner.length) });

    await connection.write(inner);
    connection.end();
    await connection.ended;

    const text = connection.received().toString('latin1');
    expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
  });

  it('that turns out too large without having said so is 413', async () => {
    const module = fakeModule({ path: `${host}/larger`, paddingBytes: 9 * MIB });
    const connection = await begin(module, { lines: ['Transfer-Encoding: chunked'] });

    void connection.write(chunk(module.zip));
    await connection.waitFor(/^HTTP\/1\.1 413 /);

    await expectNothing(module);
    await eventually(
      () => staged(data.path),
      (names) => names.length === 0,
    );
  });

  it('that is slow may take longer than other requests', async () => {
    const module = fakeModule({ path: `${host}/slow`, paddingBytes: 5_000 });
    const connection = await begin(module);
    const startedMs = performance.now();

    const pieceBytes = Math.ceil(module.zip.length / 5);
    for (let at = 0; at < module.zip.length; at += pieceBytes) {
      await sleep(500);
      await connection.write(module.zip.subarray(at, at + pieceBytes));
    }

    await connection.waitFor(/^HTTP\/1\.1 201 /);
    expect(performance.now() - startedMs).toBeGreaterThan(2_000);
    expect((await askAs(token, proxy.url, zipPath(module))).body.equals(module.zip)).toBe(true);
  });

  it('that brings nothing any more is 408', async () => {
    const module = fakeModule({ path: `${host}/stalled`, paddingBytes: MIB });
    const connection = await begin(module);

    await connection.write(module.zip.subarray(0, 500_000));
    await connection.waitFor(/^HTTP\/1\.1 408 /);
    await connection.waitFor(/nothing came for 2 s after byte 500000/);

    expect(await connection.ended).not.toBe('local');
    await expectNothing(module);
    await eventually(
      () => staged(data.path),
      (names) => names.length === 0,
    );
  });

  it('whose client dies leaves nothing', async () => {
    const module = fakeModule({ path: `${host}/left`, paddingBytes: MIB });
    const connection = await begin(module);
    await connection.write(module.zip.subarray(0, 500_000));
    await eventually(
      () => staged(data.path),
      (names) => names.length === 1,
    );

    connection.reset();

    await eventually(
      () => staged(data.path),
      (names) => names.length === 0,
    );
    await expectNothing(module);
  });
});

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from('\r\n0\r\n\r\n'),
  ]);
}

describe('a full disk', () => {
  it('is 503 that names the disk, whether the length was declared or not, and passes', async () => {
    const disk = await smallTmpfs(6 * MIB);
    onTestFinished(disk.remove);
    const dataDir = join(disk.path, 'data');
    const { own, process } = await started(dataDir);
    const large = fakeModule({ path: `${host}/large`, paddingBytes: 8 * MIB });

    const declared = await put(process.url, own, large);
    const undeclared = await begin(large, {
      port: process.port,
      as: own,
      lines: ['Transfer-Encoding: chunked'],
    });
    void undeclared.write(chunk(large.zip));

    expect(declared, declared.text).toMatchObject({ status: 503, text: expect.stringMatching(/disk/) });
    expect(declared.headers['retry-after']).toMatch(/^\d+$/);
    await undeclared.waitFor(/^HTTP\/1\.1 503 [^]*disk/);
    await expectNothing(large, process.url, own);
    await eventually(
      () => staged(dataDir),
      (names) => names.length === 0,
    );
    const small = fakeModule({ path: `${host}/small` });
    expect((await put(process.url, own, small)).status).toBe(201);
    expect((await askAs(own, process.url, zipPath(small))).body.equals(small.zip)).toBe(true);
  });
});
