/**
 * Repositories and pages that strangers made: what cannot be a module is refused with a text that `go` prints, nothing
 * is written or run outside, nobody inside is asked, and modferry goes on. The control beside them: a module that its
 * page names well.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConnectProxy, startConnectProxy } from '../kit/connect-proxy.ts';
import { type FakeCommit, type FakeGitRepo, makeGitRepo } from '../kit/git-repo.ts';
import {
  type GitServer,
  type GitServerAnswer,
  type GitServerRequest,
  startGitServer,
} from '../kit/git-server.ts';
import {
  type Downloaded,
  downloaded,
  moduleFiles,
  type PrivateGround,
  type PrivateModferry,
  privateGround,
  type RecordingGit,
  recordingGit,
  startPrivateModferry,
} from './private-support.ts';

const host = 'hostile.corp.test';

let ground: PrivateGround;
let git: RecordingGit;
let server: GitServer;
let proxy: ConnectProxy;
let inside: Server;
let insidePort = 0;
let insideConnections = 0;
let modferry: PrivateModferry;
let bad = 0;
/** Element behind the host → content of its go-import tags. */
const pages = new Map<string, readonly string[]>();
const redirects = new Map<string, string>();

async function repository(name: string, ...commits: FakeCommit[]): Promise<FakeGitRepo> {
  return await makeGitRepo(join(ground.repositories, `${host}/x/${name}.git`), commits);
}

const moduleOf = (name: string): string => `${host}/x/${name}`;

/** A page of the site, or a redirect: the server is that of the repositories, too. */
function pageOf({ url, path }: GitServerRequest): GitServerAnswer | undefined {
  const to = redirects.get(path);
  if (to !== undefined) return { status: 302, headers: { location: to } };
  if (!url.includes('go-get=1')) return undefined;
  const tags = pages.get(path) ?? [];
  const metas = tags.map((content) => `<meta name="go-import" content="${content}">`);
  return { status: tags.length > 0 ? 200 : 404, body: `<html><head>${metas.join('')}</head></html>` };
}

beforeAll(async () => {
  ground = await privateGround('vcs-hostile');
  git = await recordingGit(ground.dir.path);
  inside = createServer((socket) => {
    insideConnections += 1;
    socket.destroy();
  });
  insidePort = await new Promise((resolve) => {
    inside.listen(0, '127.0.0.1', () => {
      const address = inside.address();
      resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
    });
  });
  const sites = ['code.vanity.test', 'git.vanity.test', host];
  server = await startGitServer({
    root: ground.repositories,
    tls: await ground.authority.issue({ names: [...sites, '127.0.0.1'] }),
    answer: pageOf,
  });
  proxy = await startConnectProxy({
    ports: Object.fromEntries(sites.map((site) => [`${site}:443`, server.port])),
  });
  modferry = await startPrivateModferry(ground, {
    env: { HTTPS_PROXY: proxy.url, NO_PROXY: '127.0.0.1' },
    goPrivate: '*.corp.test,*.vanity.test',
    config: {
      private: ['*.corp.test', '*.vanity.test', '127.0.0.1', '169.254.169.254'],
      freshness: { private: '1s' },
      direct: {
        git: git.command,
        repositories: [{ match: host, url: `https://127.0.0.1:${server.port}/{root}.git` }],
        allow_ports: [insidePort],
      },
    },
  });
});

afterAll(async () => {
  await modferry[Symbol.asyncDispose]();
  await proxy.close();
  await server.close();
  await new Promise((resolve) => inside.close(resolve));
  await ground[Symbol.asyncDispose]();
});

async function download(query: string): Promise<Downloaded> {
  const result = await modferry.go(['mod', 'download', '-json', query]);
  const [first] = downloaded(result);
  if (first === undefined) throw new Error(result.stderr);
  return first;
}

/** What `go` prints of an answer of modferry, with what `direct` said. */
function refusal(status: string, cause: string): unknown {
  const text = cause.replaceAll(/[.()]/g, String.raw`\$&`);
  return expect.stringMatching(new RegExp(`: ${status}\\n\\s*server response:\\n[^]*direct: .*${text}`));
}

const refused: readonly {
  readonly what: string;
  readonly files: (path: string) => FakeCommit['files'];
  readonly error: unknown;
}[] = [
  {
    what: 'names that differ in case only',
    files: (path) => moduleFiles(path, { README: 'one', readme: 'two' }),
    error: refusal('502 Bad Gateway', 'file "readme": it collides with "README" where case does not count'),
  },
  {
    what: 'a go.mod of 20 MB',
    files: (path) => moduleFiles(path, { 'go.mod': `module ${path}\n${'// filler\n'.repeat(2_000_000)}` }),
    error: refusal('502 Bad Gateway', 'go.mod has \\d+ bytes, more than the 16777216 that it may have'),
  },
  {
    what: 'a go.mod that is a link out of the repository',
    files: (path) => ({ ...moduleFiles(path), 'go.mod': { symlink: '/etc/passwd' } }),
    error: refusal('404 Not Found', 'go.mod has no module path'),
  },
  {
    what: 'a name that no Windows can have',
    files: (path) => moduleFiles(path, { 'aux.go': 'package x\n' }),
    error: refusal('502 Bad Gateway', 'aux.go'),
  },
];

describe('a repository with', () => {
  it.each(refused)('$what is refused, and go prints why', async ({ what, files, error }) => {
    const name = what.replaceAll(/\W/g, '').toLowerCase();
    await repository(name, { files: files(moduleOf(name)) ?? {}, tags: ['v1.0.0'] });
    expect(await download(`${moduleOf(name)}@v1.0.0`)).toMatchObject({ Error: error });
    await modferry.served({ module: moduleOf(name), source: 'none' });
  });

  it('a folder called .. is refused, and nothing is written there', async () => {
    const repo = await repository('dots', { files: moduleFiles(moduleOf('dots')) });
    const blob = await repo.git(['hash-object', '-w', '--stdin'], 'evil');
    const top = await repo.git(['ls-tree', 'main']);
    const evil = await repo.git(['mktree'], `100644 blob ${blob}\tevil.txt\n`);
    const tree = await repo.git(['mktree'], `${top}\n040000 tree ${evil}\t..\n`);
    await repo.setRef('refs/tags/v1.0.0', await repo.git(['commit-tree', '-m', 'dots', tree]));
    const { Error: error } = await download(`${moduleOf('dots')}@v1.0.0`);
    expect(error).toEqual(refusal('502 Bad Gateway', "invalid path '../evil.txt'"));
  });

  it('links, submodules and LFS pointers is served without what they lead to', async () => {
    const path = moduleOf('leads-out');
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;
    const address = `http://127.0.0.1:${insidePort}`;
    await repository('leads-out', {
      files: moduleFiles(path, {
        'passwd.go': { symlink: '/etc/passwd' },
        LICENSE: { symlink: '../../../../etc/passwd' },
        up: { symlink: '../../..' },
        '.gitmodules': `[submodule "s"]\n\tpath = s\n\turl = ${address}/s.git\n`,
        s: { submodule: 'a'.repeat(40) },
        '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
        '.lfsconfig': `[lfs]\n\turl = ${address}/lfs\n`,
        'a.bin': pointer,
      }),
      tags: ['v1.0.0'],
    });
    const { Error: error, Dir: dir = '' } = await download(`${path}@v1.0.0`);
    expect(error).toBeUndefined();
    const names = await readdir(dir);
    expect(names.toSorted()).toEqual([
      '.gitattributes',
      '.gitmodules',
      '.lfsconfig',
      'a.bin',
      'go.mod',
      'leads-out.go',
    ]);
    expect(await readFile(join(dir, 'a.bin'), 'utf8')).toBe(pointer);
    await modferry.served({ module: path, artifact: 'zip', status: 200 });
  });

  it('refs like options and commands is served, and they stay names', async () => {
    const path = moduleOf('options');
    const repo = await repository('options', { files: moduleFiles(path), tags: ['v1.0.0'] });
    const [commit = ''] = repo.commits;
    const names = [
      '--upload-pack=touch-canary',
      '--output=canary',
      '-oproxycommand=canary',
      '$(touch${ifs}canary)',
      'v1.0.0;id',
    ];
    for (const name of names) await repo.setRef(`refs/tags/${name}`, commit);
    expect((await modferry.get(`/${path}/@v/list`)).text).toBe('v1.0.0\n');
    for (const name of names) {
      const { status } = await modferry.get(`/${path}/@v/${encodeURIComponent(name)}.info`);
      expect({ name, isAnswered: [200, 400, 404].includes(status) }).toEqual({ name, isAnswered: true });
    }
    expect(await download(`${path}@v1.0.0`)).toMatchObject({ Version: 'v1.0.0' });
    const runs = await git.runs();
    expect(runs.filter((line) => line.includes('ls-remote') && line.includes(path))).not.toEqual([]);
    expect(runs.filter((line) => /canary|;id/.test(line))).toEqual([]);
  });
});

describe('the page of a module', () => {
  it('that names its repository is followed', async () => {
    const path = 'code.vanity.test/lib';
    const files = moduleFiles(path, { 'go/tools/go.mod': `module code.vanity.test/tools\n` });
    const commit = {
      files: { ...files, 'go/tools/t.go': 'package tools\n' },
      tags: ['v1.2.0', 'go/tools/v0.1.0'],
    };
    await makeGitRepo(join(ground.repositories, 'team/lib.git'), [commit]);
    pages.set('/lib', [`${path} git https://git.vanity.test/team/lib.git`]);
    pages.set('/tools', ['code.vanity.test/tools git https://git.vanity.test/team/lib.git go/tools']);
    expect(await download(`${path}@v1.2.0`)).toMatchObject({ Version: 'v1.2.0' });
    expect(await download('code.vanity.test/tools@latest')).toMatchObject({ Version: 'v0.1.0' });
    await modferry.served(
      { module: path, artifact: 'zip', status: 200, source: 'upstream:direct' },
      { module: 'code.vanity.test/tools', artifact: 'zip', status: 200, source: 'upstream:direct' },
    );
    expect(new Set(proxy.requests.map(({ target }) => target))).toEqual(
      new Set(['code.vanity.test:443', 'git.vanity.test:443']),
    );
  });

  it.each([
    ['file:///etc/passwd', 'the scheme "file"'],
    ['ext::sh', 'the repository "ext::sh"'],
    ['--upload-pack=touch', 'the repository "--upload-pack=touch"'],
    ['git://127.0.0.1:INSIDE/x', 'the scheme "git"'],
    ['http://127.0.0.1:INSIDE/x', 'the scheme "http" is not allowed'],
    ['https://127.0.0.1:INSIDE/x', '127.0.0.1 leads to this machine itself'],
    ['https://localhost:INSIDE/x', 'localhost leads to this machine itself'],
    ['https://[::1]:INSIDE/x', '::1 leads to this machine itself'],
    ['https://[::ffff:127.0.0.1]:INSIDE/x', '::ffff:7f00:1 leads to this machine itself'],
    ['https://2130706433:INSIDE/x', '127.0.0.1 leads to this machine itself'],
    ['https://0x7f.1:INSIDE/x', '127.0.0.1 leads to this machine itself'],
    ['https://0177.0.0.1:INSIDE/x', '127.0.0.1 leads to this machine itself'],
    ['ssh://127.0.0.1:INSIDE/x', '127.0.0.1 leads to this machine itself'],
    ['https://10.1.2.3/x', '10.1.2.3 leads to an address inside'],
    ['https://169.254.169.254/latest/meta-data', "169.254.169.254 leads to a cloud's metadata service"],
    ['https://metadata.google.internal/x', "metadata.google.internal is a cloud's metadata service"],
    ['ssh://-oProxyCommand=touch/x', '"-oproxycommand=touch" is no host name'],
    ['https://git.vanity.test:8443/x', 'port 8443 is not allowed'],
    ['https://user:pass@git.vanity.test/x', 'credentials in its URL'],
  ])('that names %s is refused', async (address, cause) => {
    bad += 1;
    const path = `code.vanity.test/bad${bad}`;
    pages.set(`/bad${bad}`, [`${path} git ${address.replace('INSIDE', String(insidePort))}`]);
    const { status, text } = await modferry.get(`/${path}/@v/list`);
    expect({ status, text }).toEqual({ status: 502, text: expect.stringContaining(cause) });
    expect(insideConnections).toBe(0);
  });

  it('is not asked at an address inside, nor is a redirect to one followed', async () => {
    expect(await download('127.0.0.1/x/y@v1.0.0')).toMatchObject({
      Error: refusal('502 Bad Gateway', '127.0.0.1 leads to this machine itself'),
    });
    expect(await download('169.254.169.254/latest/meta-data@v1.0.0')).toMatchObject({
      Error: refusal('502 Bad Gateway', "169.254.169.254 leads to a cloud's metadata service"),
    });
    redirects.set('/moved', `https://127.0.0.1:${insidePort}/x`);
    pages.set('/repo', ['code.vanity.test/repo git https://git.vanity.test/team/moved.git']);
    redirects.set('/team/moved.git/info/refs', `https://127.0.0.1:${insidePort}/x`);
    for (const path of ['code.vanity.test/moved', 'code.vanity.test/repo']) {
      const { status, text } = await modferry.get(`/${path}/@v/list`);
      expect({ status, text }).toEqual({
        status: 502,
        text: expect.stringContaining('127.0.0.1 leads to this machine'),
      });
    }
  });
});

describe('after all that', () => {
  it('modferry serves what is good, asked nobody inside and wrote nothing outside', async () => {
    const path = moduleOf('good');
    await repository('good', { files: moduleFiles(path), tags: ['v1.0.0'] });
    expect(await download(`${path}@v1.0.0`)).toMatchObject({ Version: 'v1.0.0' });
    await modferry.served({ module: path, artifact: 'zip', status: 200, source: 'upstream:direct' });
    expect(insideConnections).toBe(0);
    const proxied = new Set(proxy.requests.map(({ target }) => target));
    expect(proxied).toEqual(new Set(['code.vanity.test:443', 'git.vanity.test:443']));
    expect(modferry.publicUpstream.requests).toEqual([]);
    const written = [
      ...(await readdir(modferry.dataDir, { recursive: true })),
      ...(await readdir(join(modferry.dataDir, '..'))),
      ...(await readdir(ground.dir.path)),
    ];
    expect(written.filter((name) => /evil|canary|passwd/.test(name))).toEqual([]);
  });
});
