/** Files that the disk has changed behind our back: found when they are read, or by `modferry verify`. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { events, get, suspects } from '../e2e/checksums-support.ts';
import { ask, eventually, expectCleanStore, runModferry } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { runGo } from '../kit/go.ts';
import { artifactFile, filledStore, flipBit, recordFile, setOffline } from './bit-rot.ts';

const lib = fakeModule({ path: 'example.com/lib', paddingBytes: 20_000 });
const [zipRot, modRot, infoRot, recordRot] = ['a', 'b', 'c', 'd'].map((name) =>
  fakeModule({ path: `example.com/${name}` }),
) as [typeof lib, typeof lib, typeof lib, typeof lib];

describe('a stored file that was changed, and whose time tells', () => {
  it.each(['zip', 'mod', 'info'] as const)('%s: is healed from the source when it is read', async (ext) => {
    const store = await filledStore([lib]);
    await flipBit(artifactFile(store.dataDir, lib, ext), true);
    const proxy = await store.start();
    const answer = await get(proxy, lib, ext);
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.body.equals(lib[ext])).toBe(true);
    expect(store.source.count(`.${ext}`)).toBe(1);
    const healed = await eventually(
      () => readFile(artifactFile(store.dataDir, lib, ext)),
      (bytes) => bytes.equals(lib[ext]),
    );
    expect(healed.equals(lib[ext])).toBe(true);
    await expectCleanStore(store.dataDir);
  });

  it('without a source is 502 with the cause, offline too, and never the wrong bytes', async () => {
    const store = await filledStore([lib]);
    await flipBit(artifactFile(store.dataDir, lib, 'zip'), true);
    await store.source.refuse();
    const proxy = await store.start();
    const online = await get(proxy, lib, 'zip');
    expect(online, online.text).toMatchObject({ status: 502 });
    await setOffline(store.dataDir);
    const offline = await get(proxy, lib, 'zip');
    expect(offline, offline.text).toMatchObject({ status: 502 });
    expect(offline.text).toContain('example.com/lib@v1.0.0.zip');
    // Only this one is bad.
    expect(await get(proxy, lib, 'mod')).toMatchObject({ status: 200, body: lib.mod });
    await runModferry(['mode', 'normal', '--data', store.dataDir]);
    await store.source.listenAgain();
    await eventually(
      () => get(proxy, lib, 'zip'),
      ({ status, body }) => status === 200 && body.equals(lib.zip),
      30_000,
    );
  });
});

describe('modferry verify', () => {
  it('finds what size and time do not tell, and repairs it by order', async () => {
    const store = await filledStore([lib, zipRot, modRot, infoRot, recordRot]);
    const { dataDir } = store;
    const files = [
      artifactFile(dataDir, zipRot, 'zip'),
      artifactFile(dataDir, modRot, 'mod'),
      artifactFile(dataDir, infoRot, 'info'),
    ];
    for (const file of files) await flipBit(file);
    const record = recordFile(dataDir, recordRot, 'zip');
    const text = await readFile(record, 'utf8');
    await writeFile(record, text.replace(/"sha256":\s*"[0-9a-f]{8}/, '"sha256":"00000000'));
    expect(await readFile(record, 'utf8')).not.toBe(text);

    const found = await runModferry(['verify', '--json', '--data', dataDir]);
    expect(found.code).toBe(1);
    for (const [module, ext] of [
      [zipRot, 'zip'],
      [modRot, 'mod'],
      [infoRot, 'info'],
      [recordRot, 'zip'],
    ] as const) {
      expect(found.stdout, module.path).toMatch(
        new RegExp(`"module":"${module.path}"[^\\n]*"artifact":"${ext}"`),
      );
    }
    expect(found.stdout).not.toContain(`"module":"${lib.path}"`);
    expect(await suspects(dataDir), 'it changes nothing').toEqual([]);

    const proxy = await store.start();
    const repaired = await runModferry(['verify', '--repair', '--data', dataDir]);
    expect(repaired.stdout, repaired.stderr).toContain('healed');
    await expectCleanStore(dataDir);
    for (const [module, ext] of [
      [zipRot, 'zip'],
      [modRot, 'mod'],
      [infoRot, 'info'],
      [recordRot, 'zip'],
    ] as const) {
      const answer = await get(proxy, module, ext);
      expect(answer.body.equals(module[ext]), module.path).toBe(true);
    }
    expect((await suspects(dataDir)).map(({ cause }) => cause)).toEqual(
      expect.arrayContaining(['rotten', 'rotten', 'rotten']),
    );
    expect((await events(dataDir)).filter(({ kind }) => kind === 'healed').length).toBeGreaterThanOrEqual(3);
  });
});

describe('what is kept of the checksum database, and was changed', () => {
  it('is never served: it is fetched anew, and refused while nobody can be asked', async () => {
    const store = await filledStore([lib, zipRot]);
    const { dataDir, log } = store;
    const kept = join(dataDir, 'meta/sumdb', log.name);
    const names = (await readdir(kept, { recursive: true, withFileTypes: true })).filter(
      (entry) => entry.isFile() && !entry.name.endsWith('.json'),
    );
    // Two records, and a tile.
    expect(names.length).toBeGreaterThan(2);
    for (const { parentPath, name } of names) await flipBit(join(parentPath, name));
    await log.server.refuse();
    const proxy = await store.start();
    const lookup = `/sumdb/${log.name}/lookup/${lib.path}@v1.0.0`;
    expect((await ask(proxy.url, lookup)).status).toBeGreaterThanOrEqual(500);
    expect(await get(proxy, lib, 'zip')).toMatchObject({ status: 200, body: lib.zip });
    await log.server.listenAgain();
    const answer = await eventually(
      () => ask(proxy.url, lookup),
      ({ status }) => status === 200,
      20_000,
    );
    expect(answer.text).toContain(`0\n${lib.path} v1.0.0 ${lib.zipH1}\n`);
    const told = await eventually(
      () => events(dataDir, 'rotten'),
      (all) => all.length > 0,
    );
    expect(told[0]?.message).toContain(log.name);
    const go = await runGo(['mod', 'download', `${lib.path}@v1.0.0`], {
      env: { GOPROXY: proxy.url, GOSUMDB: log.verifierKey },
    });
    expect(go, go.stderr).toMatchObject({ code: 0 });
  });
});
