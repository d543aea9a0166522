/**
 * The commands beside `serve`, against a running modferry and its folder: warm, ls, info, purge, verify, config
 * check and env, as a script would use them.
 */
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeGraph } from '../kit/fake-module.ts';
import { status } from '../kit/faults.ts';
import {
  ask,
  eventually,
  expectCleanStore,
  folder,
  modferry,
  runModferry,
  storedZips,
  upstream,
} from './support.ts';

const graph = fakeGraph({ modules: 12 });
const goSum = graph.modules.map((module) => module.goSum).join('');

async function warmed() {
  const source = await upstream({ modules: graph.modules });
  const proxy = await modferry({ upstreams: [source] });
  const files = await folder('files');
  await writeFile(join(files.path, 'go.sum'), goSum);
  const warm = (...args: string[]) => runModferry(['warm', '--url', proxy.url, ...args], { cwd: files.path });
  return { source, proxy, files, warm };
}

describe('warm', () => {
  it('fetches everything a go.sum names, and nothing again the second time', async () => {
    const { source, proxy, warm } = await warmed();
    const first = await warm('go.sum');
    expect(first).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^12 versions: 12 fetched \(.*\), 0 already stored\n$/),
    });
    await eventually(
      () => storedZips(proxy.dataDir),
      (zips) => zips.length === 12,
    );
    const asked = source.requests.length;

    const second = await warm('go.sum');
    expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/0 fetched.*12 already stored/) });
    expect(source.requests).toHaveLength(asked);
    await expectCleanStore(proxy.dataDir);
  });

  it('reads a list from standard input, goes on past what fails, and ends with 1 and the list of it', async () => {
    const { source, proxy } = await warmed();
    source.faults.add({ match: /graph\.test\/l1\//, fault: status(500) });
    const result = await runModferry(['warm', '--url', proxy.url, '--json', '-'], {
      input: 'graph.test/l0/m0@v1.0.0\ngraph.test/l1/m0@v1.0.0\ngraph.test/l0/m1@latest\n',
    });
    expect(result.code).toBe(1);
    const told = JSON.parse(result.stdout) as Record<string, unknown>;
    expect(told).toMatchObject({ total: 3, fetched: 2 });
    expect(told['failed']).toEqual([
      expect.objectContaining({ module: 'graph.test/l1/m0', version: 'v1.0.0', status: 502 }),
    ]);
    expect(result.stderr).toContain('graph.test/l1/m0@v1.0.0');
  });

  it('says that no modferry is there, with 69', async () => {
    const result = await runModferry(['warm', '--url', 'http://127.0.0.1:9', '-'], {
      input: 'example.com/a@v1.0.0\n',
    });
    expect(result.code).toBe(69);
    expect(result.stderr).toContain('127.0.0.1:9');
  });
});

describe('ls and info', () => {
  it('tell what is stored, from where, when and with which hash', async () => {
    const { source, proxy, warm } = await warmed();
    await warm('go.sum');
    await eventually(
      () => storedZips(proxy.dataDir),
      (zips) => zips.length === 12,
    );
    const listed = await runModferry(['ls', '--data', proxy.dataDir, 'graph.test/l0']);
    expect(listed.stdout.trim().split('\n').sort()).toEqual(
      graph.modules
        .filter(({ path }) => path.startsWith('graph.test/l0/'))
        .map(({ path }) => `${path}@v1.0.0`)
        .sort(),
    );
    const long = await runModferry(['ls', '--long', '--data', proxy.dataDir, 'graph.test/l0/m0']);
    expect(long.stdout).toContain(graph.modules[0]?.zipH1);

    const told = await runModferry(['info', '--json', '--data', proxy.dataDir, 'graph.test/l0/m0@v1.0.0']);
    expect(told.code).toBe(0);
    expect(told.stdout).toContain(graph.modules[0]?.zipH1);
    expect(told.stdout).toContain(`127.0.0.1:${source.port}`);
    expect(
      await runModferry(['info', '--data', proxy.dataDir, 'graph.test/l0/m0@v9.0.0+incompatible']),
    ).toMatchObject({ code: 1 });
  });
});

describe('purge', () => {
  it('removes a version from a running server, which fetches it again when asked', async () => {
    const { source, proxy, warm } = await warmed();
    await warm('go.sum');
    const path = '/graph.test/l0/m0/@v/v1.0.0.zip';
    await eventually(
      () => storedZips(proxy.dataDir),
      (zips) => zips.length === 12,
    );
    for (let times = 0; times < 3; times += 1) await ask(proxy.url, path);
    const asked = source.count(path);
    expect(asked).toBe(1);

    const purged = await runModferry(['purge', '--json', '--data', proxy.dataDir, 'graph.test/l0/m0@v1.0.0']);
    expect(purged.code).toBe(0);
    expect(JSON.parse(purged.stdout)).toMatchObject({ removedVersions: 1, through: 'process' });
    expect((await ask(proxy.url, path, { headers: { 'Disable-Module-Fetch': 'true' } })).status).toBe(404);
    const again = await ask(proxy.url, path);
    expect(again.body.equals(graph.modules[0]?.zip ?? Buffer.alloc(0))).toBe(true);
    expect(source.count(path)).toBe(asked + 1);
  });

  it('removes a module with all it remembered of it, from the folder when nobody runs', async () => {
    const { proxy, warm } = await warmed();
    await warm('go.sum');
    await proxy.stop();
    const purged = await runModferry([
      'purge',
      '--yes',
      '--json',
      '--data',
      proxy.dataDir,
      'graph.test/l0/m1',
    ]);
    expect(JSON.parse(purged.stdout)).toMatchObject({ removedVersions: 1, through: 'folder' });
    expect(await storedZips(proxy.dataDir)).toHaveLength(11);
    await expectCleanStore(proxy.dataDir);
  });
});

describe('verify', () => {
  it('reports a flipped byte with module and file, and ends with 1', async () => {
    const { proxy, warm } = await warmed();
    await warm('go.sum');
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    const file = join(proxy.dataDir, 'download/graph.test/l0/m0/@v/v1.0.0.zip');
    await flipByteOf(file, { keepsTime: true });

    const found = await runModferry(['verify', '--data', proxy.dataDir]);
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(/^graph\.test\/l0\/m0@v1\.0\.0 \.zip: \S.+/m);
    expect(found.stdout).toContain('1 fault');
    expect(await runModferry(['verify', '--data', proxy.dataDir, 'graph.test/l0/m1'])).toMatchObject({
      code: 0,
    });
  });

  it('a changed file is not served: 502 when nobody can tell better', async () => {
    const { source, proxy, warm } = await warmed();
    await warm('go.sum');
    await proxy.stop();
    await source.refuse();
    await flipByteOf(join(proxy.dataDir, 'download/graph.test/l0/m0/@v/v1.0.0.zip'), { keepsTime: false });
    const again = await modferry({ upstreams: [source], dataDir: proxy.dataDir });
    const answer = await ask(again.url, '/graph.test/l0/m0/@v/v1.0.0.zip');
    expect(answer.status).toBe(502);
    expect((await ask(again.url, '/graph.test/l0/m1/@v/v1.0.0.zip')).status).toBe(200);
  });
});

describe('config check', () => {
  it('prints every fault with file, line, what is wrong and what would be right, and ends with 78', async () => {
    const files = await folder('files');
    await writeFile(
      join(files.path, 'modferry.yaml'),
      'listen: localhost\nupstreamz:\n  - https://goproxy.cn\ningest:\n  hold: soon\n  tail: 2 parsecs\nstore:\n  stop_at: 95%\n',
    );
    const result = await runModferry(['config', 'check'], { cwd: files.path });
    expect(result.code).toBe(78);
    const faults = result.stdout.trimEnd().split('\n');
    expect(faults).toEqual([
      expect.stringMatching(/^modferry\.yaml:1:\d+: listen: .*HOST:PORT/),
      expect.stringMatching(/^modferry\.yaml:2:\d+: upstreamz: .*upstreams/),
      expect.stringMatching(/^modferry\.yaml:5:\d+: ingest\.hold: .*\d+m?s/),
      expect.stringMatching(/^modferry\.yaml:6:\d+: ingest\.tail: .*iB/),
    ]);
  });

  it('is content with a good one, and checks the environment too', async () => {
    const files = await folder('files');
    await writeFile(join(files.path, 'good.yaml'), 'listen: localhost:8081\n');
    const check = (env: Record<string, string>) =>
      runModferry(['config', 'check', 'good.yaml'], { cwd: files.path, env });
    expect(await check({})).toMatchObject({ code: 0, stdout: 'good.yaml: no faults\n' });
    expect(await check({ MODFERRY_INGEST_HOLD: 'soon' })).toMatchObject({
      code: 78,
      stdout: expect.stringContaining('MODFERRY_INGEST_HOLD'),
    });
  });
});

describe('env', () => {
  it('prints the client settings in each form, with GONOPROXY=none where there are private patterns', async () => {
    const env = { GOPRIVATE: 'git.corp.example', HOME: (await folder('home')).path };
    const print = async (format: string) => {
      const result = await runModferry(['env', '--url', 'http://localhost:8080', '--format', format], {
        env,
      });
      expect(result).toMatchObject({ code: 0, stderr: '' });
      return result.stdout;
    };
    for (const format of ['sh', 'powershell', 'go', 'dockerfile', 'github', 'gitlab', 'json']) {
      const text = await print(format);
      expect(text, format).toContain('http://localhost:8080');
      expect(text, format).toMatch(/GONOPROXY.*none/);
      expect(text, format).toMatch(/GONOSUMDB.*git\.corp\.example/);
    }
    expect(JSON.parse(await print('json'))).toMatchObject({ GOPROXY: 'http://localhost:8080' });
  });
});

/** Changes one byte. Keeping the time is what a rotting disk does; a new time is what a careless hand does. */
async function flipByteOf(file: string, options: { keepsTime: boolean }): Promise<void> {
  const { mtime } = await stat(file);
  const bytes = await readFile(file);
  bytes[40] = (bytes[40] ?? 0) ^ 0xff;
  await writeFile(file, bytes);
  if (options.keepsTime) await utimes(file, mtime, mtime);
}
