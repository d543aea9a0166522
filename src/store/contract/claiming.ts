/** The store contract's part on the right to fill, between instances. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Claim, Store } from '../store.ts';
import { keyOf, put, type StorePlace } from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function claimingContract(makePlace: () => Promise<StorePlace>): void {
  describe('claiming', () => {
    let place: StorePlace;
    let store: Store;
    const path = parseModulePath('example.com/a');
    const zip = keyOf(path, 'v1.0.0', 'zip');
    const mod = keyOf(path, 'v1.0.0', 'mod');

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    describe('claims', () => {
      function asOther(claim: Claim): Extract<Claim, { holder: 'other' }> {
        if (claim.holder !== 'other') throw new Error('expected the claim to be held by another');
        return claim;
      }
      function asOurs(claim: Claim): Extract<Claim, { holder: 'us' }> {
        if (claim.holder !== 'us') throw new Error('expected the claim to be ours');
        return claim;
      }
      const patience = AbortSignal.timeout(600_000);

      it('gives one artifact to one instance, and others beside it', async () => {
        const other = await place.open();
        expect((await store.claim(zip)).holder).toBe('us');
        expect((await other.claim(zip)).holder).toBe('other');
        expect((await other.claim(mod)).holder).toBe('us');
      });

      it('lets exactly one of many get it', async () => {
        const other = await place.open();
        const claims = await Promise.all(
          Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? store : other).claim(zip)),
        );
        expect(claims.filter((claim) => claim.holder === 'us')).toHaveLength(1);
      });

      it('tells the waiter that it was published', async () => {
        const other = await place.open();
        const ours = asOurs(await store.claim(zip));
        const waiting = asOther(await other.claim(zip)).wait(patience);
        await put(store, zip, 'bytes');
        await ours.release();
        expect(await waiting).toBe('published');
      });

      it('tells the waiter that it was released, who can then claim it', async () => {
        const other = await place.open();
        const ours = asOurs(await store.claim(zip));
        const waiting = asOther(await other.claim(zip)).wait(patience);
        await ours.release();
        await ours.release();
        expect(await waiting).toBe('released');
        expect((await other.claim(zip)).holder).toBe('us');
      });

      it('tells the waiter that the holder stalls, and lets one waiter take over', async () => {
        const other = await place.open({ claimStallMs: 150 });
        const ours = asOurs(await store.claim(zip));
        const waiter = asOther(await other.claim(zip));
        expect(await waiter.wait(patience)).toBe('stalled');

        const claims = [await other.claim(zip), await other.claim(zip)];
        expect(claims.map((claim) => claim.holder)).toEqual(['us', 'other']);
        // The slow holder's release must not free what is the other's now.
        await ours.release();
        expect((await store.claim(zip)).holder).toBe('other');
      });

      it('waits as long as the holder receives bytes', async () => {
        const other = await place.open({ claimStallMs: 1_000 });
        const ours = asOurs(await store.claim(zip));
        const staged = await store.stage(zip);
        const waiting = asOther(await other.claim(zip)).wait(patience);
        let outcome: string | undefined;
        const watched = waiting.then((result) => {
          outcome = result;
        });

        const untilMs = performance.now() + 1_600;
        while (performance.now() < untilMs) {
          await staged.write([Buffer.from('more')]);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }

        expect(outcome).toBeUndefined();
        await staged.close();
        await ours.release();
        await watched;
        expect(outcome).toBe('released');
      });

      it('stops waiting with the reason of the signal', async () => {
        const other = await place.open();
        await store.claim(zip);
        const controller = new AbortController();
        const waiting = asOther(await other.claim(zip)).wait(controller.signal);
        const reason = new Error('client left');
        controller.abort(reason);
        await expect(waiting).rejects.toBe(reason);
      });
    });
  });
}
