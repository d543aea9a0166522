import { appendFileSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { listenAdmin } from '../../http/admin.ts';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import { fakeCli, publish, tempFolder } from '../test-kit.ts';

const cobra = 'github.com/spf13/cobra';

async function withStore(...names: readonly string[]) {
  const data = tempFolder();
  await publish(data, ...names);
  const cli = fakeCli({ env: { MODFERRY_DATA: data } });
  const folder = join(data, 'download', cobra, '@v');
  return { data, cli, folder };
}

function jsonLines(text: string): unknown[] {
  return text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

describe('modferry ls', () => {
  const names = [`${cobra}@v1.10.0`, `${cobra}@v1.9.0`, 'golang.org/x/mod@v0.20.0', `${cobra}/deep@v1.0.0`];

  it('lists versions in semantic order within a module', async () => {
    const { cli } = await withStore(...names);
    const { code, stdout } = await cli.run('ls');
    expect(code).toBe(0);
    expect(stdout.split('\n').sort()).toEqual(['', ...names].sort());
    expect(stdout.indexOf('v1.9.0')).toBeLessThan(stdout.indexOf('v1.10.0'));
  });

  it.each([
    [cobra, 3],
    ['github.com/*', 3],
    ['*.org', 1],
    [`${cobra}@v1.9.0`, 1],
    ['example.com', 0],
  ])('selects by %s', async (pattern, count) => {
    const { cli } = await withStore(...names);
    const { code, stdout } = await cli.run('ls', pattern);
    expect({ code, count: stdout.split('\n').length - 1 }).toEqual({ code: 0, count });
  });

  it('tells source, hash and size on demand', async () => {
    const { cli } = await withStore(`${cobra}@v1.9.0`);
    expect((await cli.run('ls', '-l')).stdout).toMatch(
      /^github\.com\/spf13\/cobra@v1\.9\.0 {2}\d+ B {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}goproxy\.cn {2}info\+mod\+zip {2}h1:\S{44}\n$/,
    );
    const [entry] = jsonLines((await cli.run('ls', '--json')).stdout);
    expect(entry).toMatchObject({
      module: cobra,
      version: 'v1.9.0',
      artifacts: { zip: { source: 'goproxy.cn', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
    });
  });

  it('leaves no trace in the data folder', async () => {
    const { cli, data, folder } = await withStore(`${cobra}@v1.9.0`);
    rmSync(join(data, 'meta', 'records'), { recursive: true });
    const before = readdirSync(data, { recursive: true });
    await cli.run('ls', '--long');
    await cli.run('info', `${cobra}@v1.9.0`);
    await cli.run('verify');
    expect(readdirSync(data, { recursive: true })).toEqual(before);
    expect(readdirSync(folder)).toContain('v1.9.0.zip');
  });

  it.each(['ls', 'verify'])('says where it looked when there is no store (%s)', async (command) => {
    const cwd = tempFolder();
    const { code, stderr } = await fakeCli({ cwd }).run(command);
    expect(code).toBe(1);
    expect(stderr).toBe(`modferry: there is no store in ${cwd}/modferry-data; name its folder with --data\n`);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('refuses a pattern that matches nothing by its form', async () => {
    const { cli } = await withStore();
    const { code, stderr } = await cli.run('ls', 'https://github.com');
    expect(code).toBe(2);
    expect(stderr).toContain('scheme');
  });
});

describe('modferry info', () => {
  it('tells everything of one version', async () => {
    const { cli } = await withStore(`${cobra}@v1.9.0`);
    const { code, stdout } = await cli.run('info', `${cobra}@v1.9.0`);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^ {2}\.zip {2}\d+ B {2}from goproxy\.cn {2}20\S+Z\n {4}sha256 [0-9a-f]{64}\n {4}h1:\S{44}$/m,
    );
    const json: unknown = JSON.parse((await cli.run('info', '--json', `${cobra}@v1.9.0`)).stdout);
    expect(json).toMatchObject({
      module: cobra,
      artifacts: { info: { h1: null }, mod: {}, zip: {} },
      faults: [],
    });
  });

  it('gives an overview of one module, without those below it', async () => {
    const { cli, data } = await withStore(`${cobra}@v1.9.0`, `${cobra}@v1.10.0`, `${cobra}/deep@v1.0.0`);
    const store = await openFsStore({ folder: data, clock: systemClock });
    const confirmedAtMs = Date.UTC(2026, 0, 2);
    await store.writeMutable(cobra as ModulePath, 'list', {
      body: 'v1.9.0\n',
      confirmedAtMs,
      sources: ['goproxy.cn'],
    });
    await store.close();
    const { stdout } = await cli.run('info', cobra);
    expect(stdout).toContain(`${cobra}: 2 versions stored\n  v1.9.0 `);
    expect(stdout).toContain('list confirmed 2026-01-02 00:00:00Z by goproxy.cn\n');
    expect(JSON.parse((await cli.run('info', '--json', cobra)).stdout)).toMatchObject({
      versions: [{ version: 'v1.9.0' }, { version: 'v1.10.0' }],
      list: { sources: ['goproxy.cn'] },
      latest: null,
    });
  });

  it.each([`${cobra}@v1.9.8`, 'example.com/none'])(
    'fails with a sentence when %s is not stored',
    async (name) => {
      const { cli } = await withStore(`${cobra}@v1.9.0`);
      const { code, stdout, stderr } = await cli.run('info', name);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^modferry: nothing of .* is stored; modferry ls/);
    },
  );

  it('tells of a stored file that changed', async () => {
    const { cli, folder } = await withStore(`${cobra}@v1.9.0`);
    appendFileSync(join(folder, 'v1.9.0.zip'), 'x');
    const { code, stdout, stderr } = await cli.run('info', `${cobra}@v1.9.0`);
    expect(code).toBe(1);
    expect(stdout).toContain('.mod');
    expect(stderr).toContain('is not what was published');
  });
});

describe('modferry purge', () => {
  it('removes one version and leaves the others', async () => {
    const { cli } = await withStore(`${cobra}@v1.9.0`, `${cobra}@v1.10.0`);
    const { code, stdout } = await cli.run('purge', `${cobra}@v1.9.0`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^purged github\.com\/spf13\/cobra@v1\.9\.0: 1 version, \d+ B\n$/);
    expect((await cli.run('ls')).stdout).toBe(`${cobra}@v1.10.0\n`);
  });

  it('says so when nothing was there', async () => {
    const { cli } = await withStore(`${cobra}@v1.9.0`);
    const { code, stdout } = await cli.run('purge', 'example.com/none');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing of example.com/none was stored\n' });
  });

  it('wants --yes for a whole module on a terminal', async () => {
    const { data } = await withStore(`${cobra}@v1.9.0`);
    const cli = fakeCli({ env: { MODFERRY_DATA: data }, isTty: true });
    const refused = await cli.run('purge', cobra);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('add --yes');
    expect((await cli.run('ls')).stdout).toContain(cobra);
    expect((await cli.run('purge', '--yes', cobra)).code).toBe(0);
    expect((await cli.run('ls')).stdout).toBe('');
  });

  it('leaves what was published here to unpublish, unless it is forced', async () => {
    const { data, cli } = await withStore(`${cobra}@v1.9.0`);
    const store = await openFsStore({ folder: data, clock: systemClock });
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const staged = await store.stage({
        path: parseModulePath('corp.test/lib'),
        version: 'v1.0.0' as Version,
        ext,
      });
      await staged.publish({ sha256: '0'.repeat(64), source: 'published', unproven: 'off' });
      await staged.close();
    }
    await store.close();
    const refused = await cli.run('purge', 'corp.test/lib@v1.0.0');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('modferry unpublish corp.test/lib@v1.0.0 --reason');
    expect((await cli.run('ls')).stdout).toContain('corp.test/lib@v1.0.0');
    const forced = await cli.run('purge', '--force', 'corp.test/lib@v1.0.0');
    expect(forced).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^purged .*\n1 version of it had been published here: its name stays taken\n$/,
      ),
    });
    expect(readFileSync(join(data, 'meta', 'tombstones.jsonl'), 'utf8')).toMatch(
      /"path":"corp\.test\/lib","version":"v1\.0\.0","reason":"purged"/,
    );
    expect((await cli.run('audit', '--action', 'purge')).stdout).toMatch(
      /corp\.test\/lib@v1\.0\.0 +force true\n$/,
    );
  });

  it('is done by the running process where there is one, past sockets of dead ones', async () => {
    const { data, cli } = await withStore(`${cobra}@v1.9.0`);
    const store = await openFsStore({ folder: data, clock: systemClock });
    onTestFinished(() => store.close());
    writeFileSync(join(data, 'run', '0-stale'), '');
    const asked: object[] = [];
    const admin = await listenAdmin(join(store.instanceFolder ?? '', 'admin.sock'), {
      'POST /purge': (ask) => {
        asked.push(ask);
        return Promise.resolve({ removedVersions: 1, removedBytes: 2048 });
      },
    });
    onTestFinished(() => admin.close());
    const { code, stdout } = await cli.run('purge', `${cobra}@v1.9.0`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `purged ${cobra}@v1.9.0: 1 version, 2.0 KiB\n` });
    expect(asked).toEqual([{ module: cobra, version: 'v1.9.0' }]);
    expect(JSON.parse((await cli.run('purge', '--json', '--force', cobra)).stdout)).toMatchObject({
      through: 'process',
    });
    expect(asked.at(-1)).toEqual({ module: cobra, force: true });
  });

  it('tells why the running process refused', async () => {
    const { data, cli } = await withStore(`${cobra}@v1.9.0`);
    const store = await openFsStore({ folder: data, clock: systemClock });
    onTestFinished(() => store.close());
    const admin = await listenAdmin(join(store.instanceFolder ?? '', 'admin.sock'), {
      'POST /purge': () => Promise.reject(new Error('the disk is gone')),
    });
    onTestFinished(() => admin.close());
    const { code, stderr } = await cli.run('purge', `${cobra}@v1.9.0`);
    expect(code).toBe(1);
    expect(stderr).toBe('modferry: the running modferry refused: the disk is gone\n');
  });

  it('makes no folder where there is none', async () => {
    const cwd = tempFolder();
    expect((await fakeCli({ cwd }).run('purge', `${cobra}@v1.9.0`)).code).toBe(1);
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe('modferry verify', () => {
  it('finds no fault in what was published', async () => {
    const { cli } = await withStore(`${cobra}@v1.9.0`, 'golang.org/x/mod@v0.20.0');
    const { code, stdout } = await cli.run('verify');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^verified 6 artifacts of 2 versions \(.*\): no faults\n$/);
  });

  it('finds a file that changed, although size and time are the same', async () => {
    const { cli, folder } = await withStore(`${cobra}@v1.9.0`, `${cobra}@v1.10.0`);
    const file = join(folder, 'v1.9.0.mod');
    const records = join(folder.replace('download', 'meta/records'), 'v1.9.0.mod.json');
    const { modifiedAtMs } = JSON.parse(readFileSync(records, 'utf8')) as { modifiedAtMs: number };
    writeFileSync(file, 'module github.com/spf13/cobrA\n');
    utimesSync(file, modifiedAtMs / 1000, modifiedAtMs / 1000);
    const { code, stdout, stderr } = await cli.run('verify');
    expect(code).toBe(1);
    expect(stdout).toMatch(/cobra@v1\.9\.0 \.mod: its SHA-256 is [0-9a-f]{64}, recorded is [0-9a-f]{64}\n/);
    expect(stdout).toContain('verified 6 artifacts of 2 versions');
    expect(stderr).toContain('1 fault in');
  });

  it.each([
    [
      'a zip that grew',
      'zip',
      'changed',
      (folder: string) => appendFileSync(join(folder, 'v1.9.0.zip'), 'x'),
    ],
    ['a missing .ziphash', 'zip', 'ziphash', (folder: string) => rmSync(join(folder, 'v1.9.0.ziphash'))],
    [
      'a wrong .ziphash',
      'zip',
      'ziphash',
      (folder: string) => writeFileSync(join(folder, 'v1.9.0.ziphash'), 'h1:x'),
    ],
    [
      'an .info that was cut',
      'info',
      'changed',
      (folder: string) => writeFileSync(join(folder, 'v1.9.0.info'), '{'),
    ],
  ])('finds %s', async (_, artifact, kind, harm) => {
    const { cli, folder } = await withStore(`${cobra}@v1.9.0`);
    harm(folder);
    const { code, stdout } = await cli.run('verify', '--json');
    expect(code).toBe(1);
    const [fault, summary] = jsonLines(stdout);
    expect(fault).toMatchObject({ module: cobra, version: 'v1.9.0', artifact, kind });
    expect(summary).toMatchObject({ versions: 1, artifacts: 3, faults: 1 });
  });

  it('finds a zip that is none, even if nothing was recorded of it', async () => {
    const { cli, data, folder } = await withStore(`${cobra}@v1.9.0`);
    rmSync(join(data, 'meta', 'records'), { recursive: true });
    writeFileSync(join(folder, 'v1.9.0.zip'), 'no zip at all');
    expect(jsonLines((await cli.run('verify', '--json')).stdout)[0]).toMatchObject({
      artifact: 'zip',
      kind: 'zip',
    });
  });

  it('checks only what is selected', async () => {
    const { cli, folder } = await withStore(`${cobra}@v1.9.0`, 'golang.org/x/mod@v0.20.0');
    appendFileSync(join(folder, 'v1.9.0.zip'), 'x');
    const { code, stdout } = await cli.run('verify', 'golang.org/x/mod@v0.20.0');
    expect(code).toBe(0);
    expect(stdout).toContain('3 artifacts of 1 version ');
  });
});
