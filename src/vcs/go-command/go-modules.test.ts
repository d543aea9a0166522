import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type TempDir, tempDir } from '../../../test/kit/temp.ts';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Version, VersionQuery } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { ModuleAnswers } from '../module-answers.ts';
import type { Vcs } from '../types.ts';
import { readGoAnswer } from './go-answer.ts';
import { createGoModules, type GoModulesOptions } from './go-modules.ts';
import { hgRepository, serveHg, serveSvn, startWorld, svnRepository, testEnv } from './test-repositories.ts';

const path = parseModulePath('mod.example.test/lib');
const never = new AbortController().signal;
const asVersion = (text: string): Version => text as Version;
const asQuery = (text: string): VersionQuery => text as VersionQuery;

async function workDir(): Promise<TempDir> {
  const dir = await tempDir('go-modules');
  onTestFinished(dir.remove);
  return dir;
}

function modulesIn(dir: TempDir, options: Partial<GoModulesOptions> = {}, proxyUrl?: string) {
  const modules = createGoModules({
    allowed: ['hg', 'svn'],
    folder: join(dir.path, 'work'),
    clock: systemClock,
    ...options,
    environment: {
      searchPath: testEnv.PATH,
      caFile: undefined,
      proxies: { http: proxyUrl },
      insecurePatterns: ['mod.example.test'],
      ...options.environment,
    },
  });
  onTestFinished(() => modules.close());
  return modules;
}

function placeOf(vcs: Vcs) {
  return { vcs, url: 'https://hg.example.test/lib', root: path, subdir: '' };
}

async function zipNames(answers: ModuleAnswers, version: string, file: string): Promise<string[]> {
  await answers.zip(asVersion(version), file, never);
  const { stdout } = await promisify(execFile)('unzip', ['-Z1', file]);
  return stdout.trim().split('\n').sort();
}

describe('other version control systems', { timeout: 240_000 }, () => {
  it('gives the modules of a Mercurial repository', async () => {
    const dir = await workDir();
    const repository = join(dir.path, 'repo');
    await hgRepository(repository, path);
    const port = await serveHg(repository);
    const world = await startWorld(`${path} hg http://hg.example.test/`, { 'hg.example.test:80': port });
    const answers = modulesIn(dir, {}, world.proxyUrl).open(placeOf('hg'), path);
    expect(await answers.list(never)).toEqual(['v1.0.0', 'v1.1.0']);
    const latest: unknown = JSON.parse(await answers.latest(never));
    expect(latest).toMatchObject({ Version: 'v1.1.0', Time: '2023-11-14T22:13:22Z', Origin: { VCS: 'hg' } });
    const info: unknown = JSON.parse(await answers.info(asVersion('v1.0.0'), never));
    expect(info).toMatchObject({ Version: 'v1.0.0', Time: '2023-11-14T22:13:20Z' });
    const branch: unknown = JSON.parse(await answers.info(asQuery('default'), never));
    expect(branch).toMatchObject({
      Version: expect.stringMatching(/^v1\.1\.1-0\.20231114\d{6}-[0-9a-f]{12}$/),
    });
    expect(String(await answers.goMod(asVersion('v1.0.0'), never))).toBe(`module ${path}\n\ngo 1.20\n`);
    const file = join(dir.path, 'a.zip');
    expect(await zipNames(answers, 'v1.0.0', file)).toEqual([`${path}@v1.0.0/a.go`, `${path}@v1.0.0/go.mod`]);
    await expect(answers.info(asVersion('v9.9.9'), never)).rejects.toMatchObject({ code: 'absent' });
    expect(world.asked().some((target) => target.includes('hg.example.test'))).toBe(true);
  });

  it('gives the modules of a Subversion repository where go may reach it', async () => {
    const dir = await workDir();
    const root = join(dir.path, 'svn');
    await mkdir(root);
    await svnRepository(join(root, 'lib'), path);
    const port = await serveSvn(root);
    const world = await startWorld(`${path} svn svn://127.0.0.1:${port}/lib`, {});
    const answers = modulesIn(dir, {}, world.proxyUrl).open(placeOf('svn'), path);
    expect(await answers.list(never)).toEqual([]);
    const latest = JSON.parse(await answers.latest(never)) as { Version: string };
    expect(latest.Version).toMatch(/^v0\.0\.0-\d{14}-0{11}1$/);
    expect(String(await answers.goMod(asVersion(latest.Version), never))).toBe(`module ${path}\n`);
    expect(await zipNames(answers, latest.Version, join(dir.path, 'a.zip'))).toEqual([
      `${path}@${latest.Version}/a.go`,
      `${path}@${latest.Version}/go.mod`,
    ]);
  });

  it('tells a server that is down from an absence', async () => {
    const dir = await workDir();
    const answers = modulesIn(dir, {}, 'http://127.0.0.1:1').open(placeOf('hg'), path);
    await expect(answers.list(never)).rejects.toMatchObject({ code: 'connect' });
  });
});

/** A `go` that only tells what it was given. */
async function fakeGo(dir: TempDir, script: string): Promise<string> {
  const file = join(dir.path, 'fake-go');
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
}

describe('the go command', () => {
  it('is refused for what is not allowed, with the setting', async () => {
    const dir = await workDir();
    for (const vcs of ['hg', 'fossil', 'bzr', 'git'] as const) {
      const modules = modulesIn(dir, { allowed: ['svn'] });
      expect(() => modules.open(placeOf(vcs), path)).toThrow(/direct\.other_vcs|not allowed/);
    }
    expect(existsSync(join(dir.path, 'work'))).toBe(false);
  });

  it('sees nothing of this machine, and only its own version control system', async () => {
    const dir = await workDir();
    const log = join(dir.path, 'log');
    process.env['GOFLAGS_CANARY'] = 'x';
    onTestFinished(() => {
      delete process.env['GOFLAGS_CANARY'];
    });
    const command = await fakeGo(dir, `env > ${log}; echo "$@" >> ${log}; echo '{"Version":"v1.0.0"}'`);
    await modulesIn(dir, { command }).open(placeOf('hg'), path).latest(never);
    const text = await readFile(log, 'utf8');
    const env = new Map(text.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
    expect(text).not.toContain('CANARY');
    expect(env.get('GOVCS')).toBe('*:hg');
    expect(env.get('HGRCPATH')).toBe('');
    const fixed = {
      GOENV: 'off',
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-modcacherw',
      GOPROXY: 'direct',
      GOAUTH: 'off',
    };
    for (const [name, value] of Object.entries(fixed)) expect(env.get(name)).toBe(value);
    for (const name of ['HOME', 'GOPATH', 'GOMODCACHE', 'GOCACHE', 'TMPDIR']) {
      expect(env.get(name)).toContain(join(dir.path, 'work'));
    }
    expect(text).toContain(`list -m -versions -json ${path}@latest`);
  });

  it.each([
    '-x',
    '--config=alias.x=!id',
    '--upload-pack=id',
    'v1.0.0;id',
    '$(id)',
    'a b',
    'reverse(all())',
    'a:b',
    'a/b',
    '<v1.0.0',
    '>=v1',
    '@{0}',
    'upgrade',
    'none',
    '',
  ])('is not given the query %j', async (query) => {
    const dir = await workDir();
    const command = await fakeGo(dir, `touch ${join(dir.path, 'ran')}; echo '{"Version":"v1.0.0"}'`);
    const answers = modulesIn(dir, { command }).open(placeOf('hg'), path);
    await expect(answers.info(asQuery(query), never)).rejects.toMatchObject({ code: 'refused' });
    await expect(answers.goMod(asVersion(query), never)).rejects.toMatchObject({ code: 'absent' });
    expect(existsSync(join(dir.path, 'ran'))).toBe(false);
  });

  it('ends with all it started, at the deadline and when nobody waits', async () => {
    const dir = await workDir();
    const pids = join(dir.path, 'pids');
    const command = await fakeGo(
      dir,
      `sleep 1000 & echo $! >> ${pids}; echo $$ >> ${pids}; mkdir ${pids}.up; wait`,
    );
    const clock = new FakeClock();
    const ended = async (act: () => Promise<void>, answer: Promise<unknown>, code: string): Promise<void> => {
      while (!existsSync(`${pids}.up`)) await new Promise((resolve) => setImmediate(resolve));
      await act();
      await expect(answer).rejects.toMatchObject({ code });
    };
    const late = modulesIn(dir, { command, clock, timeoutMs: 5_000 }).open(placeOf('hg'), path).latest(never);
    late.catch(() => {});
    await ended(() => clock.advance(5_001), late, 'timeout');
    await promisify(execFile)('rmdir', [`${pids}.up`]);
    const leaving = new AbortController();
    const left = modulesIn(dir, { command, clock }).open(placeOf('hg'), path).latest(leaving.signal);
    left.catch(() => {});
    await ended(async () => leaving.abort(Object.assign(new Error('left'), { code: 'LEFT' })), left, 'LEFT');
    const all = (await readFile(pids, 'utf8')).trim().split('\n').map(Number);
    expect(all.length).toBe(4);
    for (const pid of all) await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('is bounded in what it prints, and missing tells what to do', async () => {
    const dir = await workDir();
    const loud = await fakeGo(dir, 'exec yes');
    await expect(
      modulesIn(dir, { command: loud }).open(placeOf('hg'), path).list(never),
    ).rejects.toMatchObject({
      code: 'too_large',
    });
    const missing = modulesIn(dir, { command: join(dir.path, 'none') }).open(placeOf('hg'), path);
    await expect(missing.list(never)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('install Go'),
    });
  });

  it('keeps its folder for a while, and removes those of dead processes', async () => {
    const dir = await workDir();
    const work = join(dir.path, 'work');
    const command = await fakeGo(dir, `echo '{"Version":"v1.0.0"}'`);
    const clock = new FakeClock(Date.now());
    const modules = modulesIn(dir, { command, clock });
    await modules.open(placeOf('hg'), path).latest(never);
    await modules.open(placeOf('hg'), path).latest(never);
    expect((await readdir(work)).length).toBe(1);
    await clock.advance(600_001);
    await expect.poll(() => readdir(work)).toEqual([]);
    const old = join(work, 'go-0123456789ab');
    await mkdir(old);
    await utimes(old, 1, 1);
    await mkdir(join(work, 'go-fedcba987654'));
    await modules.start();
    expect(await readdir(work)).toEqual(['go-fedcba987654']);
    expect((await stat(work)).isDirectory()).toBe(true);
  });
});

/** A dead one whose parent has not looked yet does nothing any more. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('what go says', () => {
  it.each([
    ['dial tcp: lookup x.test: no such host', 'dns'],
    ['dial tcp 127.0.0.1:443: connect: connection refused', 'connect'],
    ['tls: failed to verify certificate: x509: certificate signed by unknown authority', 'tls'],
    ['abort: authorization failed', 'auth'],
    ['abort: HTTP Error 403: Forbidden', 'forbidden'],
    ['x.test/a@v1.0.0: invalid version: unknown revision v1.0.0', 'absent'],
    ['no matching versions for query "latest"', 'absent'],
    ['GOVCS disallows using hg for private x.test/a', 'refused'],
    ['exec: "hg": executable file not found in $PATH', 'refused'],
    ['something new', 'failed'],
    ['', 'failed'],
  ])('%s is %s', (text, code) => {
    expect(() => readGoAnswer('it', { code: 1, stdout: '', stderr: `go: ${text}\n` })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it('keeps credentials, control characters and our folders out of texts', () => {
    const stderr = 'x\nfetching https://bob:pw@x.test/a \u001b[31m in /data/vcs/go-1/modcache/cache failed\n';
    let message = '';
    try {
      readGoAnswer('it', { code: 1, stdout: '', stderr });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('https://x.test/a');
    expect(message).not.toMatch(/pw|\p{Cc}|\/data/u);
  });
});
