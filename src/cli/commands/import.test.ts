import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type FakeModule, fakeGraph, fakeModule } from '../../../test/kit/fake-module.ts';
import { startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import { type GoHome, goHome, goProject, runGo } from '../../../test/kit/go.ts';
import { startSumdbLog } from '../../../test/kit/sumdb-log.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import { expectAction, fakeCli, jsonLines, playServer, tempFolder } from '../test-kit.ts';

const graph = fakeGraph({ modules: 60 });

/** What `go mod download` leaves of the whole graph: a real GOMODCACHE. */
let home: GoHome;

beforeAll(async () => {
  home = await goHome();
  await using upstream = await startFakeUpstream({ modules: graph.modules });
  const roots = Object.fromEntries((graph.levels[0] ?? []).map(({ path, version }) => [path, version]));
  const goSum = graph.modules.map((module) => module.goSum).join('');
  await using project = await goProject(roots, { goSum, goVersion: '1.16' });
  const env = { GOPROXY: upstream.url, GOFLAGS: '-modcacherw -mod=mod' };
  const result = await runGo(['mod', 'download'], { cwd: project.path, home, env });
  expect(result.stderr).toBe('');
  return home.remove;
}, 120_000);

function copyOfCache(): string {
  const folder = tempFolder();
  cpSync(home.modCache, folder, { recursive: true });
  return folder;
}

function fileOf(cache: string, { path, version }: FakeModule, ext: string): string {
  return join(cache, 'cache/download', path, '@v', `${version}.${ext}`);
}

function setUp(modules: readonly FakeModule[] = graph.modules, otherwise?: object) {
  const data = tempFolder();
  return playServer(data, expectAction(modules, otherwise)).then(() => ({
    data,
    cli: fakeCli({ env: { MODFERRY_DATA: data } }),
  }));
}

async function recordOf(data: string, { path, version }: FakeModule, ext: 'info' | 'mod' | 'zip') {
  const store = await openFsStore({ folder: data, clock: systemClock });
  const key = { path: path as ModulePath, version: version as Version, ext };
  const file = await store.open(key);
  await file?.close();
  await store.close();
  return file?.record;
}

/** The disk storage of Athens: one folder a version, below the module path as it is. */
function athensFolder(modules: readonly FakeModule[]): string {
  const root = tempFolder();
  for (const module of modules) {
    const folder = join(root, module.path, module.version);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'go.mod'), module.mod);
    writeFileSync(join(folder, 'source.zip'), module.zip);
    writeFileSync(join(folder, `${module.version}.info`), module.info);
  }
  return root;
}

describe('modferry import', () => {
  it('takes a whole GOMODCACHE, proven, and finds everything stored when run again', async () => {
    const { data, cli } = await setUp();
    const { code, stdout, stderr } = await cli.run('import', home.modCache);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^60 versions: 180 files imported \(\d+ KiB\), 0 already stored\n$/);
    expect(code).toBe(0);
    const [first] = graph.modules;
    if (first === undefined) throw new Error('no module');
    const record = await recordOf(data, first, 'zip');
    expect(record).toMatchObject({
      source: 'import',
      h1: first.zipH1,
      proof: { by: 'sumdb', database: 'sum.test', recordId: 7 },
    });
    expect(readFileSync(join(data, 'download', first.path, '@v/v1.0.0.zip'))).toEqual(first.zip);
    expect((await cli.run('verify')).code).toBe(0);

    const again = await cli.run('import', join(home.modCache, 'cache/download'));
    expect(again).toMatchObject({
      code: 0,
      stdout: '60 versions: 0 files imported (0 B), 180 already stored\n',
    });
  });

  it('finds every bad file among many good ones, and imports none of them', async () => {
    const cache = copyOfCache();
    const modules = [...graph.modules];
    const take = (): FakeModule => {
      const module = modules.pop();
      if (module === undefined) throw new Error('no module');
      return module;
    };
    const bad: string[] = [];
    const harm = (ext: 'info' | 'mod' | 'zip', how: (file: string, module: FakeModule) => void): void => {
      const module = take();
      how(fileOf(cache, module, ext), module);
      bad.push(`${module.path} ${ext}`);
    };
    // 9 of 180 are 5 %.
    harm('zip', (file, { zip }) => {
      const bytes = Buffer.from(zip);
      const at = Math.floor(bytes.length / 3);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    });
    harm('zip', (file) => truncateSync(file, 100));
    harm('zip', (file) => writeFileSync(file, ''));
    harm('zip', (file) => writeFileSync(file, take().zip));
    harm('zip', (file, { path }) =>
      writeFileSync(
        file,
        fakeModule({ path, goVersion: '1.16', files: { 'evil.go': 'package evil\n' } }).zip,
      ),
    );
    harm('mod', (file) => appendFileSync(file, '\nretract v0.1.0\n'));
    harm('mod', (file) => writeFileSync(file, '<!DOCTYPE html><title>Log in</title>'));
    harm('info', (file) => writeFileSync(file, '{"Version":"v1.0.1","Time":"2024-01-02T03:04:05Z"}'));
    harm('info', (file) => truncateSync(file, 10));

    const { data, cli } = await setUp();
    const { code, stdout, stderr } = await cli.run('import', cache, '--json', '--allow-unproven');
    expect(code).toBe(1);
    expect(stderr).toContain('9 files not imported');
    const lines = jsonLines(stdout);
    const refused = lines.filter((line) => 'refused' in line && 'module' in line);
    expect(refused.map(({ module, artifact }) => `${String(module)} ${String(artifact)}`).sort()).toEqual(
      bad.sort(),
    );
    expect(lines.at(-1)).toMatchObject({ ok: false, versions: 60, imported: 171, refused: 9, present: 0 });
    for (const name of bad) {
      const [path = '', ext = ''] = name.split(' ');
      expect(existsSync(join(data, 'download', path, '@v', `v1.0.0.${ext}`))).toBe(false);
    }
    // All that is there is good, and what is bad can be looked at.
    expect((await cli.run('verify')).code).toBe(0);
    const suspects = jsonLines((await cli.run('quarantine', 'ls', '--json')).stdout);
    expect(suspects).toHaveLength(9);
    expect(new Set(suspects.map(({ cause }) => cause))).toEqual(new Set(['import']));
    expect(new Set(refused.map(({ quarantine }) => quarantine))).toEqual(
      new Set(suspects.map(({ id }) => id)),
    );
    const retagged = refused.filter(({ refused: why }) => why === 'mismatch');
    expect(retagged).toHaveLength(2);
    for (const line of retagged) {
      expect(line['expected']).toMatch(/^h1:/);
      expect(line['found']).toMatch(/^h1:/);
      expect(line['reason']).toContain('sum.test #7 says');
    }
  });

  it('takes the disk storage of Athens, upper-case letters and all', async () => {
    const modules = [
      fakeModule({ path: 'github.com/Azure/deep/x' }),
      fakeModule({ path: 'github.com/Azure/deep/x', version: 'v1.2.0' }),
      fakeModule({ path: 'example.com/old', version: 'v3.0.0+incompatible', hasGoMod: false }),
      fakeModule({ path: 'example.com/pre', version: 'v1.0.0-RC1' }),
    ];
    const { data, cli } = await setUp(modules);
    const { code, stdout } = await cli.run('import', athensFolder(modules));
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^4 versions: 12 files/),
    });
    expect((await cli.run('ls')).stdout.trim().split('\n')).toHaveLength(4);
    expect(existsSync(join(data, 'download/github.com/!azure/deep/x/@v/v1.2.0.zip'))).toBe(true);
    expect(existsSync(join(data, 'download/example.com/pre/@v/v1.0.0-!r!c1.info'))).toBe(true);
  });

  it('leaves out what nothing proves, unless told otherwise', async () => {
    const [proven, unproven] = [fakeModule({ path: 'example.com/a' }), fakeModule({ path: 'example.com/b' })];
    const { data, cli } = await setUp([proven]);
    const folder = athensFolder([proven, unproven]);
    const refused = await cli.run('import', folder);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain(
      'example.com/b@v1.0.0 .zip not imported, not proven: sum.test cannot be reached\n',
    );
    expect(refused.stderr).toContain('--allow-unproven');
    expect(await recordOf(data, unproven, 'zip')).toBeUndefined();
    // A lack of proof is no evidence against it.
    expect((await cli.run('quarantine', 'ls')).stdout).toBe('nothing is in quarantine\n');

    const allowed = await cli.run('import', folder, '--allow-unproven');
    expect(allowed).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of them unproven') });
    expect(await recordOf(data, unproven, 'zip')).toMatchObject({ unproven: 'unreachable' });
    expect(await recordOf(data, proven, 'zip')).not.toHaveProperty('unproven');
  });

  it('takes private modules, of which nobody is asked for a proof', async () => {
    const module = fakeModule({ path: 'git.corp.example/a' });
    const { data, cli } = await setUp([], { kind: 'unproven', why: 'off', reason: 'private' });
    expect((await cli.run('import', athensFolder([module]))).code).toBe(0);
    expect(await recordOf(data, module, 'mod')).toMatchObject({ unproven: 'off' });
  });

  it('refuses a zip whose go.mod is another one than the .mod, where no log decides', async () => {
    const module = fakeModule({ path: 'git.corp.example/a' });
    const folder = athensFolder([module]);
    writeFileSync(join(folder, module.path, 'v1.0.0/go.mod'), 'module git.corp.example/a\n\ngo 1.99\n');
    const { cli } = await setUp([], { kind: 'unproven', why: 'off', reason: 'private' });
    const { code, stdout } = await cli.run('import', folder);
    expect(code).toBe(1);
    expect(stdout).toContain(
      '.zip not imported, not sound: its go.mod is another one than the .mod beside it',
    );
  });

  it('keeps what is stored where the folder has something else', async () => {
    const stored = fakeModule({ path: 'git.corp.example/a' });
    const other = fakeModule({ path: 'git.corp.example/a', files: { 'b.go': 'package a\n' } });
    const { data, cli } = await setUp([], { kind: 'unproven', why: 'off', reason: 'private' });
    await cli.run('import', athensFolder([stored]));
    const { code, stdout } = await cli.run('import', athensFolder([other]));
    expect(code).toBe(1);
    expect(stdout).toContain(
      '.zip not imported, in conflict: another file is stored, from import; it stays\n',
    );
    expect(await recordOf(data, stored, 'zip')).toMatchObject({ h1: stored.zipH1 });
  });

  it('passes over locks, lists, strange files and links that lead out', async () => {
    const outside = join(tempFolder(), 'outside.zip');
    writeFileSync(outside, 'secret');
    const cache = copyOfCache();
    const download = join(cache, 'cache/download');
    const [first, second] = graph.modules;
    if (first === undefined || second === undefined) throw new Error('no module');
    const versions = dirname(fileOf(cache, first, 'zip'));
    writeFileSync(join(versions, 'v1.0.0.partial'), '');
    writeFileSync(join(versions, 'notes.txt'), 'odd');
    writeFileSync(join(versions, 'v9.0.0.zip'), 'of no such module');
    mkdirSync(join(download, 'sumdb/sum.test'), { recursive: true });
    writeFileSync(join(download, 'sumdb/sum.test/latest'), '');
    mkdirSync(join(download, 'no host/@v'), { recursive: true });
    rmSync(fileOf(cache, first, 'zip'));
    symlinkSync(outside, fileOf(cache, first, 'zip'));
    symlinkSync('/', join(download, 'example.com'));
    // Inside the folder a link is as good as the file.
    const moved = join(download, 'kept.bin');
    cpSync(fileOf(cache, second, 'zip'), moved);
    rmSync(fileOf(cache, second, 'zip'));
    symlinkSync(moved, fileOf(cache, second, 'zip'));

    const { data, cli } = await setUp();
    const { code, stdout } = await cli.run('import', cache, '--json');
    expect(code).toBe(0);
    const odd = jsonLines(stdout).filter((line) => 'reason' in line);
    expect(odd.map(({ odd: file }) => String(file).slice(download.length + 1)).sort()).toEqual(
      [
        'example.com',
        'kept.bin',
        'no host/@v',
        `${first.path}/@v/notes.txt`,
        `${first.path}/@v/v1.0.0.zip`,
        `${first.path}/@v/v9.0.0.zip`,
      ].sort(),
    );
    expect(await recordOf(data, first, 'zip')).toBeUndefined();
    expect(await recordOf(data, second, 'zip')).toMatchObject({ h1: second.zipH1 });
  });

  it('says where it looked when there is nothing to import, and makes no data folder', async () => {
    const cwd = tempFolder();
    const cli = fakeCli({ cwd });
    const { code, stderr } = await cli.run('import', cwd);
    expect(code).toBe(1);
    expect(stderr).toContain(`there are no module versions in ${cwd}`);
    expect((await cli.run('import', join(cwd, 'none'))).code).toBe(2);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('stops on Ctrl-C with 130 and keeps what is done', async () => {
    const { data, cli } = await setUp(graph.modules);
    const asked = Promise.withResolvers<void>();
    rmSync(join(data, 'run'), { recursive: true });
    const answer = expectAction(graph.modules)['POST /expect'];
    let count = 0;
    await playServer(data, {
      'POST /expect': (ask) => {
        count += 1;
        // By now both hands wait for an answer that does not come.
        if (count === 24) asked.resolve();
        if (count > 20) return new Promise(() => {});
        return answer?.(ask) ?? Promise.reject(new Error('no answer'));
      },
    });
    const running = cli.run('import', home.modCache, '--jobs', '2');
    await asked.promise;
    cli.signal('SIGINT');
    const { code, stderr } = await running;
    expect(code).toBe(130);
    expect(stderr).toContain('run the same command again');
  });

  it('proves by the checksum database itself where no modferry runs', async () => {
    const [good, bad] = [fakeModule({ path: 'example.com/good' }), fakeModule({ path: 'example.com/bad' })];
    await using log = await startSumdbLog({ modules: [good, bad] });
    const folder = athensFolder([good, bad]);
    const evil = fakeModule({ path: 'example.com/bad', files: { 'evil.go': 'package evil\n' } });
    writeFileSync(join(folder, bad.path, 'v1.0.0/source.zip'), evil.zip);
    const data = tempFolder();
    await using upstream = await startFakeUpstream();
    const cli = fakeCli({
      env: {
        MODFERRY_DATA: data,
        MODFERRY_UPSTREAM: upstream.url,
        GOSUMDB: `${log.verifierKey} ${log.url}`,
      },
    });
    const { code, stdout } = await cli.run('import', folder);
    expect(stdout).toContain('example.com/bad@v1.0.0 .zip not imported, not what it should be: its hash is');
    expect(code).toBe(1);
    expect(await recordOf(data, good, 'zip')).toMatchObject({ proof: { by: 'sumdb', database: log.name } });
    expect(await recordOf(data, bad, 'zip')).toBeUndefined();
  });
});
