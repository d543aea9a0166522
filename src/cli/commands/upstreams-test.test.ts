import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import { status } from '../../../test/kit/faults.ts';
import { makeGitRepo } from '../../../test/kit/git-repo.ts';
import { type GitServerOptions, startGitServer } from '../../../test/kit/git-server.ts';
import { startSshServer } from '../../../test/kit/ssh-server.ts';
import { testAuthority } from '../../../test/kit/tls.ts';
import { fakeCli, jsonLines, tempFolder } from '../test-kit.ts';

const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3' });

async function upstream(options: FakeUpstreamOptions = {}) {
  const server = await startFakeUpstream({ modules: [lib], ...options });
  onTestFinished(server.close);
  return server;
}

/** A configuration in a folder of its own, and the command run there. */
function command(yaml: string) {
  const cwd = tempFolder();
  writeFileSync(join(cwd, 'modferry.yaml'), yaml);
  const env = {
    // git and ssh, but no go: it has no say here, and asking it takes its time.
    PATH: '/usr/bin:/bin',
    HOME: cwd,
    GOPRIVATE: '',
    GOPROXY: 'off',
    GOFLAGS: '',
    GOENV: 'off',
  };
  const cli = fakeCli({ cwd, env });
  return {
    cwd,
    test: async (...args: readonly string[]) => await cli.run('upstreams', 'test', ...args),
    /** `subject name outcome` of each step. */
    steps: async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await cli.run('upstreams', 'test', '--json', ...args);
      const lines = jsonLines(stdout);
      return {
        code,
        stderr,
        lines,
        names: lines.map(({ name, outcome }) => `${String(name)} ${String(outcome)}`),
      };
    },
  };
}

async function repositories(): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'modferry-repos-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  await makeGitRepo(join(root, 'team/lib.git'), [
    { files: { 'a.go': 'package a\n' }, tags: ['v1.0.0', 'v1.1.0', 'sub/v0.1.0', 'other'] },
  ]);
  return root;
}

/** A Git server over TLS, and a configuration whose private modules are there. */
async function gitHost(options: Partial<GitServerOptions> = {}, credentials = '') {
  const authority = await testAuthority(tempFolder(), 'corp authority');
  const tls = await authority.issue({ commonName: 'git' });
  const server = await startGitServer({ root: await repositories(), tls, ...options });
  onTestFinished(server.close);
  const yaml = `private: [git.corp.example/*]
network: { ca_file: ${authority.certFile} }
direct:
  repositories: [{ match: git.corp.example/*, url: '${server.url}/{path}.git' }]
  credentials: [${credentials}]
  allow_addresses: [127.0.0.1]
  machine_netrc: false
`;
  return { server, yaml };
}

const wholeWay = ['location ok', 'dns ok', 'tcp ok', 'tls note', 'credentials ok'];
const module = 'git.corp.example/team/lib';

describe('modferry upstreams test: upstreams', () => {
  it('goes step by step through the sources of a module', async () => {
    const server = await upstream();
    const cli = command(`upstreams: [{ url: '${server.url}', name: ours }]\n`);
    const { code, stdout, stderr } = await cli.test('example.com/lib@v1.2.3');

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replaceAll(/ +\d+ ms/g, ' N ms')).toBe(
      [
        'modferry',
        '  ✓ route N ms  public (public), asked in this order: ours',
        'ours',
        '  ✓ dns N ms  127.0.0.1 is an address',
        `  ✓ tcp N ms  connected to 127.0.0.1, port ${new URL(server.url).port}`,
        '  ✓ authentication N ms  none is asked for',
        '  ✓ authorisation N ms  this may be read',
        '  ✓ module N ms  it has example.com/lib@v1.2.3',
        '',
      ].join('\n'),
    );
    expect(server.requests.map(({ url }) => url)).toEqual(['/example.com/lib/@v/v1.2.3.info']);
  });

  it.each<[string, FakeUpstreamOptions, string, string]>([
    ['401', { rules: [{ match: /./, fault: status(401) }] }, 'authentication', 'renew the token'],
    ['403', { rules: [{ match: /./, fault: status(403) }] }, 'authorisation', 'let these credentials read'],
    ['404', { modules: [] }, 'module', 'check path and version'],
    ['500', { rules: [{ match: /./, fault: status(500) }] }, 'module', 'modferry status'],
  ])('says what %s means', async (_what, options, failed, remedy) => {
    const server = await upstream(options);
    const cli = command(`upstreams: [{ url: '${server.url}', name: ours, token: hunter2 }]\n`);
    const { code, lines, stderr } = await cli.steps('example.com/lib');

    expect(code).toBe(1);
    expect(stderr).toContain('cannot be used');
    expect(lines.at(-1)).toMatchObject({ subject: 'ours', name: failed, outcome: 'failed' });
    expect(lines.at(-1)?.['remedy']).toContain(remedy);
    expect(server.requests[0]?.headers.authorization).toBe('Bearer hunter2');
    expect(JSON.stringify(lines) + stderr).not.toContain('hunter2');
  });

  it('finds an upstream by name, host or URL, and asks it as a probe does', async () => {
    const server = await upstream();
    const cli = command(`upstreams: [{ url: '${server.url}', name: ours }]\n`);
    for (const text of ['ours', new URL(server.url).host, `${server.url}/`]) {
      const { code, lines } = await cli.steps(text);
      expect(code).toBe(0);
      expect(lines.at(-1)).toMatchObject({ subject: 'ours', name: 'module', outcome: 'ok' });
    }
    expect(server.requests.every(({ url }) => url.includes('/@v/'))).toBe(true);
  });

  it('says that nobody is there, and which upstreams there are', async () => {
    const cli = command(`upstreams: [{ url: 'http://127.0.0.1:1', name: ours }]\n`);
    const closed = await cli.steps('ours');
    expect(closed).toMatchObject({ code: 1, names: ['dns ok', 'tcp failed'] });
    expect(closed.lines[1]).toMatchObject({ text: expect.stringContaining('ECONNREFUSED') as string });
    const unknown = await cli.steps('http://');
    expect(unknown.lines[0]).toMatchObject({ outcome: 'failed', remedy: 'there are: ours' });
    expect((await cli.test('git.example/a b@v1.0.0')).code).toBe(2);
  });

  it('never tells a private module to a public upstream', async () => {
    const server = await upstream();
    const cli = command(
      `private: [example.com]\nupstreams: [{ url: '${server.url}', name: ours }]\ndirect: { enabled: false }\n`,
    );
    const { names } = await cli.steps('example.com/lib');

    expect(names).toEqual(['route ok', 'module note']);
    expect(server.requests).toHaveLength(0);
  });
});

describe('modferry upstreams test: repositories', () => {
  it('shows the whole way to a tag', async () => {
    const access = { kind: 'basic', username: 'oauth2', password: 'hunter2' } as const;
    const { yaml } = await gitHost({ access }, "{ match: '127.0.0.1', token: hunter2 }");
    const cli = command(yaml);
    const { code, names, lines } = await cli.steps(`${module}@v1.1.0`);

    expect({ code, names }).toEqual({
      code: 0,
      names: [
        'route ok',
        ...wholeWay,
        'authentication ok',
        'authorisation ok',
        'repository ok',
        'tag ok',
        'module note',
      ],
    });
    const textOf = (name: string) => String(lines.find((line) => line['name'] === name)?.['text']);
    expect(textOf('location')).toContain('by rule 1 of direct.repositories');
    expect(textOf('tls')).toMatch(/certificate of git, by corp authority, until \d{4}-\d\d-\d\d/);
    expect(textOf('credentials')).toBe('token for 127.0.0.1 (basic)');
    expect(textOf('repository')).toBe('1 branch(es), 4 tag(s)');
    expect(JSON.stringify(lines)).not.toContain('hunter2');
    // Nothing of it stays, neither here nor in the temporary folder of the machine.
    expect(readdirSync(cli.cwd)).not.toContain('modferry-data');
    const sub = await cli.steps(`${module}/sub`);
    expect(sub.lines.find((line) => line['name'] === 'tag')?.['text']).toBe(
      '1 version in its tags, newest first: v0.1.0',
    );
  });

  it('tells a version that has no tag', async () => {
    const { yaml } = await gitHost();
    const { code, lines } = await command(yaml).steps(`${module}@v1.2.0`);

    expect(code).toBe(1);
    expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      name: 'tag',
      text: 'no tag is v1.2.0; there are 2 versions, newest first: v1.1.0, v1.0.0',
      remedy: expect.stringContaining('push the tag v1.2.0') as string,
    });
  });

  it.each<[string, Partial<GitServerOptions>, string, string, string]>([
    [
      'expired credentials',
      { access: { kind: 'expired' } },
      "{ match: '127.0.0.1', token: old }",
      'authentication',
      'renew',
    ],
    ['none', { access: { kind: 'expired' } }, '', 'authentication', 'direct.credentials'],
  ])('tells %s', async (_what, options, credentials, failed, remedy) => {
    const { yaml } = await gitHost(options, credentials);
    const { code, lines } = await command(yaml).steps(module);

    expect(code).toBe(1);
    const step = lines.find(({ outcome }) => outcome === 'failed');
    expect(step).toMatchObject({ name: failed, remedy: expect.stringContaining(remedy) as string });
  });

  it('tells credentials that may not read it, and a repository that is not there', async () => {
    const { server, yaml } = await gitHost({}, "{ match: '127.0.0.1', token: t }");
    server.fault = { kind: 'status', status: 403 };
    const forbidden = await command(yaml).steps(module);
    expect(forbidden.names.slice(6)).toEqual(['authentication ok', 'authorisation failed', 'module note']);
    server.fault = undefined;
    const absent = await command(yaml).steps('git.corp.example/team/none');
    expect(absent.lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({ name: 'repository' });
  });

  it('tells credentials that cannot be had, with their own words', async () => {
    const { yaml } = await gitHost({}, "{ match: '127.0.0.1', command: [/nowhere/helper] }");
    const { lines } = await command(yaml).steps(module);

    expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      name: 'credentials',
      text: expect.stringContaining('helper could not be run (ENOENT)') as string,
    });
  });

  it('tells an authority that is unknown', async () => {
    const { yaml } = await gitHost();
    const { names, lines } = await command(yaml.replace(/^network:.*$/m, '')).steps(module);

    expect(names.slice(0, 5)).toEqual(['route ok', 'location ok', 'dns ok', 'tcp ok', 'tls failed']);
    expect(lines[4]?.['text']).toContain('ca_file');
  });

  it('goes by ssh, and tells a host whose key is not known', async () => {
    const server = await startSshServer({ root: await repositories() });
    onTestFinished(server.close);
    const { keyFile } = await server.newKey();
    const yaml = (knownHosts: string): string => `private: [git.corp.example/*]
direct:
  repositories: [{ match: git.corp.example/*, url: '${server.url}/{path}.git' }]
  credentials: [{ match: '127.0.0.1', ssh_key: ${keyFile}, known_hosts: ${knownHosts} }]
  allow_addresses: [127.0.0.1]
`;
    const good = await command(yaml(server.knownHostsFile)).steps(module);
    expect(good.names.slice(0, -1).join(', ')).toBe(
      'route ok, location ok, dns ok, tcp ok, ssh ok, credentials ok, ' +
        'authentication ok, authorisation ok, repository ok, tag ok',
    );
    expect(good.lines[4]?.['text']).toMatch(/^it is SSH-2\.0-OpenSSH/);
    const unknown = await command(yaml(server.emptyHostsFile)).steps(module);
    expect(unknown.lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      name: 'authentication',
      text: expect.stringContaining('known hosts') as string,
    });
  });

  it('tests a host of repositories as far as it goes without a module', async () => {
    const { server, yaml } = await gitHost({}, "{ match: '127.0.0.1', token: t }");
    const { code, names } = await command(yaml).steps(server.url);

    expect({ code, names }).toEqual({ code: 0, names: ['dns ok', 'tcp ok', 'tls note', 'credentials note'] });
    const off = command(`${yaml}  enabled: false\n`);
    mkdirSync(join(off.cwd, 'x'));
    expect((await off.steps(server.url)).lines[0]).toMatchObject({ outcome: 'failed' });
  });
});
