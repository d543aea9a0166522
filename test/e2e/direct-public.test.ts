/**
 * Public modules from their repositories: `modferry mode direct`, and `direct` at the end of the upstreams, which is
 * asked when no upstream has a module and not when one is slow.
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { delay, status } from '../kit/faults.ts';
import { makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import {
  downloaded,
  moduleFiles,
  type PrivateGround,
  type PrivateModferry,
  privateGround,
  startPrivateModferry,
} from './private-support.ts';
import { runModferry } from './support.ts';

/** In both; what the upstream has of it is another content. */
const both = 'code.example.test/team/both';
const repositoryOnly = 'code.example.test/team/repository-only';
const slow = 'code.example.test/team/slow';

let ground: PrivateGround;
let server: GitServer;
let upstream: FakeUpstream;
let modferry: PrivateModferry;

beforeAll(async () => {
  ground = await privateGround('direct-public');
  for (const path of [both, repositoryOnly, slow]) {
    const commit = { files: moduleFiles(path), tags: ['v1.0.0', 'v1.1.0'] };
    await makeGitRepo(join(ground.repositories, `${path}.git`), [commit]);
  }
  server = await startGitServer({ root: ground.repositories });
  upstream = await startFakeUpstream({
    modules: ['v1.0.0', 'v1.1.0'].flatMap((version) => [
      fakeModule({ path: both, version }),
      fakeModule({ path: slow, version }),
    ]),
  });
  modferry = await startPrivateModferry(ground, {
    upstreams: [upstream.url, 'direct'],
    goPrivate: 'nothing.test',
    config: {
      timeouts: { first_byte: { meta: '100ms' } },
      direct: { repositories: [{ match: 'code.example.test', url: `${server.url}/{root}.git` }] },
    },
  });
});

afterAll(async () => {
  await modferry[Symbol.asyncDispose]();
  await upstream.close();
  await server.close();
  await ground[Symbol.asyncDispose]();
});

afterEach(() => {
  server.requests.length = 0;
  upstream.reset();
  modferry.forgetLog();
});

async function mode(word: string) {
  const { code, stdout, stderr } = await runModferry(['mode', word, '--data', modferry.dataDir]);
  expect(code, stderr).toBe(0);
  return stdout;
}

async function download(query: string) {
  return downloaded(await modferry.go(['mod', 'download', '-json', query]))[0];
}

const asked = { status: 200, artifact: 'zip' };

describe('direct at the end of the upstreams', () => {
  it('is not asked for what an upstream has', async () => {
    const { zipH1 } = fakeModule({ path: both });
    expect(await download(`${both}@v1.0.0`)).toMatchObject({ Version: 'v1.0.0', Sum: zipH1 });
    expect(server.requests).toEqual([]);
    await modferry.served({ ...asked, module: both, source: `upstream:127.0.0.1:${upstream.port}` });
  });

  it('is asked for what no upstream has', async () => {
    expect(await download(`${repositoryOnly}@v1.0.0`)).toMatchObject({ Version: 'v1.0.0' });
    expect(upstream.count(`/${repositoryOnly}/@v/v1.0.0.info`)).toBe(1);
    await modferry.served({ ...asked, module: repositoryOnly, source: 'upstream:direct' });
    const { stdout } = await modferry.go(['list', '-m', '-versions', `${repositoryOnly}@latest`]);
    expect(stdout).toBe(`${repositoryOnly} v1.0.0 v1.1.0\n`);
  });

  it('is not asked because an upstream is slow', async () => {
    upstream.faults.add({ match: `/${slow}/@v/v1.0.0.info`, fault: delay(700) });
    expect((await modferry.get(`/${slow}/@v/v1.0.0.info`)).status).toBe(200);
    await modferry.served({ module: slow, source: `upstream:127.0.0.1:${upstream.port}`, status: 200 });
    expect(server.requests).toEqual([]);
  });

  it('is asked when an upstream fails, and behind it again for what comes next', async () => {
    upstream.faults.add({ match: `/${slow}/@v/v1.1.0.info`, fault: status(500) });
    expect((await modferry.get(`/${slow}/@v/v1.1.0.info`)).status).toBe(200);
    await modferry.served({ module: slow, version: 'v1.1.0', source: 'upstream:direct', status: 200 });
    server.requests.length = 0;
    expect((await modferry.get(`/${slow}/@v/v1.0.0.mod`)).status).toBe(200);
    await modferry.served({ artifact: 'mod', source: `upstream:127.0.0.1:${upstream.port}`, status: 200 });
    expect(server.requests).toEqual([]);
  });

  it('that has it neither is 404, and so is a host that cannot be resolved after the upstreams said 404', async () => {
    const absent = await modferry.get('/code.example.test/team/nowhere/@v/v1.0.0.info');
    expect(absent).toMatchObject({ status: 404, text: expect.stringContaining('has no such repository') });
    const unresolved = await modferry.get('/nohost.invalid/team/x/@v/list');
    expect(absent.text).not.toContain('next entry');
    expect(unresolved).toMatchObject({
      status: 404,
      headers: { 'cache-control': 'no-store' },
      text: expect.stringMatching(/: not found\n[^]*could not be resolved/),
    });
    expect(upstream.count('/nohost.invalid/team/x/@v/list')).toBe(1);
  });
});

describe('modferry mode direct', () => {
  it('asks repositories and no upstream, until the mode is normal again', async () => {
    expect(await mode('direct')).toContain('mode direct');
    expect(await download(`${both}@v1.1.0`)).toMatchObject({
      Version: 'v1.1.0',
      Origin: { VCS: 'git', Ref: 'refs/tags/v1.1.0' },
    });
    await modferry.served({ ...asked, module: both, version: 'v1.1.0', source: 'upstream:direct' });
    expect(upstream.requests).toEqual([]);
    expect(await mode('normal')).toContain('mode normal');
    expect((await modferry.get(`/${slow}/@v/v1.1.0.mod`)).status).toBe(200);
    expect(upstream.requests.length).toBeGreaterThan(0);
  });
});
