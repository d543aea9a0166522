/**
 * The real `go` command against modferry and fake upstreams: what a build does, and the same again when only the
 * store is left, through modferry, as a plain folder and under nginx.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fakeGraph, fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { goHome, goProject, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';
import { ask, eventually, expectCleanStore, folder, freePort, modferry, upstream } from './support.ts';

const graph = fakeGraph({ modules: 40 });
const roots = Object.fromEntries((graph.levels[0] ?? []).map(({ path, version }) => [path, version]));
const goSum = graph.modules.map((module) => module.goSum).join('');

/** `go mod download` of the whole graph on a fresh machine; gives its report. */
async function downloadGraph(goProxy: string) {
  await using home = await goHome();
  // Below 1.17 the graph is not pruned: every module of it is downloaded.
  await using project = await goProject(roots, { goSum, goVersion: '1.16' });
  const result = await runGo(['mod', 'download', '-json'], {
    cwd: project.path,
    home,
    env: { GOPROXY: goProxy, GOFLAGS: '-modcacherw -mod=mod' },
  });
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  return result.stdout.match(/"Zip":/g)?.length ?? 0;
}

describe('a module graph', () => {
  let source: FakeUpstream;
  let data: TempDir;
  let first: ModferryProcess;
  beforeAll(async () => {
    source = await startFakeUpstream({ modules: graph.modules });
    data = await tempDir('data');
    first = await startModferry({ dataDir: data.path, args: ['--upstream', source.url] });
    await downloadGraph(first.url);
    await first.stop();
    return async () => {
      await first.close();
      await source.close();
      await data.remove();
    };
  });

  it('was downloaded whole, each file asked of the upstream at most once', async () => {
    for (const module of graph.modules) {
      for (const ext of ['info', 'mod', 'zip']) {
        expect(source.count(`/${module.path}/@v/v1.0.0.${ext}`)).toBeLessThanOrEqual(1);
      }
      expect(source.count(`/${module.path}/@v/v1.0.0.zip`)).toBe(1);
    }
    await expectCleanStore(data.path);
  });

  it('downloads again after a restart with every upstream gone', async () => {
    await source.refuse();
    onTestFinished(() => source.listenAgain());
    const again = await modferry({
      dataDir: data.path,
      args: ['--upstream', source.url],
      env: { MODFERRY_LOG_ACCESS: 'all' },
    });
    expect(await downloadGraph(again.url)).toBe(graph.modules.length);
    expect(await again.stop()).toMatchObject({ code: 0 });
    const served = again.stderr().match(/"source":"store"/g) ?? [];
    expect(served.length).toBeGreaterThanOrEqual(2 * graph.modules.length);
  });

  it('downloads from the store folder itself by GOPROXY=file://', async () => {
    expect(await downloadGraph(`file://${join(data.path, 'download')}`)).toBe(graph.modules.length);
    const list = await readFile(join(data.path, 'download/graph.test/l0/m0/@v/list'), 'utf8');
    expect(list).toBe('v1.0.0\n');
  });

  it('downloads from nginx over the store folder', async () => {
    const url = await nginx(join(data.path, 'download'));
    expect(await downloadGraph(url)).toBe(graph.modules.length);
  });
});

describe('go get and go list', () => {
  const path = 'example.com/Tool';
  const modules = [
    fakeModule({ path, version: 'v1.0.0' }),
    fakeModule({ path, version: 'v1.1.0' }),
    fakeModule({ path, version: 'v1.2.0-beta.1' }),
    fakeModule({ path, version: 'v1.2.0-0.20240102030405-abcdefabcdef' }),
  ];

  it('get the latest version of a module with an upper-case path', async () => {
    const source = await upstream({ modules });
    const proxy = await modferry({ upstreams: [source], config: { look_ahead: { enabled: true } } });
    await using project = await goProject();
    const got = await runGo(['get', `${path}@latest`], { cwd: project.path, env: { GOPROXY: proxy.url } });
    expect(got).toMatchObject({ code: 0 });
    expect(await readFile(join(project.path, 'go.mod'), 'utf8')).toContain(`${path} v1.1.0`);
    expect(await readFile(join(project.path, 'go.sum'), 'utf8')).toBe(modules[1]?.goSum);
  });

  it('get a branch as the pseudo-version the upstream resolves it to', async () => {
    const pseudo = 'v1.2.0-0.20240102030405-abcdefabcdef';
    const source = await upstream({ modules, queries: { [`${path}@main`]: pseudo } });
    const proxy = await modferry({ upstreams: [source] });
    await using project = await goProject();
    const got = await runGo(['get', `${path}@main`], { cwd: project.path, env: { GOPROXY: proxy.url } });
    expect(got).toMatchObject({ code: 0 });
    expect(await readFile(join(project.path, 'go.mod'), 'utf8')).toContain(`${path} ${pseudo}`);
  });

  it('list all tagged versions', async () => {
    const source = await upstream({ modules });
    const proxy = await modferry({ upstreams: [source] });
    const listed = await runGo(['list', '-m', '-versions', path], {
      env: { GOPROXY: proxy.url, GOFLAGS: '-mod=mod' },
    });
    expect(listed).toMatchObject({ code: 0, stdout: `${path} v1.0.0 v1.1.0 v1.2.0-beta.1\n` });
  });

  it('install the latest version of a command', async () => {
    const source = await upstream({
      modules: [
        fakeModule({
          path: 'example.com/hello',
          version: 'v1.4.0',
          files: {
            'hello.go':
              'package main\n\nimport "example.com/words"\n\nfunc main() { print(words.Version) }\n',
          },
          requires: { 'example.com/words': 'v0.3.0' },
        }),
        fakeModule({ path: 'example.com/words', version: 'v0.3.0' }),
      ],
    });
    const proxy = await modferry({ upstreams: [source] });
    await using home = await goHome();
    const installed = await runGo(['install', 'example.com/hello@latest'], {
      home,
      env: { GOPROXY: proxy.url, CGO_ENABLED: '0' },
    });
    expect(installed).toMatchObject({ code: 0 });
    expect(existsSync(join(home.path, 'gopath/bin/hello'))).toBe(true);
  });

  it('get a package below a module root while the second upstream is dead', async () => {
    const deep = fakeModule({
      path: 'example.com/deep',
      version: 'v1.0.0',
      files: { 'a/b/b.go': 'package b\n' },
    });
    const source = await upstream({ modules: [deep] });
    const dead = await upstream();
    await dead.refuse();
    const proxy = await modferry({ upstreams: [source, dead] });
    await using project = await goProject();
    const got = await runGo(['get', 'example.com/deep/a/b'], {
      cwd: project.path,
      env: { GOPROXY: proxy.url },
    });
    expect(got).toMatchObject({ code: 0 });
    expect(await readFile(join(project.path, 'go.mod'), 'utf8')).toContain('example.com/deep v1.0.0');
  });

  it('show the lines about each source when nothing can be had', async () => {
    const dead = await upstream();
    await dead.refuse();
    const proxy = await modferry({ upstreams: [dead] });
    const got = await runGo(['mod', 'download', `${path}@v1.0.0`], { env: { GOPROXY: proxy.url } });
    expect(got.code).toBe(1);
    expect(got.stderr).toContain('502 Bad Gateway');
    expect(got.stderr).toContain(`127.0.0.1:${dead.port}: `);
  });
});

/** A real nginx over a folder, as a process of its own with everything it writes in a temporary one. */
async function nginx(root: string): Promise<string> {
  const dir = await folder('nginx');
  await mkdir(join(dir.path, 'tmp'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${dir.path}/tmp/${name};`)
    .join(' ');
  await writeFile(
    join(dir.path, 'nginx.conf'),
    `daemon off; master_process off; pid ${dir.path}/pid; error_log ${dir.path}/error.log;
     events {} http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; root ${root}; } }\n`,
  );
  const command = ['/usr/sbin/nginx', '/usr/bin/nginx'].find((file) => existsSync(file)) ?? 'nginx';
  const child = spawn(command, [
    '-p',
    dir.path,
    '-c',
    join(dir.path, 'nginx.conf'),
    '-e',
    join(dir.path, 'error.log'),
  ]);
  const ended = new Promise((resolve) => child.once('close', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    () => ask(url, '/'),
    ({ status }) => status > 0,
  );
  return url;
}
