import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from './fake-module.ts';
import { startFakeUpstream } from './fake-upstream.ts';
import { type GoHome, type GoResult, goHome, runGo } from './go.ts';
import { hashesOf } from './module-hashes.ts';
import { type Lie, type SumdbLogOptions, startSumdbLog } from './sumdb-log.ts';
import { paddingModule } from './sumdb-log-records.ts';
import { zipWithOneFileChanged } from './zip-variants.ts';

const A = fakeModule({ path: 'example.com/Upper/a', version: 'v1.2.3' });
const B = fakeModule({ path: 'example.com/b', version: 'v1.0.0' });

async function world(options: SumdbLogOptions = {}) {
  const log = await startSumdbLog(options);
  onTestFinished(log.close);
  const upstream = await startFakeUpstream({ modules: [A, B], sumdb: log.handler });
  onTestFinished(upstream.close);
  const home = await goHome();
  onTestFinished(home.remove);
  /** `go mod download` on a machine that has been used before when the same home is given. */
  const download = (module = A, machine: GoHome = home, gosumdb = `${log.verifierKey} ${log.url}`) =>
    runGo(['mod', 'download', '-json', `${module.path}@${module.version}`], {
      home: machine,
      env: { GOPROXY: upstream.url, GOSUMDB: gosumdb },
      timeoutMs: 30_000,
    });
  return { log, upstream, home, download };
}

function expectRefused(result: GoResult, why: string | RegExp): void {
  expect(result.code).not.toBe(0);
  expect(result.stdout + result.stderr).toMatch(why);
}

const text = async (url: string): Promise<string> => (await fetch(url)).text();

describe('a log that tells the truth', () => {
  it.each([
    { before: 0, after: 0 },
    { before: 300, after: 0 },
    { before: 5, after: 300 },
    { before: 70_000, after: 0 },
    { before: 0, after: 70_000 },
  ])('is believed by go, with $before records before and $after after', async ({ before, after }) => {
    const { log, home, download } = await world({ pad: before, modules: [A, B] });
    log.pad(after);

    const result = await download();

    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain(A.zipH1);
    expect(log.count(/^\/lookup\/example\.com\/Upper\/a@v1\.2\.3$/)).toBe(1);
    expect(log.count(/^\/tile\/8\/0\//)).toBeGreaterThan(0);
    const latest = await readFile(join(home.path, 'gopath/pkg/sumdb/sum.test.example/latest'), 'utf8');
    expect(latest).toBe(log.head());
  });

  it('is believed while it grows, from each size to the next', async () => {
    const { log, upstream, download } = await world({ pad: 3 });
    log.onDemand((path) => [A, B].find((module) => module.path === path));
    expect(await download(A)).toMatchObject({ code: 0 });
    for (const more of [1, 252, 511, 66_000]) {
      log.pad(more);
      const made = fakeModule({ path: `example.com/grown${more}` });
      log.add(made);
      upstream.add(made);
      const result = await download(made);
      expect(result).toMatchObject({ code: 0, stderr: '' });
    }
    expect(await download(B)).toMatchObject({ code: 0 });
    expect(log.size).toBe(3 + 1 + 1 + 252 + 511 + 66_000 + 4 + 1);
  }, 60_000);

  it('is reached through an upstream that passes it on', async () => {
    const { log, upstream, download } = await world({ modules: [A] });
    const result = await download(A, undefined, log.verifierKey);
    expect(result).toMatchObject({ code: 0 });
    expect(upstream.count('/sumdb/sum.test.example/supported')).toBe(1);
    expect(log.requests.every(({ via }) => via === 'handler')).toBe(true);
    expect(log.count('/latest')).toBe(0);
  });

  it('records a module when it is first looked up, if somebody knows it', async () => {
    const { log, download } = await world();
    expectRefused(await download(B), /404 Not Found/);
    log.onDemand(() => B);
    const fresh = await goHome();
    onTestFinished(fresh.remove);
    expect(await download(B, fresh)).toMatchObject({ code: 0 });
    expect(log.size).toBe(1);
  });

  it('shows that an altered module is not what was recorded', async () => {
    const { upstream, download } = await world({ modules: [A] });
    upstream.add({ ...A, zip: zipWithOneFileChanged(A) });
    expectRefused(await download(), /checksum mismatch[\s\S]*SECURITY ERROR/);
  });

  it('has made-up records that can be looked up', async () => {
    const { log } = await world({ pad: 2, modules: [A] });
    const { path, version } = paddingModule(1);
    expect(await text(`${log.url}/lookup/${path}@${version}`)).toMatch(/^1\npad\.test\/m1 v1\.0\.0 h1:/);
    for (const absent of [paddingModule(2), paddingModule(3)]) {
      expect((await fetch(`${log.url}/lookup/${absent.path}@${absent.version}`)).status).toBe(404);
    }
  });

  it('serves the records as data tiles, and no tile that is not there', async () => {
    const { log } = await world({ modules: [A, B] });
    expect(await text(`${log.url}/tile/8/data/000.p/2`)).toBe(`${A.goSum}\n${B.goSum}\n`);
    const absent = ['8/0/000.p/3', '8/0/000', '8/1/000.p/1', '8/0/001.p/1', '8/data/000', '8/99/000'];
    const malformed = [
      '8/0/000.p/0',
      '8/0/000.p/256',
      '8/0/00',
      '8/0/x000/001',
      '9/0/000',
      '8/00/000',
      '8/-1/000',
    ];
    for (const tile of absent) expect((await fetch(`${log.url}/tile/${tile}`)).status, tile).toBe(404);
    for (const tile of malformed) expect((await fetch(`${log.url}/tile/${tile}`)).status, tile).toBe(400);
  });

  it('has a head without records: the hash of nothing', async () => {
    const { log } = await world();
    const hashOfNothing = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';
    expect(await text(`${log.url}/latest`)).toContain(
      `go.sum database tree\n0\n${hashOfNothing}\n\n— sum.test.example `,
    );
  });

  it('never changes a record, and has each once', async () => {
    const { log } = await world({ modules: [A, B] });
    expect(log.add(B)).toBe(1);
    expect(log.size).toBe(2);
    expect(() => log.add({ ...hashesOf(B), zipH1: A.zipH1 })).toThrow('lie()');
  });

  it('has the same key for the same name, and another for another seed', async () => {
    const [one, same, other] = [await world(), await world(), await world({ key: 'other' })];
    expect(same.log.verifierKey).toBe(one.log.verifierKey);
    expect(other.log.verifierKey).not.toBe(one.log.verifierKey);
  });

  it('grows by 100,000 records in less than two seconds of computing', async () => {
    const { log } = await world();
    const before = process.cpuUsage();
    log.pad(100_000);
    const { user, system } = process.cpuUsage(before);
    expect(log.size).toBe(100_000);
    expect((user + system) / 1e6).toBeLessThan(2);
  });
});

const HUGE = '123456789012345678901234567890';
const refused: readonly { lie: Lie; why: RegExp }[] = [
  { lie: { kind: 'wrong_hash' }, why: /cannot authenticate record data/ },
  { lie: { kind: 'wrong_hash', zipH1: B.zipH1, path: A.path }, why: /cannot authenticate record data/ },
  { lie: { kind: 'forged_signature' }, why: /invalid signature/ },
  { lie: { kind: 'wrong_key' }, why: /no verifiable signatures/ },
  { lie: { kind: 'unsigned' }, why: /malformed note/ },
  { lie: { kind: 'stale_head', size: 300 }, why: /cannot validate record 301 in tree of size 300/ },
  { lie: { kind: 'missing_tile' }, why: /404 Not Found/ },
  { lie: { kind: 'missing_tile', match: /^\/tile\/8\/0\// }, why: /404 Not Found/ },
  { lie: { kind: 'wrong_tile' }, why: /inconsistent tile/ },
  { lie: { kind: 'wrong_tile', atByte: 31, match: /^\/tile\/8\/0\/001/ }, why: /inconsistent tile/ },
  { lie: { kind: 'wrong_tile', match: '/tile/8/1/000.p/3' }, why: /inconsistent tile/ },
  { lie: { kind: 'short_tile' }, why: /bad result slice/ },
  { lie: { kind: 'short_tile', cutBytes: 5 }, why: /bad result slice/ },
  { lie: { kind: 'long_tile' }, why: /bad result slice/ },
  { lie: { kind: 'no_line' }, why: /checksum missing from sumdb response[\s\S]*SECURITY ERROR/ },
  { lie: { kind: 'line_in_note' }, why: /checksum missing from sumdb response[\s\S]*SECURITY ERROR/ },
  { lie: { kind: 'huge_numbers' }, why: /tile\/8\/6\/000\.p\/32: 404 Not Found/ },
  { lie: { kind: 'huge_numbers', what: 'record' }, why: /cannot validate record 9007199254740993/ },
  { lie: { kind: 'huge_numbers', what: 'tree' }, why: /tile\/8\/6\/000\.p\/32: 404 Not Found/ },
  { lie: { kind: 'huge_numbers', what: 'record', number: HUGE }, why: /malformed record/ },
  { lie: { kind: 'huge_numbers', what: 'tree', number: HUGE }, why: /malformed tree/ },
  { lie: { kind: 'garbage', text: 'SSH-2.0-OpenSSH_9.6\r\n' }, why: /malformed record/ },
  { lie: { kind: 'html' }, why: /malformed record/ },
  { lie: { kind: 'status', status: 500 }, why: /500 Internal Server Error/ },
  { lie: { kind: 'cut' }, why: /unexpected EOF/ },
];

describe('a log that lies', () => {
  it.each(refused)('is refused by go: $lie', async ({ lie, why }) => {
    const { log, upstream, download } = await world({ pad: 300, modules: [B, A] });
    log.pad(500);
    log.lie(lie);

    const result = await download();

    expectRefused(result, why);
    expect(log.count(/^\/lookup\//)).toBe(1);
    // A machine that knew nothing before is believed when the truth is told again.
    log.lie(undefined);
    const fresh = await goHome();
    onTestFinished(fresh.remove);
    expect(await download(A, fresh)).toMatchObject({ code: 0 });
    expect(upstream.count('.zip')).toBeGreaterThan(0);
  });

  it('forks: go that knows the true head sees it, by records that are true in both histories', async () => {
    const { log, download } = await world({ pad: 300, modules: [B] });
    expect(await download(B)).toMatchObject({ code: 0 });
    log.add(A);
    log.lie({ kind: 'fork', fromSize: 280 });
    const result = await download(A);
    expectRefused(result, /SECURITY ERROR\ngo\.sum database server misbehavior detected!/);
    expect(result.stderr).toContain('proof of misbehavior');
    expect(result.stderr).not.toContain('internal error');
  });

  it('forks with the same size', async () => {
    const { log, download } = await world({ pad: 300, modules: [A, B] });
    expect(await download(B)).toMatchObject({ code: 0 });
    log.lie({ kind: 'fork', fromSize: 0 });
    expectRefused(await download(A), 'SECURITY ERROR');
  });

  it('forks unseen by go without memory, which takes the altered module', async () => {
    const { log, upstream, download } = await world({ pad: 300, modules: [A] });
    const altered = { ...A, zip: zipWithOneFileChanged(A) };
    upstream.add(altered);
    log.lie({ kind: 'fork', fromSize: 300, altered: [altered] });
    const result = await download(A);
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toContain(hashesOf(altered).zipH1);
  });

  it('forks only behind the shared records: what was known before them is no contradiction', async () => {
    const { log, upstream, download } = await world({ pad: 300, modules: [B] });
    expect(await download(B)).toMatchObject({ code: 0 });
    log.lie({ kind: 'fork', fromSize: log.size });
    log.pad(100);
    log.add(A);
    expect(await download(A)).toMatchObject({ code: 0 });
    log.lie(undefined);
    const C = fakeModule({ path: 'example.com/b', version: 'v1.0.1' });
    upstream.add(C);
    log.add(C);
    expectRefused(await download(C), 'SECURITY ERROR');
  });

  it('answers a stale head, which is no contradiction for go that knows a later one', async () => {
    const { log, download } = await world({ pad: 300, modules: [A, B] });
    expect(await download(B)).toMatchObject({ code: 0 });
    log.lie({ kind: 'stale_head', size: 10 });
    expect(await download(A)).toMatchObject({ code: 0 });
    expect(() => log.lie({ kind: 'stale_head', size: 1_000 })).toThrow('302 records');
  });

  it.each([{ before: 0 }, { before: 300 }, { before: 600 }])(
    'forges a tile that shares its parent among subtrees, with $before records before',
    async ({ before }) => {
      const { log, upstream, download } = await world({ pad: before, modules: [A] });
      const altered = { ...A, zip: zipWithOneFileChanged(A) };
      upstream.add(altered);
      log.lie({ kind: 'forged_shared_tiles', zipH1: hashesOf(altered).zipH1 });
      expectRefused(await download(A), /downloaded inconsistent tile/);
      expect(log.size).toBe(768);
      expect(log.count(/^\/tile\/8\/1\/000\.p\/3$/)).toBe(1);
    },
  );

  it('lies only where the limits say', async () => {
    const { log } = await world({ pad: 5, modules: [A, B] });
    const lookups = async (): Promise<string[]> => [
      await text(`${log.url}/lookup/example.com/!upper/a@v1.2.3`),
      await text(`${log.url}/lookup/example.com/b@v1.0.0`),
    ];
    const truth = await lookups();
    log.lie({ kind: 'wrong_hash', path: A.path });
    expect((await lookups()).map((answer, index) => answer === truth[index])).toEqual([false, true]);
    log.lie({ kind: 'status', status: 500, match: /\/b@/g });
    expect((await lookups()).map((answer, index) => answer === truth[index])).toEqual([true, false]);
    expect((await lookups()).map((answer, index) => answer === truth[index])).toEqual([true, false]);
    log.lie({ kind: 'status', status: 500 });
    expect((await fetch(`${log.url}/supported`)).status).toBe(200);
    log.lie({ kind: 'status', status: 500, match: '/supported' });
    expect((await fetch(`${log.url}/supported`)).status).toBe(500);
    expect(await lookups()).toEqual(truth);
  });

  it('is slow, and right', async () => {
    const { log } = await world({ modules: [A] });
    const truth = await text(`${log.url}/latest`);
    log.lie({ kind: 'slow', ms: 150 });
    const startedMs = performance.now();
    expect(await text(`${log.url}/latest`)).toBe(truth);
    expect(performance.now() - startedMs).toBeGreaterThan(140);
  });

  it('hangs until the client leaves, at its own address and through an upstream', async () => {
    const { log, upstream } = await world({ modules: [A] });
    log.lie({ kind: 'hang' });
    for (const [server, url] of [
      [log.server, `${log.url}/latest`],
      [upstream, `${upstream.url}/sumdb/${log.name}/latest`],
    ] as const) {
      const patience = new AbortController();
      const asked = fetch(url, { signal: patience.signal });
      const request = await server.waitForRequest('/latest');
      patience.abort(new Error('enough'));
      await expect(asked).rejects.toThrow('enough');
      await request.done;
      expect(request).toMatchObject({ status: undefined, aborted: true });
    }
  });

  it('is away and comes back', async () => {
    const { log, download } = await world({ modules: [A] });
    await log.server.refuse();
    expectRefused(await download(), /connection refused/);
    await log.server.listenAgain();
    expect(await download()).toMatchObject({ code: 0 });
    log.reset();
    expect(log.requests).toEqual([]);
  });
});
