/** What a running modferry answers after another process changed the folder: proofs, and what became of suspects. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeModule, fakeModule } from '../../test/kit/fake-module.ts';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { systemClock } from '../lib/clock.ts';
import { evidenceOf, keyOf, put, sha256Of } from '../store/contract/kit.ts';
import { openFsStore } from '../store/fs/fs-store.ts';
import type { Proof } from '../store/store.ts';
import { startService } from './test-service.ts';

const proof: Proof = { by: 'go.sum', label: 'shop', atMs: 1 };

async function serving(modules: readonly FakeModule[]) {
  const dir = await tempDir('elsewhere');
  onTestFinished(() => dir.remove());
  const upstream = await startFakeUpstream({ modules });
  onTestFinished(upstream.close);
  const data = join(dir.path, 'data');
  const { url } = await startService(
    `
listen: 127.0.0.1:0
data: ${data}
checksums: { headers: full }
freshness: { negative: 0s }
look_ahead: { enabled: false }
upstreams:
  - { url: '${upstream.url}', probe: off }
`,
    dir.path,
  );
  const elsewhere = await openFsStore({ folder: data, clock: systemClock });
  onTestFinished(() => elsewhere.close());
  const get = async (module: Pick<FakeModule, 'path' | 'version'>, ext: string) => {
    const answer = await fetch(`${url}/${module.path}/@v/${module.version}.${ext}`);
    const text = await answer.text();
    return { status: answer.status, text, proof: answer.headers.get('x-modferry-proof') };
  };
  return { get, elsewhere, upstream };
}

describe('a proof that another process found', () => {
  it('is told of the artifact within seconds though its answer was ready, and the others stay ready', async () => {
    const [one, two] = [fakeModule({ path: 'example.com/one' }), fakeModule({ path: 'example.com/two' })];
    const { get, elsewhere, upstream } = await serving([one, two]);
    for (const module of [one, two]) {
      // Asked so often that it is served from memory.
      for (const ext of ['mod', 'zip']) for (let ask = 0; ask < 4; ask++) await get(module, ext);
    }
    expect((await get(one, 'zip')).proof).toBe('none off');

    await elsewhere.setTrust(keyOf(one.path, one.version, 'zip'), sha256Of(one.zip), { proof });
    await elsewhere.setTrust(keyOf(one.path, one.version, 'mod'), sha256Of(one.mod), { proof });

    for (const ext of ['zip', 'mod']) {
      await expect.poll(async () => (await get(one, ext)).proof, { timeout: 10_000 }).toMatch(/^go\.sum/);
      expect((await get(two, ext)).proof).toBe('none off');
    }
    expect(upstream.count('.zip'), 'nothing is fetched again').toBe(2);
  });
});

describe('an old copy of ours in quarantine', () => {
  const gone = { path: 'example.com/gone', version: 'v1.0.0' };
  const zip = keyOf(gone.path, gone.version, 'zip');
  const rotten = { ...evidenceOf(zip, 'rotten'), source: 'store', cause: 'rotten' } as const;

  it('is told as long as nothing else became of it, and no longer once its version is purged', async () => {
    const { get, elsewhere } = await serving([]);
    await elsewhere.quarantine.add(rotten, undefined);
    const before = await get(gone, 'zip');
    expect(before).toMatchObject({ status: 502, text: expect.stringContaining('quarantine') });

    await elsewhere.purge({ path: zip.path, version: zip.version });

    expect((await get(gone, 'zip')).status).toBe(404);
  });

  it('does not turn a later absence into a failure when it was healed long ago', async () => {
    const { get, elsewhere } = await serving([]);
    await put(elsewhere, zip, 'rotten');
    await elsewhere.withdraw(zip, rotten);
    await put(elsewhere, zip, 'good');
    await elsewhere.purge({ path: keyOf('example.com/other', 'v1.0.0', 'zip').path });
    await elsewhere.idle();
    expect((await elsewhere.quarantine.of(zip)).map(({ settled }) => settled)).toEqual([true]);

    await elsewhere.withdraw(zip, { ...evidenceOf(zip, 'good'), source: 'import' });
    expect((await get(gone, 'zip')).status).toBe(404);
  });
});
