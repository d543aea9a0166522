/** Over the store in a folder, where two stores stand for two processes. */
import { expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { askerOf, makeWorld } from './test-database.ts';

it('keeps all that it needs to prove everything again offline, for both processes', async () => {
  const folder = makeTestFolder();
  const { log, open } = await makeWorld({ pad: 300 });
  const one = open({ store: await folder.open() });
  const two = open({ store: await folder.open() });
  for (let round = 0; round < 5; round += 1) {
    log.pad(200);
    const [last, first] = [paddingModule(log.size - 1), paddingModule(round)];
    await Promise.all([one.lookup(last), two.lookup(last), one.lookup(first), two.lookup(first)]);
  }
  await Promise.all([one.database.idle(), two.database.idle()]);
  log.reset();

  const offline = open({ store: await folder.open(), isOffline: () => true });
  for (const id of [0, 1, 2, 3, 4, 499, 699, 899, 1099, 1299]) {
    expect(await offline.lookup(paddingModule(id))).toMatchObject({ id, treeSize: 1300 });
  }
  expect(await offline.database.head(askerOf(), 0)).toMatchObject({ treeSize: 1300 });
  expect([...one.told, ...two.told, ...offline.told].filter((line) => !line.startsWith('head'))).toEqual([]);
  expect(log.requests).toEqual([]);

  log.lie({ kind: 'fork', fromSize: 100 });
  log.pad(1);
  await expect(one.lookup(paddingModule(1300))).rejects.toMatchObject({ code: 'forked' });
  const later = open({ store: await folder.open() });
  expect(await later.database.fork()).toMatchObject({ source: 'up' });
  await later.database.reset('seen');
  expect(await open({ store: await folder.open() }).database.fork()).toBeUndefined();
});
