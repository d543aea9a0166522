/**
 * A data folder on a tiny file system: a full disk turns modferry into a pass-through that says so (ruling 15).
 * Small bodies are verified in memory, larger zips are streamed where they can be proven from the stream.
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, eventually, expectCleanStore, modferry, storedZips, upstream } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { flipByte } from '../kit/faults.ts';
import { smallTmpfs } from '../kit/temp.ts';

const MIB = 1024 * 1024;
const exts = ['info', 'mod', 'zip'] as const;

async function tinyDisk(sizeBytes: number): Promise<string> {
  const disk = await smallTmpfs(sizeBytes);
  onTestFinished(disk.remove);
  return join(disk.path, 'data');
}

/** All regular files of the folder that are no part of the published store or its facts. */
async function leftovers(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, 'run'), { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile() && entry.parentPath.includes('staging'))
    .map((entry) => entry.name);
}

describe('a full disk', () => {
  it('passes small bodies and larger zips through, keeps serving what is stored, and says so in the log', async () => {
    const dataDir = await tinyDisk(4 * MIB);
    const stored = fakeModule({ path: 'example.com/stored' });
    const small = fakeModule({ path: 'example.com/small' });
    const large = fakeModule({ path: 'example.com/large', paddingBytes: 8 * MIB });
    const source = await upstream({ modules: [stored, small, large] });
    const proxy = await modferry({
      upstreams: [source],
      dataDir,
      config: { ingest: { pass_through_memory: '1MiB' } },
    });
    for (const ext of exts) await ask(proxy.url, `/example.com/stored/@v/v1.0.0.${ext}`);
    await eventually(
      () => storedZips(dataDir),
      (zips) => zips.length === 1,
    );
    await writeFile(join(dataDir, '../ballast'), Buffer.alloc(4 * MIB)).catch(() => {});

    for (const ext of exts) {
      const answer = await ask(proxy.url, `/example.com/small/@v/v1.0.0.${ext}`);
      expect(answer, `small .${ext}: ${answer.text.slice(0, 200)}`).toMatchObject({
        status: 200,
        body: small[ext],
        complete: true,
      });
    }
    const streamed = await ask(proxy.url, '/example.com/large/@v/v1.0.0.zip');
    expect(streamed.status, streamed.text.slice(0, 200)).toBe(200);
    expect(streamed.complete).toBe(true);
    expect(streamed.body.equals(large.zip)).toBe(true);
    for (const ext of exts) {
      expect(await ask(proxy.url, `/example.com/stored/@v/v1.0.0.${ext}`)).toMatchObject({
        status: 200,
        body: stored[ext],
      });
    }
    expect((await ask(proxy.url, '/example.com/stored/@v/list')).text).toBe('v1.0.0\n');
    expect((await ask(proxy.url, '/readyz')).status).toBe(200);

    await proxy.waitForLine(/disk takes no more/);
    await eventually(
      () => leftovers(dataDir),
      (names) => names.length === 0,
    );
    await proxy.stop();
    await rm(join(dataDir, '../ballast'));
    await expectCleanStore(dataDir);
    expect(await storedZips(dataDir)).toEqual(['example.com/stored@v1.0.0']);
  });

  it('becomes a store again when there is room', async () => {
    const dataDir = await tinyDisk(4 * MIB);
    const module = fakeModule({ path: 'example.com/m' });
    const source = await upstream({ modules: [module] });
    const proxy = await modferry({ upstreams: [source], dataDir });
    await writeFile(join(dataDir, '../ballast'), Buffer.alloc(4 * MIB)).catch(() => {});
    expect(await ask(proxy.url, '/example.com/m/@v/v1.0.0.zip')).toMatchObject({
      status: 200,
      body: module.zip,
    });
    await rm(join(dataDir, '../ballast'));
    await eventually(
      async () => {
        await ask(proxy.url, '/example.com/m/@v/v1.0.0.zip');
        return await storedZips(dataDir);
      },
      (zips) => zips.length === 1,
      20_000,
    );
    await proxy.stop();
    await expectCleanStore(dataDir);
  });

  it('runs full in the middle of a fill: the client gets the right file or 503 that names the disk', async () => {
    const dataDir = await tinyDisk(4 * MIB);
    const large = fakeModule({ path: 'example.com/large', paddingBytes: 8 * MIB });
    const source = await upstream({ modules: [large] });
    const proxy = await modferry({
      upstreams: [source],
      dataDir,
      config: { ingest: { pass_through_memory: '1MiB' } },
    });

    const answer = await ask(proxy.url, '/example.com/large/@v/v1.0.0.zip');
    const head = await ask(proxy.url, '/example.com/large/@v/v1.0.0.zip', { method: 'HEAD' });

    if (answer.status === 200) {
      expect(answer.complete).toBe(true);
      expect(answer.body.equals(large.zip)).toBe(true);
    } else {
      expect(answer.status).toBe(503);
      expect(answer.text).toMatch(/disk/);
    }
    expect([200, 503]).toContain(head.status);
    await eventually(
      () => leftovers(dataDir),
      (names) => names.length === 0,
    );
    await proxy.stop();
    expect(await storedZips(dataDir)).toEqual([]);
  });

  it('never completes a wrong zip that is only streamed, and answers 503 to whoever needs it whole', async () => {
    const dataDir = await tinyDisk(4 * MIB);
    const large = fakeModule({ path: 'example.com/large', paddingBytes: 8 * MIB });
    const source = await upstream({ modules: [large] });
    const proxy = await modferry({
      upstreams: [source],
      dataDir,
      config: { ingest: { pass_through_memory: '1MiB' } },
    });
    await writeFile(join(dataDir, '../ballast'), Buffer.alloc(4 * MIB)).catch(() => {});
    const range = await ask(proxy.url, '/example.com/large/@v/v1.0.0.zip', {
      headers: { range: 'bytes=0-5' },
    });
    expect(range.status).toBe(503);
    expect(range.headers['retry-after']).toMatch(/^\d+$/);
    expect(range.text).toMatch(/disk/);

    source.faults.add({ match: '.zip', fault: flipByte(4 * MIB) });
    const answer = await ask(proxy.url, '/example.com/large/@v/v1.0.0.zip');
    expect(answer.complete && answer.status === 200).toBe(false);
    expect(answer.body.length).toBeLessThan(large.zip.length);
  });
});
