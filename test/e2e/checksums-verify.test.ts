/** The commands that prove what is there: `verify --go-sum`, `verify --against-sumdb`, and `import` of a module cache. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeGraph } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type GoHome, goHome, goProject, runGo } from '../kit/go.ts';
import { hashesOf } from '../kit/module-hashes.ts';
import { type SumdbLog, startSumdbLog } from '../kit/sumdb-log.ts';
import { zipWithOneFileChanged } from '../kit/zip-variants.ts';
import { get, info, proving, type Suspect, suspects } from './checksums-support.ts';
import { expectCleanStore, folder, modferry, runModferry, storedVersions } from './support.ts';

const graph = fakeGraph({ modules: 40, levels: 2 });
const roots = Object.fromEntries((graph.levels[0] ?? []).map(({ path, version }) => [path, version]));
const goSum = graph.modules.map((module) => module.goSum).join('');
const [flipped, forged] = graph.modules as [(typeof graph.modules)[0], (typeof graph.modules)[0]];
const evil = { ...forged, zip: zipWithOneFileChanged(forged) };

let log: SumdbLog;
let source: FakeUpstream;
/** A machine whose module cache has all of the graph, 5 % of it bad. */
let home: GoHome;
beforeAll(async () => {
  log = await startSumdbLog({ pad: 20, modules: graph.modules });
  source = await startFakeUpstream({ modules: graph.modules });
  home = await goHome();
  await using project = await goProject(roots, { goSum, goVersion: '1.16' });
  const env = { GOPROXY: source.url, GOFLAGS: '-modcacherw -mod=mod' };
  expect(await runGo(['mod', 'download'], { cwd: project.path, home, env })).toMatchObject({ code: 0 });
  const cached = (path: string, ext: string) =>
    join(home.modCache, 'cache/download', path, `@v/v1.0.0.${ext}`);
  const bytes = await readFile(cached(flipped.path, 'zip'));
  // In what is packed of the first file.
  const at = 30 + bytes.readUInt16LE(26) + bytes.readUInt16LE(28) + 3;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(cached(flipped.path, 'zip'), bytes);
  // As an attacker would: go itself believes its .ziphash.
  await writeFile(cached(forged.path, 'zip'), evil.zip);
  await writeFile(cached(forged.path, 'ziphash'), hashesOf(evil).zipH1);
  return async () => {
    await home.remove();
    await source.close();
    await log.close();
  };
});

describe('modferry import of a module cache with bad files', () => {
  it('takes what the database proves, and puts the rest in quarantine', async () => {
    const data = await folder('data');
    const args = ['--data', data.path, home.modCache];
    const env = proving(log);
    const result = await runModferry(['import', '--json', ...args], { env, timeoutMs: 120_000 });
    expect(result.code, result.stderr).toBe(1);
    const lines = result.stdout.trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.at(-1)).toMatchObject({ ok: false, versions: graph.modules.length, refused: 2 });
    const refused = told.slice(0, -1).map(({ module }) => module);
    expect(new Set(refused)).toEqual(new Set([flipped.path, forged.path]));
    expect(await storedVersions(data.path)).toHaveLength(graph.modules.length);
    for (const bad of [flipped, forged]) expect((await info(data.path, bad)).zip).toBeUndefined();
    const good = graph.modules.at(-1) ?? flipped;
    expect((await info(data.path, good)).zip).toMatchObject({
      h1: good.zipH1,
      source: 'import',
      proof: { by: 'sumdb', database: log.name },
    });
    expect(await suspects(data.path)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          module: forged.path,
          cause: 'import',
          foundH1: hashesOf(evil).zipH1,
          expectedH1: forged.zipH1,
        } satisfies Partial<Suspect>),
      ]),
    );
    await expectCleanStore(data.path);

    const proxy = await modferry({ dataDir: data.path, upstreams: [source], env });
    expect(await get(proxy, good, 'zip')).toMatchObject({ status: 200, body: good.zip });
    expect(source.count(`/${good.path}/@v/v1.0.0.zip`), 'once, by go').toBe(1);
    for (const bad of [flipped, forged]) {
      expect(await get(proxy, bad, 'zip')).toMatchObject({ status: 200, body: bad.zip });
    }
    const check = () =>
      runModferry(['verify', '--go-sum', '-', '--data', data.path], {
        env,
        input: goSum,
        timeoutMs: 120_000,
      });
    expect(await check()).toMatchObject({ code: 0, stdout: '40 modules, all present, verified\n' });
  });
});

describe('modferry verify', () => {
  it('answers for a go.sum, and proves a store that was filled without a database', async () => {
    const data = await folder('data');
    const few = graph.modules.slice(0, 3);
    const [missing] = graph.modules.slice(-1) as [typeof flipped];
    source.add(evil);
    const proxy = await modferry({ dataDir: data.path, upstreams: [source] });
    for (const module of few) {
      for (const ext of ['info', 'mod', 'zip'] as const) {
        expect((await get(proxy, module, ext)).status).toBe(200);
      }
    }
    source.add(forged);
    const goSumFile = join(data.path, 'project.sum');
    await writeFile(goSumFile, few.map((module) => module.goSum).join('') + missing.goSum);
    const report = await runModferry(['verify', '--json', '--go-sum', goSumFile, '--data', data.path]);
    expect(report.code).toBe(1);
    expect(JSON.parse(report.stdout)).toMatchObject({ ok: false, modules: 4, junk: [] });
    const { missing: absent, mismatched } = JSON.parse(report.stdout) as Record<string, { module: string }[]>;
    expect(new Set(absent?.map(({ module }) => module))).toEqual(new Set([missing.path]));
    expect(mismatched?.map(({ module }) => module)).toEqual([forged.path]);

    // Only the hashes of their own are compared without the database.
    await expectCleanStore(data.path);
    // A running modferry would be asked, and proves nothing.
    await proxy.stop();
    const against = ['verify', '--against-sumdb', '--data', data.path];
    const env = proving(log);
    const proven = await runModferry(against, { env, timeoutMs: 120_000 });
    expect(proven.code, proven.stdout).toBe(1);
    expect(proven.stdout).toContain(forged.path);
    expect(proven.stdout).toContain('1 fault');
    for (const module of [few[0], few[2]] as const) {
      if (module === undefined) continue;
      expect((await info(data.path, module)).zip).toMatchObject({ proof: { by: 'sumdb' }, unproven: null });
    }
    // The records are kept now: the same without the database.
    const dead = { GOSUMDB: `${log.verifierKey} http://127.0.0.1:1` };
    const again = await runModferry([...against, '--json', few[0]?.path ?? ''], { env: dead });
    expect(again, again.stderr).toMatchObject({ code: 0 });
  });
});
