import { expect, it } from 'vitest';
import type { PurgeOrder } from '../publish/purge-stored.ts';
import { type AdminActionsDeps, adminActions } from './admin-actions.ts';

function purging() {
  const orders: PurgeOrder[] = [];
  const registry: AdminActionsDeps['registry'] = {
    purge: (order) => {
      orders.push(order);
      return Promise.resolve({ removedVersions: 1, removedBytes: 2, tombstones: 0 });
    },
  };
  // Nothing else of it is asked for by a purge.
  const actions = adminActions({ registry, answering: {} } as unknown as AdminActionsDeps);
  const purge = async (ask: Readonly<Record<string, unknown>>): Promise<unknown> =>
    actions['POST /purge']?.(ask);
  return { purge, orders };
}

it('a purge goes through the registry, which knows what was published here', async () => {
  const { purge, orders } = purging();
  expect(await purge({ module: 'corp.test/lib', version: 'v1.0.0' })).toEqual({
    removedVersions: 1,
    removedBytes: 2,
    tombstones: 0,
  });
  await purge({ module: 'corp.test/lib', force: true });
  expect(orders).toEqual([
    { path: 'corp.test/lib', version: 'v1.0.0', isForced: false, who: 'local' },
    { path: 'corp.test/lib', version: undefined, isForced: true, who: 'local' },
  ]);
});

it.each(['yes', 1, null, {}])('a purge is not forced by %j', async (force) => {
  const { purge, orders } = purging();
  await expect(purge({ module: 'corp.test/lib', force })).rejects.toMatchObject({ code: 'bad_request' });
  expect(orders).toEqual([]);
});
