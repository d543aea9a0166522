/**
 * The real `go` with a checksum database that it reaches only through modferry: first with sources, then with none,
 * when everything stored must still be proven to clients that know nothing of the log, or an older head of it.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeGraph, fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type GoHome, type GoResult, goHome, goProject, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { type SumdbLog, startSumdbLog } from '../kit/sumdb-log.ts';
import { info, jsonLines } from './checksums-support.ts';
import { ask, expectCleanStore, runModferry, withDefaults } from './support.ts';

const graph = fakeGraph({ modules: 24 });
const roots = Object.fromEntries((graph.levels[0] ?? []).map(({ path, version }) => [path, version]));
const early = fakeModule({ path: 'example.com/early' });
const notStored = fakeModule({ path: 'example.com/Late', version: 'v1.2.3' });

let log: SumdbLog;
let source: FakeUpstream;
let proxy: ModferryProcess;
/** A machine that met the log when it was small, and never since. */
let oldClient: GoHome;

beforeAll(async () => {
  // More than one tile, so that heads, full and partial tiles of two levels are needed.
  log = await startSumdbLog({ pad: 250, modules: [early] });
  source = await startFakeUpstream({ modules: [early, notStored, ...graph.modules], sumdb: log.handler });
  // The database's own address is nowhere: whoever proves anything has it from /sumdb/.
  proxy = await startModferry(
    withDefaults({
      upstreams: [source],
      env: { GOSUMDB: log.verifierKey, MODFERRY_LOG_ACCESS: 'all' },
    }),
  );
  oldClient = await goHome();
  return async () => {
    await oldClient.remove();
    await proxy.close();
    await source.close();
    await log.close();
  };
});

/** go has no way out but modferry, neither to modules nor to the database. */
async function go(args: readonly string[], cwd: string, home?: GoHome): Promise<GoResult> {
  const env = { GOPROXY: proxy.url, GOSUMDB: log.verifierKey, GOFLAGS: '-modcacherw -mod=mod' };
  return runGo(args, { cwd, env, ...(home === undefined ? {} : { home }) });
}

/** `go mod download` of the whole graph without a go.sum: every hash is asked of the database. */
async function downloadGraph(home?: GoHome): Promise<void> {
  await using project = await goProject(roots, { goVersion: '1.16' });
  const result = await go(['mod', 'download', '-json'], project.path, home);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  for (const { zipH1 } of graph.modules) expect(result.stdout).toContain(zipH1);
}

describe('go with a checksum database behind modferry', () => {
  it('downloads a module, and later a graph of others, each looked up once', async () => {
    await using small = await goProject({ [early.path]: early.version });
    expect(await go(['mod', 'download'], small.path, oldClient)).toMatchObject({ code: 0, stderr: '' });
    for (const module of graph.modules) log.add(module);
    log.pad(70);
    await downloadGraph();
    for (const { path } of graph.modules) expect(log.count(`/lookup/${path}@v1.0.0`), path).toBe(1);
    expect(log.requests.every(({ via }) => via === 'handler')).toBe(true);
    expect(proxy.stderr()).toMatch(
      /"artifact":"sumdb"[^\n]*lookup\/graph\.test\/l0\/m0@v1\.0\.0[^\n]*"status":200/,
    );
  });

  it('builds with it', async () => {
    // A library: a program would have the whole runtime compiled first.
    const files = { 'main.go': `package lib\n\nimport _ "${early.path}"\n` };
    await using project = await goProject({ [early.path]: early.version }, { files });
    const built = await go(['build', './...'], project.path);
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(await readFile(join(project.path, 'go.sum'), 'utf8')).toBe(early.goSum);
  });

  it('has a proof on record for all that is stored', async () => {
    const told = await jsonLines<{ module: string; artifacts: Record<string, { proof: object | null }> }>([
      'ls',
      '--json',
      '--data',
      proxy.dataDir,
    ]);
    expect(told).toHaveLength(graph.modules.length + 1);
    for (const { module, artifacts } of told) {
      for (const ext of ['mod', 'zip']) {
        expect(artifacts[ext], `${module} ${ext}`).toMatchObject({
          proof: { by: 'sumdb', database: log.name },
        });
      }
    }
    const { zip } = await info(proxy.dataDir, early);
    expect(zip).toMatchObject({ h1: early.zipH1, proof: { recordId: 250 } });
    expect((await ask(proxy.url, `/${early.path}/@v/v1.0.0.zip`)).headers['x-modferry-proof']).toMatch(
      /^sumdb sum\.test\.example 250 \d+$/,
    );
    await expectCleanStore(proxy.dataDir);
  });

  describe('with modferry offline, and neither upstream nor log there', () => {
    beforeAll(async () => {
      await source.refuse();
      await log.server.refuse();
      expect(await runModferry(['mode', 'offline', '--data', proxy.dataDir])).toMatchObject({ code: 0 });
    });

    it('proves everything to a client that knows nothing', () => downloadGraph());

    it('proves everything to a client with an older head, its tiles gone or not', async () => {
      const head = join(oldClient.path, 'gopath/pkg/sumdb', log.name, 'latest');
      expect(await readFile(head, 'utf8')).toMatch(/^go\.sum database tree\n251\n/);
      await downloadGraph(oldClient);
      await rm(oldClient.modCache, { recursive: true });
      await downloadGraph(oldClient);
    });

    it('does the same after a restart', async () => {
      await proxy.stop();
      const { dataDir } = proxy;
      const restarted = await startModferry(
        withDefaults({ dataDir, upstreams: [source], env: { GOSUMDB: log.verifierKey } }),
      );
      const before = proxy;
      proxy = { ...restarted, close: () => restarted.close().then(before.close) };
      await downloadGraph();
    });

    it('tells a client plainly what is not stored', async () => {
      await using project = await goProject({ [notStored.path]: notStored.version });
      const result = await go(['mod', 'download'], project.path);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain('example.com/Late@v1.2.3');
      expect(result.stderr).toMatch(/not stored.*offline|offline.*not stored/);
    });
  });
});
