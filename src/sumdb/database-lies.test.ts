import { describe, expect, it } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { hashesOf } from '../../test/kit/module-hashes.ts';
import type { Lie } from '../../test/kit/sumdb-log.ts';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { askerOf, makeWorld, openDatabase, startLog, upstreamOf } from './test-database.ts';

const A = fakeModule({ path: 'example.com/a', version: 'v1.2.3' });
const wrong = `h1:${Buffer.alloc(32, 9).toString('base64')}`;

/** Padding behind A; the lie; how the lookup ends, and what must be told of it; `harmless`: not with a known head. */
const lies: readonly {
  name: string;
  size?: number;
  lie: Lie;
  code: string;
  told?: RegExp;
  harmless?: true;
}[] = [
  {
    name: 'another hash',
    lie: { kind: 'wrong_hash', zipH1: wrong },
    code: 'refused',
    told: /refused up lookup.*not the one/,
  },
  {
    name: 'a forged signature',
    lie: { kind: 'forged_signature' },
    code: 'refused',
    told: /refused up lookup.*signature/,
  },
  { name: "another's key", lie: { kind: 'wrong_key' }, code: 'refused', told: /refused up lookup/ },
  { name: 'no signature', lie: { kind: 'unsigned' }, code: 'refused', told: /refused up lookup/ },
  { name: 'missing tiles', lie: { kind: 'missing_tile' }, code: 'unreachable' },
  {
    name: 'one missing tile',
    size: 700,
    lie: { kind: 'missing_tile', match: '/tile/8/0/000' },
    code: 'unreachable',
  },
  { name: 'wrong tiles', lie: { kind: 'wrong_tile' }, code: 'refused', told: /refused up tile/ },
  {
    name: 'one wrong tile',
    size: 700,
    lie: { kind: 'wrong_tile', match: '/tile/8/0/000' },
    code: 'refused',
    told: /refused up tile\/8\/0\/000: the tile is not/,
  },
  {
    name: 'one wrong tile of the head',
    size: 700,
    lie: { kind: 'wrong_tile', match: /\.p\/2$/ },
    code: 'refused',
    told: /refused up tile/,
    harmless: true,
  },
  {
    name: 'short tiles',
    lie: { kind: 'short_tile' },
    code: 'refused',
    told: /refused up tile.*bytes where/,
  },
  {
    name: 'tiles short of a byte',
    size: 700,
    lie: { kind: 'short_tile', cutBytes: 1 },
    code: 'refused',
    told: /refused up tile/,
  },
  { name: 'empty tiles', lie: { kind: 'short_tile', cutBytes: 1 << 20 }, code: 'refused' },
  { name: 'long tiles', lie: { kind: 'long_tile' }, code: 'refused', told: /refused up tile/ },
  {
    name: 'a record of another module (CVE-2026-42501)',
    lie: { kind: 'no_line' },
    code: 'refused',
    told: /no line of example/,
  },
  {
    name: 'lines in the note only (CVE-2026-56864)',
    lie: { kind: 'line_in_note' },
    code: 'refused',
    told: /no line of example/,
  },
  {
    name: 'forged tiles that share a parent (CVE-2026-56865)',
    lie: { kind: 'forged_shared_tiles', zipH1: wrong },
    code: 'refused',
    told: /refused up tile\/8\/0\/000: the tile is not/,
  },
  { name: 'huge numbers', lie: { kind: 'huge_numbers' }, code: 'refused', told: /2\^53/ },
  {
    name: 'a huge record number',
    lie: { kind: 'huge_numbers', what: 'record', number: '9'.repeat(400) },
    code: 'refused',
  },
  { name: 'a huge tree', lie: { kind: 'huge_numbers', what: 'tree' }, code: 'refused' },
  {
    name: 'the largest tree',
    lie: { kind: 'huge_numbers', what: 'tree', number: String(2 ** 52) },
    code: 'unreachable',
    harmless: true,
  },
  {
    name: 'a record beyond the tree',
    lie: { kind: 'huge_numbers', what: 'record', number: '600' },
    code: 'refused',
    told: /record 600 is not in the tree/,
  },
  { name: 'garbage', lie: { kind: 'garbage', text: '\0\n\n\n— ' }, code: 'refused', told: /refused up/ },
  { name: 'nothing', lie: { kind: 'garbage', text: '' }, code: 'refused', told: /refused up/ },
  { name: 'a page', lie: { kind: 'html' }, code: 'refused' },
  { name: 'a status', lie: { kind: 'status', status: 503 }, code: 'unreachable' },
  { name: '404 to everything', lie: { kind: 'status', status: 404 }, code: 'absent' },
  { name: '410 to everything', lie: { kind: 'status', status: 410 }, code: 'absent' },
  { name: 'half a body', lie: { kind: 'cut' }, code: 'unreachable' },
];

describe('every lie is caught', () => {
  it.each(lies)('$name, at first sight', async ({ size = 300, lie, code, told }) => {
    const { log, open, store } = await makeWorld({ modules: [A], pad: 0 });
    log.pad(size - 1);
    const { lookup, told: heard } = open();
    log.lie(lie);

    await expect(lookup(A)).rejects.toMatchObject({ code, message: expect.stringContaining(log.name) });

    if (told !== undefined) expect(heard.join('\n')).toMatch(told);
    expect(heard.filter((line) => line.startsWith('forked'))).toEqual([]);
    expect([...store.files.keys()].filter((name) => name.startsWith('lookup/'))).toEqual([]);
  });

  it.each(lies)('$name, while the truth of another upstream is used', async ({ size = 300, lie, told }) => {
    const liar = await startLog({ modules: [A] });
    const honest = await startLog({ modules: [A] });
    liar.pad(size - 1);
    liar.lie(lie);
    honest.pad(liar.size - 1);
    const upstreams = [await upstreamOf(liar, 'up'), await upstreamOf(honest, 'honest')];
    const { lookup, told: heard } = openDatabase(honest, { upstreams });

    expect(await lookup(A)).toMatchObject({ id: 0, zipH1: A.zipH1, modH1: A.modH1, treeSize: honest.size });

    if (told !== undefined) expect(heard.join('\n')).toMatch(told);
    expect(heard.join('\n')).not.toMatch(/refused honest|forked/);
  });

  it.each(lies)('$name, with a known head', async ({ size = 300, lie, code, harmless }) => {
    const { log, open } = await makeWorld({ modules: [A] });
    log.pad(size - 1);
    const { database, lookup, told } = open();
    if (lie.kind === 'forged_shared_tiles') log.lie(lie);
    await database.head(askerOf(), 0);
    log.lie(lie);
    // What is proven under the known head needs nothing of the new one.
    if (harmless === true) expect(await lookup(A)).toMatchObject({ zipH1: A.zipH1 });
    else await expect(lookup(A)).rejects.toMatchObject({ code });
    await database.idle();
    expect(told.join('\n')).not.toContain('forked');
  });

  it('a hanging one is left behind for the next', async () => {
    const liar = await startLog({ modules: [A], pad: 300 });
    const honest = await startLog({ modules: [A], pad: 300 });
    liar.lie({ kind: 'hang' });
    const upstreams = [await upstreamOf(liar, 'up'), await upstreamOf(honest, 'honest')];
    const { lookup } = openDatabase(honest, { upstreams, firstByteMs: 20 });
    expect(await lookup(A)).toMatchObject({ zipH1: A.zipH1 });
  });

  it('a slow one is waited for when it is the only one', async () => {
    const { log, open } = await makeWorld({ modules: [A], pad: 300 });
    log.lie({ kind: 'slow', ms: 100 });
    expect(await open({ firstByteMs: 20 }).lookup(A)).toMatchObject({ zipH1: A.zipH1 });
  });

  it('one of several tiles of a head that differs is laid on the source that sent it', async () => {
    const liar = await startLog({ pad: 70_000 });
    const honest = await startLog({ pad: 70_000 });
    liar.lie({ kind: 'wrong_tile', match: '/tile/8/1/001.p/17' });
    const upstreams = [await upstreamOf(liar, 'liar'), await upstreamOf(honest, 'honest')];
    const { lookup, told } = openDatabase(honest, { upstreams });
    expect(await lookup(paddingModule(69_999))).toMatchObject({ treeSize: 70_000 });
    const refused = told.filter((line) => line.startsWith('refused'));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatch(/^refused liar tile\/8\/.*: the tiles make another hash/);
  });

  it('a partial tile that is not there is cut from the full one', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    log.lie({ kind: 'stale_head', size: 290, match: '/latest' });
    const { lookup, database, told } = open();
    await database.head(askerOf(), 0);
    log.pad(1000);
    const wish = { level: 0, n: 2, width: 4 };
    log.lie({ kind: 'missing_tile', match: /\.p\/\d+$/ });
    expect(await database.tile(wish, askerOf({}))).toMatchObject({ isProven: false });
    expect(log.requests.map(({ path }) => path)).toContain('/tile/8/0/002');
    log.lie(undefined);
    expect(await lookup(paddingModule(1200))).toMatchObject({ treeSize: 1300 });
    expect(told.join('\n')).not.toContain('forked');
  });
});

describe('a lie that is properly signed', () => {
  it('is no stranger to a client that knows nothing', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    log.lie({ kind: 'stale_head', size: 200 });
    expect(await open().lookup(paddingModule(7))).toMatchObject({ treeSize: 200 });
  });

  it('names what a fork altered in the record only to whom it fits', async () => {
    const { log, open } = await makeWorld({ pad: 100, modules: [A] });
    const altered = { ...hashesOf(A), zipH1: wrong };
    const { lookup, told, database } = open();
    await database.head(askerOf(), 0);
    log.lie({ kind: 'fork', fromSize: 50, altered: [altered] });
    await expect(lookup(A)).rejects.toMatchObject({ code: 'forked' });
    expect(told).toEqual(['head 0 101', 'forked up 101 101']);
  });
});
