/**
 * A zip so long that its first bytes are on their way before it turns out to be other than proven: the client sees a
 * broken transfer or the right file, never a complete wrong one. And what an operator does about a suspect.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { get, info, pathOf, proving, sumdbLog, suspects } from '../e2e/checksums-support.ts';
import {
  type Answer,
  ask,
  expectCleanStore,
  modferry,
  runModferry,
  storedZips,
  upstream,
} from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { gate, hold } from '../kit/faults.ts';
import { runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { zipWithOneFileChanged } from '../kit/zip-variants.ts';

const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(
  Buffer.alloc(1024 * 1024),
);
/** In the zip: LICENSE, big.go, noise.bin, last.txt, go.mod. */
const good = fakeModule({ path: 'example.com/big', files: { 'noise.bin': noise, 'last.txt': 'the end\n' } });
const changedFirst = { ...good, zip: zipWithOneFileChanged(good, 'LICENSE') };
/** As long as the right one: what was promised in the Content-Length can still be kept. */
const changedLast = {
  ...good,
  zip: fakeModule({ path: good.path, files: { 'noise.bin': noise, 'last.txt': 'the End\n' } }).zip,
};
const half = Math.floor(good.zip.length / 2);

/** Asks, and lets the upstream send the second half when the first one is at the client. */
async function askSlowly(proxy: ModferryProcess, source: FakeUpstream): Promise<Answer> {
  const middle = gate();
  source.faults.add({ match: '.zip', times: 1, fault: hold(half, middle) });
  return get(proxy, good, 'zip', {
    timeoutMs: 60_000,
    onData: (_, total) => {
      if (total >= half - 64 * 1024) middle.open();
    },
  });
}

describe('a zip that streams, and is other than proven at its end', () => {
  it('breaks off short of its end when nobody else has it', async () => {
    const log = await sumdbLog({ pad: 3, modules: [good] });
    const source = await upstream({ modules: [changedLast] });
    const proxy = await modferry({
      upstreams: [source],
      env: { ...proving(log), MODFERRY_INGEST_HOLD: '50ms' },
    });
    const answer = await askSlowly(proxy, source);
    expect(answer).toMatchObject({ status: 200, complete: false });
    expect(answer.body.length).toBeGreaterThan(0);
    expect(answer.body.length).toBeLessThanOrEqual(changedLast.zip.length - 64 * 1024);
    expect(await suspects(proxy.dataDir)).toMatchObject([
      { cause: 'mismatch', expectedH1: good.zipH1, sizeBytes: changedLast.zip.length },
    ]);
    expect(await storedZips(proxy.dataDir)).toEqual([]);
    // Who is answered only when all is verified hears of it in time.
    const head = await ask(proxy.url, pathOf(good, 'zip'), { method: 'HEAD' });
    expect(head).toMatchObject({ status: 403 });
  });

  it('goes on with the right end from another upstream that begins the same', async () => {
    const log = await sumdbLog({ pad: 3, modules: [good] });
    const sources = [
      await upstream({ modules: [changedLast] }),
      await upstream({ modules: [good] }),
    ] as const;
    const proxy = await modferry({
      upstreams: sources,
      env: { ...proving(log), MODFERRY_INGEST_HOLD: '50ms' },
    });
    expect(changedLast.zip.length).toBe(good.zip.length);
    const answer = await askSlowly(proxy, sources[0]);
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.body.equals(good.zip)).toBe(true);
    expect(await suspects(proxy.dataDir)).toHaveLength(1);
    expect((await info(proxy.dataDir, good)).zip).toMatchObject({ h1: good.zipH1, proof: { by: 'sumdb' } });
    await expectCleanStore(proxy.dataDir);
  });

  it('breaks off when the right one begins otherwise, which is then stored for the next', async () => {
    const log = await sumdbLog({ pad: 3, modules: [good] });
    const sources = [
      await upstream({ modules: [changedFirst] }),
      await upstream({ modules: [good] }),
    ] as const;
    const proxy = await modferry({
      upstreams: sources,
      env: { ...proving(log), MODFERRY_INGEST_HOLD: '50ms' },
    });
    const answer = await askSlowly(proxy, sources[0]);
    expect(answer).toMatchObject({ status: 200, complete: false });
    expect(answer.body.length).toBeLessThan(good.zip.length);
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 200, body: good.zip });
    await expectCleanStore(proxy.dataDir);
  });
});

describe('modferry quarantine', () => {
  it('shows a suspect, publishes it on an operator’s word, and forgets it', async () => {
    const log = await sumdbLog({ pad: 3, modules: [good] });
    const source = await upstream({ modules: [changedLast] });
    const proxy = await modferry({ upstreams: [source], env: proving(log) });
    const quarantine = (...args: string[]) => runModferry(['quarantine', ...args, '--data', proxy.dataDir]);
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 403 });
    const { stdout } = await quarantine('ls');
    const id = /^([0-9a-f]{16}) {2}mismatch {2}example\.com\/big@v1\.0\.0\.zip/.exec(stdout)?.[1] ?? '';
    const shown = JSON.parse((await quarantine('show', id, '--json')).stdout) as Record<string, string>;
    expect(shown).toMatchObject({ id, expectedH1: good.zipH1, expectedBy: 'sum.test.example #3', count: 1 });
    const kept = await readFile(shown['file'] ?? '');
    expect(kept.equals(changedLast.zip)).toBe(true);
    expect(createHash('sha256').update(kept).digest('hex')).toBe(shown['sha256']);

    const released = await quarantine('release', id, '--reason', 'we moved the tag');
    expect(released, released.stderr).toMatchObject({ code: 0 });
    const answer = await get(proxy, good, 'zip');
    expect(answer).toMatchObject({ status: 200, body: changedLast.zip });
    expect(answer.headers['x-modferry-proof']).toBe('operator');
    // The client's own check is its own affair: a go that asks the database still refuses.
    const go = await runGo(['mod', 'download', `${good.path}@${good.version}`], {
      env: { GOPROXY: proxy.url, GOSUMDB: `${log.verifierKey} ${log.url}` },
    });
    expect(go).toMatchObject({ code: 1, stderr: expect.stringContaining('SECURITY ERROR') });
    await expectCleanStore(proxy.dataDir);
    expect((await quarantine('ls')).stdout).toContain('nothing is in quarantine');

    expect(
      await runModferry(['purge', '--yes', `${good.path}@${good.version}`, '--data', proxy.dataDir]),
    ).toMatchObject({
      code: 0,
    });
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 403 });
    expect(await quarantine('drop', id)).toMatchObject({ code: 0, stdout: 'dropped 1 suspect\n' });
    expect(await quarantine('show', id)).toMatchObject({ code: 1 });
  });
});
