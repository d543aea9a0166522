/** The verifier with real threads: facts, refusals, queue, abort, death of a thread, end of the process. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, afterEach, describe, expect, it } from 'vitest';

import { bigModuleZip, makeModuleZip } from '../../test/kit/make-zip.ts';
import { checkModuleZip } from './module-zip-check.ts';
import type { ZipVerifierOptions } from './verify-pool.ts';
import { ZipVerifier } from './verify-pool.ts';
import { bufferReader } from './zip-reader.ts';

const path = 'example.com/m';
const version = 'v1.0.0';
const folder = mkdtempSync(join(tmpdir(), 'modferry-verify-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open: ZipVerifier[] = [];
function verifier(options?: ZipVerifierOptions): ZipVerifier {
  const made = new ZipVerifier(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function saved(name: string, zip: Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, zip);
  return file;
}

/** A thread body that dies on the path `dies`, never answers on `hangs`, and else answers with the path as h1. */
const oddBody = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, target }) => {
      if (target.path === 'dies') process.exit(3);
      if (target.path === 'hangs') return;
      parentPort.postMessage({ id, facts: { h1: target.path, entries: 0, inflatedBytes: 0, oddities: [] } });
    });`)}`,
);

const files = { 'go.mod': 'module example.com/m\n', a: 'text' };

describe('ZipVerifier', () => {
  it('gives the facts of a file', async () => {
    const zip = makeModuleZip(path, version, files);
    const file = saved('good.zip', zip);

    const facts = await verifier().verify({ file, path, version });

    expect(facts).toEqual(await checkModuleZip(bufferReader(zip), { path, version }));
    expect(facts.goMod).toBeInstanceOf(Buffer);
  });

  it('gives the facts of a large buffer and leaves the buffer alone', async () => {
    const zip = bigModuleZip(path, version, 3_000_000, 1);
    const copy = Buffer.from(zip);

    const facts = await verifier().verify({ buffer: zip, path, version });

    expect(facts).toEqual(await checkModuleZip(bufferReader(copy), { path, version }));
    expect(zip.equals(copy)).toBe(true);
  });

  it('checks a small buffer without a thread', async () => {
    const dead = verifier({ workerUrl: new URL('data:text/javascript,process.exit(1)') });

    const facts = await dead.verify({ buffer: makeModuleZip(path, version, files), path, version });

    expect(facts.entries).toBe(2);
  });

  it('leaves a small buffer that inflates to much to a thread', async () => {
    const zip = makeModuleZip(path, version, { a: Buffer.alloc(4_000_000) });

    const facts = await verifier({ workerUrl: oddBody }).verify({ buffer: zip, path: 'thread', version });

    expect(zip.length).toBeLessThan(256 * 1024);
    expect(facts.h1).toBe('thread');
  });

  it('refuses with the same code in a thread as inline', async () => {
    const zip = makeModuleZip(path, version, files, { lies: { a: { crc32: 1 } } });
    const file = saved('bad.zip', zip);
    const pool = verifier();

    await expect(pool.verify({ file, path, version })).rejects.toMatchObject({
      name: 'ZipError',
      code: 'bad_crc',
    });
    await expect(pool.verify({ buffer: zip, path, version })).rejects.toMatchObject({ code: 'bad_crc' });
  });

  it('carries limits and the mode of the extra rules to the thread', async () => {
    const file = saved('odd.zip', makeModuleZip(path, version, files, { before: Buffer.from('#!') }));
    const pool = verifier();

    await expect(pool.verify({ file, path, version })).rejects.toMatchObject({ code: 'stray_bytes' });
    const facts = await pool.verify({ file, path, version, extraRules: 'report' });
    expect(facts.oddities[0]?.code).toBe('stray_bytes');
    const limits = { zipBytes: 10 };
    await expect(pool.verify({ file, path, version, limits })).rejects.toMatchObject({ code: 'too_large' });
  });

  it('says that a file cannot be read', async () => {
    const file = join(folder, 'missing.zip');

    await expect(verifier().verify({ file, path, version })).rejects.toMatchObject({
      code: 'verifier_failed',
    });
  });

  it('answers many jobs over few threads', async () => {
    const pool = verifier({ threads: 2 });
    const zips = Array.from({ length: 12 }, (_, i) => makeModuleZip(path, version, { [`f${i}`]: 'x' }));
    const asked = zips.map((zip, i) => pool.verify({ file: saved(`many-${i}.zip`, zip), path, version }));

    const facts = await Promise.all(asked);

    for (const [i, zip] of zips.entries()) {
      expect(facts[i]?.h1).toBe((await checkModuleZip(bufferReader(zip), { path, version })).h1);
    }
    expect(new Set(facts.map((each) => each.h1)).size).toBe(12);
  });

  it('refuses more jobs than may wait', async () => {
    const pool = verifier({ workerUrl: oddBody, maxQueued: 1 });
    const settled = Promise.allSettled([
      pool.verify({ file: '/a', path: 'hangs', version }),
      pool.verify({ file: '/b', path: 'hangs', version }),
    ]);

    await expect(pool.verify({ file: '/c', path, version })).rejects.toMatchObject({ code: 'verifier_busy' });
    await pool.close();
    const codes = (await settled).map((each) =>
      each.status === 'rejected' ? each.reason.code : each.status,
    );
    expect(codes).toEqual(['verifier_closed', 'verifier_closed']);
  });

  it('rejects the job of a thread that dies and goes on with another thread', async () => {
    const pool = verifier({ workerUrl: oddBody });
    const dying = pool.verify({ file: '/a', path: 'dies', version });
    const waiting = pool.verify({ file: '/b', path: 'answers', version });

    await expect(dying).rejects.toMatchObject({ code: 'verifier_failed' });
    expect((await waiting).h1).toBe('answers');
    expect((await pool.verify({ file: '/c', path: 'answers again', version })).h1).toBe('answers again');
  });

  it('drops a waiting job that is aborted, with the reason of the signal', async () => {
    const pool = verifier({ workerUrl: oddBody, maxQueued: 1 });
    const first = pool.verify({ file: '/a', path: 'hangs', version }).catch((error: unknown) => error);
    const controller = new AbortController();
    const second = pool.verify({ file: '/b', path, version, signal: controller.signal });

    controller.abort(new Error('client is gone'));

    await expect(second).rejects.toThrow('client is gone');
    const third = pool.verify({ file: '/c', path, version }).catch((error: unknown) => error);
    await pool.close();
    expect(await Promise.all([first, third])).toMatchObject([
      { code: 'verifier_closed' },
      { code: 'verifier_closed' },
    ]);
  });

  it('frees the thread of a running job that is aborted', async () => {
    const pool = verifier();
    const file = saved('large.zip', bigModuleZip(path, version, 30_000_000, 1));
    const controller = new AbortController();
    const large = pool.verify({ file, path, version, signal: controller.signal });

    controller.abort(new Error('client is gone'));

    await expect(large).rejects.toThrow('client is gone');
    const small = saved('small.zip', makeModuleZip(path, version, files));
    expect((await pool.verify({ file: small, path, version })).entries).toBe(2);
  });

  it('refuses at once when the signal is aborted already, or when it is closed', async () => {
    const pool = verifier();
    const buffer = makeModuleZip(path, version, files);
    const signal = AbortSignal.abort(new Error('too late'));

    await expect(pool.verify({ buffer, path, version, signal })).rejects.toThrow('too late');
    await pool.close();
    await expect(pool.verify({ buffer, path, version })).rejects.toMatchObject({ code: 'verifier_closed' });
  });

  it('lets the process end while threads are idle, but not before an answer', async () => {
    const file = saved('end.zip', makeModuleZip(path, version, files));
    const program = `
      import { ZipVerifier } from ${JSON.stringify(new URL('./verify-pool.ts', import.meta.url).href)};
      const facts = await new ZipVerifier().verify(${JSON.stringify({ file, path, version })});
      process.stdout.write(facts.h1);`;

    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', program],
      {
        timeout: 15_000,
      },
    );

    expect(stdout).toMatch(/^h1:/);
  });
});
