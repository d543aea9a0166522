import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { systemClock } from '../lib/clock.ts';
import { evidenceOf, keyOf, put, sha256Of } from '../store/contract/kit.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import type { Trust } from '../store/store.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { releaseSuspect } from './release-suspect.ts';

/** Releases a go.mod of which the same bytes are stored already, with this trust. */
async function released(trust: Trust) {
  const module = fakeModule({ path: 'example.com/a' });
  const key = keyOf(module.path, module.version, 'mod');
  const store = await makeTestFolder().open();
  const text = module.mod.toString();
  await put(store, key, text, { h1: module.modH1, ...trust });
  const entry = await store.quarantine.add(evidenceOf(key, text), { body: module.mod });
  const zips = new ZipVerifier();
  onTestFinished(() => zips.close());
  const result = await releaseSuspect(entry.id, 'reviewed', { store, zips, clock: systemClock });
  const file = await store.open(key);
  await file?.close();
  expect(result).toMatchObject({ outcome: 'present', sha256: sha256Of(text) });
  expect(await store.quarantine.list()).toEqual([]);
  return file?.record.proof;
}

describe('the release of what is stored already', () => {
  it('leaves a proof as it is', async () => {
    const proof = { by: 'sumdb', database: 'sum.test', recordId: 7, treeSize: 9, atMs: 1 } as const;
    expect(await released({ proof })).toEqual(proof);
  });

  it("takes the operator's word where there is none", async () => {
    expect(await released({ unproven: 'unreachable' })).toMatchObject({ by: 'operator', reason: 'reviewed' });
  });
});
