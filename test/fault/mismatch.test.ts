/**
 * Upstreams that send something else than the checksum database knows: it goes to quarantine, the next one is asked in
 * the same request, and when nobody has the right content the client is told why.
 */
import { describe, expect, it } from 'vitest';
import { events, get, info, proving, type Suspect, sumdbLog, suspects } from '../e2e/checksums-support.ts';
import { eventually, expectCleanStore, modferry, storedZips, upstream } from '../e2e/support.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { status } from '../kit/faults.ts';
import { runGo } from '../kit/go.ts';
import { hashesOf } from '../kit/module-hashes.ts';
import { foreignZip, repackedZip, zipWithOneFileChanged } from '../kit/zip-variants.ts';

const good = fakeModule({ path: 'example.com/lib' });
const changedZip = zipWithOneFileChanged(good);
const otherZip = zipWithOneFileChanged(good, 'lib.go');
const changedMod = Buffer.from(`module ${good.path}\n\ngo 1.20\n\nrequire evil.test/x v1.0.0\n`);

async function world(modules: readonly (FakeModule | undefined)[]) {
  const log = await sumdbLog({ pad: 10, modules: [good] });
  const sources = await Promise.all(
    modules.map((module) => upstream(module === undefined ? {} : { modules: [module] })),
  );
  const config = { hedge: { enabled: false } };
  const proxy = await modferry({ upstreams: sources, env: proving(log), config });
  return { log, sources, proxy };
}

function nameOf(source: FakeUpstream | undefined): string {
  return `127.0.0.1:${source?.port}`;
}

describe('an upstream that sends other content than proven, and one that has the right one', () => {
  it.each([
    ['a zip with one file changed', 'zip', { zip: changedZip }],
    ['a changed go.mod', 'mod', { mod: changedMod }],
  ] as const)('%s: the client gets the right one in the same request', async (_, ext, change) => {
    const evil = { ...good, ...change };
    const { proxy, sources } = await world([evil, good]);
    const headers = { server: 'evil/1.0', etag: '"abc"', 'set-cookie': 'secret=1' };
    sources[0]?.faults.add({ match: `.${ext}`, fault: status(200, headers, evil[ext]) });

    const answer = await get(proxy, good, ext);
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.body.equals(good[ext])).toBe(true);
    expect(answer.headers['x-modferry-proof']).toMatch(/^sumdb sum\.test\.example 10 /);
    expect(sources.map((source) => source.count(`.${ext}`))).toEqual([1, 1]);

    const found = await suspects(proxy.dataDir);
    const hash = ext === 'zip' ? ('zipH1' as const) : ('modH1' as const);
    expect(found).toMatchObject([
      {
        cause: 'mismatch',
        module: good.path,
        version: good.version,
        artifact: ext,
        source: nameOf(sources[0]),
        expectedH1: good[hash],
        foundH1: hashesOf(evil)[hash],
        expectedBy: 'sum.test.example #10',
        headers: { server: 'evil/1.0', etag: '"abc"' },
      } satisfies Partial<Suspect>,
    ]);
    expect(JSON.stringify(found)).not.toContain('secret');
    const told = await eventually(
      () => events(proxy.dataDir),
      (all) => all.some(({ kind }) => kind === 'healed'),
    );
    expect(told.find(({ kind }) => kind === 'mismatch')).toMatchObject({
      severity: 'error',
      upstream: nameOf(sources[0]),
      module: good.path,
      data: { quarantineId: found[0]?.id, expectedH1: good[hash] },
    });
    expect(told.find(({ kind }) => kind === 'healed')).toMatchObject({
      upstream: nameOf(sources[1]),
      data: { from: nameOf(sources[0]) },
    });
    expect((await info(proxy.dataDir, good))[ext]).toMatchObject({
      source: nameOf(sources[1]),
      h1: good[hash],
      proof: { by: 'sumdb', recordId: 10 },
    });
    await expectCleanStore(proxy.dataDir);
  });

  it("another module's zip: the same", async () => {
    const { proxy, sources } = await world([{ ...good, zip: foreignZip(good) }, good]);
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 200, body: good.zip });
    const told = await eventually(
      () => events(proxy.dataDir),
      (all) => all.some(({ kind }) => kind === 'refused' || kind === 'mismatch'),
    );
    expect(told.find(({ kind }) => kind === 'refused' || kind === 'mismatch')).toMatchObject({
      upstream: nameOf(sources[0]),
      module: good.path,
    });
    expect((await info(proxy.dataDir, good)).zip).toMatchObject({
      source: nameOf(sources[1]),
      h1: good.zipH1,
    });
  });

  it('a zip packed anew of the same tree is no mismatch', async () => {
    const repacked = { ...good, zip: repackedZip(good) };
    expect(repacked.zip.equals(good.zip)).toBe(false);
    const { proxy, sources } = await world([repacked, good]);
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 200, body: repacked.zip });
    expect(sources[1]?.count('.zip')).toBe(0);
    expect(await suspects(proxy.dataDir)).toEqual([]);
    expect((await info(proxy.dataDir, good)).zip).toMatchObject({ h1: good.zipH1, proof: { by: 'sumdb' } });
  });
});

describe('upstreams none of which has the right content', () => {
  it.each([
    ['the only one: it may be tampered with', [changedZip], /only source.*tampered with.*tag was moved/],
    ['two that agree: the tag was moved', [changedZip, changedZip], /all 2 sources agree.*tag was moved/],
    ['two that differ: damaged on the way', [changedZip, otherZip], /2 sources have 2 other contents/],
  ])('%s: 403 with the cause, which go prints', async (_, zips, cause) => {
    const { proxy, sources } = await world(zips.map((zip) => ({ ...good, zip })));
    const go = await runGo(['mod', 'download', `${good.path}@${good.version}`], {
      env: { GOPROXY: proxy.url, GOSUMDB: 'off' },
    });
    expect(go.code).toBe(1);
    expect(go.stderr).toContain('403 Forbidden');
    expect(go.stderr).toMatch(cause);
    const answer = await get(proxy, good, 'zip');
    expect(answer).toMatchObject({ status: 403, complete: true });
    expect(answer.headers['cache-control']).toBe('no-store');
    for (const source of sources) expect(answer.text).toContain(`${nameOf(source)}: has h1:`);
    expect(await storedZips(proxy.dataDir)).toEqual([]);
    const found = await suspects(proxy.dataDir);
    expect(new Set(found.map(({ source }) => source)).size).toBe(sources.length);
    const causes = found.map((suspect) => suspect.cause).toSorted();
    expect(causes.includes('retagged')).toBe(zips.length === 2 && zips[0] === zips[1]);
  });

  it('is 502 when another one may have it but is down, and mended when that one is back', async () => {
    const { proxy, sources } = await world([{ ...good, zip: changedZip }, good]);
    await sources[1]?.refuse();
    const answer = await get(proxy, good, 'zip');
    expect(answer).toMatchObject({ status: 502, text: expect.stringContaining(': has h1:') });
    await sources[1]?.listenAgain();
    const healed = await eventually(
      () => get(proxy, good, 'zip'),
      (again) => again.status === 200,
      30_000,
    );
    expect(healed.body.equals(good.zip)).toBe(true);
  });

  it('is 403 when the others do not have it at all', async () => {
    const { proxy } = await world([{ ...good, mod: changedMod }, undefined]);
    expect(await get(proxy, good, 'mod')).toMatchObject({ status: 403 });
  });
});
