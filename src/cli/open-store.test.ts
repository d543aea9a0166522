import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from '../config/load-kit.ts';
import { systemClock } from '../lib/clock.ts';
import { evidenceOf, keyOf } from '../store/contract/kit.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { openForChanging, openOrMake } from './open-store.ts';
import { fakeCli, publish, tempFolder } from './test-kit.ts';

const key = keyOf('example.com/a', 'v1.0.0', 'zip');

async function settingsFor(yaml: string) {
  const dataDir = tempFolder();
  await publish(dataDir, 'example.com/b@v1.0.0');
  return { dataDir, loaded: await load(`data: ${dataDir}\n${yaml}`) };
}

describe('a store that a command changes', () => {
  it('keeps as many suspects as a server with the same configuration would', async () => {
    const settings = await settingsFor('quarantine: { max_entries: 3, max_size: 2B }\n');
    const store = await openForChanging(settings, systemClock);
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      await store.quarantine.add(evidenceOf(key, text), { body: Buffer.from(text) });
    }
    await store.close();

    const again = await openForChanging(settings, systemClock);
    const left = await again.quarantine.list();
    await again.close();
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThanOrEqual(3);
    expect(left.filter(({ hasBytes }) => hasBytes).length).toBeLessThanOrEqual(2);
  });
});

describe.runIf(process.getuid?.() === 0)('a disk that is as full as configured', () => {
  function halfFull(): string {
    const folder = makeTestFolder({ tmpfs: 'size=4m' }).path;
    writeFileSync(join(folder, 'filler'), Buffer.alloc(2 * 1024 * 1024));
    return folder;
  }

  it('takes nothing from a command', async () => {
    const dataDir = halfFull();
    const loaded = await load(`data: ${dataDir}\nstore: { stop_at: 30% }\n`);
    const store = await openOrMake({ dataDir, loaded }, systemClock);
    await expect(store.stage(key)).rejects.toMatchObject({ code: 'disk_full' });
    await store.close();
  });

  it('takes nothing from an import', async () => {
    const cache = tempFolder();
    await publish(cache, 'example.com/b@v1.0.0');
    const env = { MODFERRY_DATA: halfFull(), MODFERRY_STORE_STOP_AT: '30%', GOSUMDB: 'off' };
    const from = join(cache, 'download');
    const { code, stderr } = await fakeCli({ env }).run('import', '--allow-unproven', from);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('free space') });
  });
});
