import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../contract/kit.ts';
import type { Claim } from '../store.ts';
import { keyHash } from './layout.ts';
import { thisProcess } from './process-identity.ts';
import { makeTestFolder } from './test-folder.ts';

const zip = keyOf('example.com/m', 'v1.0.0', 'zip');
const patience = AbortSignal.timeout(600_000);

function wait(claim: Claim): Promise<string> {
  if (claim.holder !== 'other') throw new Error('expected the claim to be held by another');
  return claim.wait(patience);
}

describe('a claim on a shared folder', () => {
  it('of a process that is dead is given away at once', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const holder = {
      token: 't',
      instance: '1-abc-00000000',
      process: { ...thisProcess(), bootId: 'earlier' },
      staged: 'run/1-abc-00000000/staging/x',
    };
    fs.writeFileSync(join(folder.path, 'meta/claims', `${keyHash(zip)}.json`), JSON.stringify(holder));
    expect((await store.claim(zip)).holder).toBe('us');
  });

  it('ends the waiting long before the stall time when its holder goes away', async () => {
    const folder = makeTestFolder();
    const holder = await folder.open();
    const store = await folder.open({ claimStallMs: 600_000 });
    await holder.claim(zip);
    const waiting = wait(await store.claim(zip));
    await holder.close();
    expect(await waiting).toBe('stalled');
    expect((await store.claim(zip)).holder).toBe('us');
  });

  it.each(['', 'not JSON', '{"token":"t","instance":"../..","staged":"/etc/passwd"}'])(
    'that says nothing sensible is waited for only as long as a stalled one: %s',
    async (text) => {
      const folder = makeTestFolder();
      const store = await folder.open({ claimStallMs: 100 });
      fs.writeFileSync(join(folder.path, 'meta/claims', `${keyHash(zip)}.json`), text);
      expect(await wait(await store.claim(zip))).toBe('stalled');
      expect((await store.claim(zip)).holder).toBe('us');
    },
  );

  it('leaves no file when it was released', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const claim = await store.claim(zip);
    if (claim.holder === 'us') await claim.release();
    expect(folder.files('meta/claims')).toEqual([]);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });
});
