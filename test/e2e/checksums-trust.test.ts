/** `modferry trust go.sum`: lines of an operator's go.sum prove what no database can, and bind where it is silent. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { zipWithOneFileChanged } from '../kit/zip-variants.ts';
import { get, info, proving, sumdbLog, suspects } from './checksums-support.ts';
import {
  eventually,
  expectCleanStore,
  folder,
  modferry,
  runModferry,
  storedZips,
  upstream,
} from './support.ts';

const lib = fakeModule({ path: 'example.com/lib' });
const other = fakeModule({ path: 'example.com/other' });
const changed = { ...lib, zip: zipWithOneFileChanged(lib) };
const junk = '\n// not a line\nexample.com/x v1.0.0 md5:abc\n\u0000\u0001\nexample.com/../x v1 h1:x=\n';

describe('trusted go.sum lines', () => {
  it('allow publication while the database is dead, in a process that runs, until they are taken back', async () => {
    const log = await sumdbLog({ pad: 3, modules: [lib, other] });
    await log.server.refuse();
    const source = await upstream({ modules: [lib, other] });
    const data = await folder('data');
    const proxy = await modferry({ dataDir: data.path, upstreams: [source], env: proving(log) });
    expect(await get(proxy, lib, 'zip')).toMatchObject({ status: 503 });

    const file = join(data.path, 'team.sum');
    await writeFile(file, lib.goSum);
    const trusted = await runModferry(['trust', 'go.sum', '--label', 'team', '--data', data.path, file]);
    expect(trusted, trusted.stderr).toMatchObject({ code: 0 });
    const answer = await eventually(
      () => get(proxy, lib, 'zip'),
      ({ status }) => status === 200,
    );
    expect(answer.headers['x-modferry-proof']).toBe('go.sum');
    expect(await get(proxy, lib, 'mod')).toMatchObject({ status: 200, body: lib.mod });
    expect((await info(data.path, lib)).zip).toMatchObject({ proof: { by: 'go.sum', label: 'team' } });
    expect(await get(proxy, other, 'zip'), 'only what is named').toMatchObject({ status: 503 });
    expect((await runModferry(['trust', 'ls', '--data', data.path])).stdout).toContain('team');
    await expectCleanStore(data.path);

    expect(await runModferry(['trust', 'rm', '--data', data.path, 'team'])).toMatchObject({ code: 0 });
    // The process hears of it within moments; what is fetched before that is stored once more.
    await eventually(
      async () => {
        await runModferry(['purge', '--yes', `${lib.path}@v1.0.0`, '--data', data.path]);
        return (await get(proxy, lib, 'zip')).status;
      },
      (status) => status === 503,
      30_000,
    );
  });

  it('refuse what contradicts them where checksums are off; a file with junk is not taken at all', async () => {
    const source = await upstream({ modules: [changed] });
    const data = await folder('data');
    // A folder that no modferry has ever used is taken for a slip of the pen.
    await (await modferry({ dataDir: data.path, upstreams: [source] })).stop();
    const file = join(data.path, 'go.sum');
    await writeFile(file, `${lib.goSum}${junk}`);
    const trust = () => runModferry(['trust', 'go.sum', '--label', 'audit', '--data', data.path, file]);
    const refused = await trust();
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('go.sum:4:');
    await writeFile(file, lib.goSum);
    expect(await trust()).toMatchObject({ code: 0 });
    const proxy = await modferry({ dataDir: data.path, upstreams: [source] });
    const answer = await get(proxy, lib, 'zip');
    expect(answer, answer.text).toMatchObject({ status: 403, text: expect.stringContaining('go.sum audit') });
    expect(await suspects(data.path)).toMatchObject([{ expectedH1: lib.zipH1, expectedBy: 'go.sum audit' }]);
    expect(await storedZips(data.path)).toEqual([]);
    expect(await get(proxy, lib, 'mod')).toMatchObject({ status: 200 });
  });
});
