/**
 * How modferry proves itself to Git servers, and what a developer's `go` prints when that does not work: SSH keys and
 * host keys, expired and rotated tokens, repositories that are not there. A failure is 502 with its cause, never 404.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import { type SshServer, startSshServer } from '../kit/ssh-server.ts';
import {
  downloaded,
  moduleFiles,
  type PrivateGround,
  type PrivateModferry,
  privateGround,
  startPrivateModferry,
} from './private-support.ts';

let ground: PrivateGround;
let ssh: SshServer;
let server: GitServer;
let modferry: PrivateModferry;
let tokenFile: string;
let keys: { readonly right: string; readonly stranger: string };

/** One module for each way to be refused: what is remembered of one says nothing of another. */
const hosts = {
  ssh: 'ssh.corp.test',
  unknownHost: 'unknown-host.corp.test',
  changedHost: 'changed-host.corp.test',
  wrongKey: 'wrong-key.corp.test',
  token: 'token.corp.test',
  other: 'other.corp.test',
  none: 'none.corp.test',
} as const;

const moduleOn = (host: string): string => `${host}/team/lib`;

function credentials() {
  const onServer = (host: string): string => `127.0.0.1/${host}/*`;
  const sshKey = (host: string, ssh_key: string, known_hosts: string) => ({
    match: onServer(host),
    ssh_key,
    known_hosts,
  });
  return [
    { match: [hosts.token, hosts.other].map(onServer), username: 'ci', token: `file:${tokenFile}` },
    sshKey(hosts.ssh, keys.right, ssh.knownHostsFile),
    sshKey(hosts.unknownHost, keys.right, ssh.emptyHostsFile),
    sshKey(hosts.changedHost, keys.right, ssh.wrongHostsFile),
    sshKey(hosts.wrongKey, keys.stranger, ssh.knownHostsFile),
  ];
}

function configOf(entries: readonly object[]) {
  const repositories = [
    { match: [hosts.token, hosts.other, hosts.none], url: `${server.url}/{root}.git` },
    { match: '*.corp.test', url: `${ssh.url}/{root}.git` },
  ];
  return {
    private: '*.corp.test',
    freshness: { private: '1s' },
    direct: { repositories, credentials: entries },
  };
}

beforeAll(async () => {
  ground = await privateGround('private-credentials');
  for (const host of Object.values(hosts)) {
    const path = moduleOn(host);
    await makeGitRepo(join(ground.repositories, `${path}.git`), [
      { files: moduleFiles(path), tags: ['v1.0.0'] },
      { files: { 'more.go': 'package lib // 1.1\n' }, tags: ['v1.1.0'] },
      { files: { 'more.go': 'package lib // 1.2\n' }, tags: ['v1.2.0'] },
    ]);
  }
  ssh = await startSshServer({ root: ground.repositories });
  server = await startGitServer({
    root: ground.repositories,
    tls: await ground.authority.issue(),
    access: { kind: 'basic', username: 'ci', password: 'first-token' },
  });
  tokenFile = join(ground.dir.path, 'git-token');
  await writeFile(tokenFile, 'first-token\n', { mode: 0o600 });
  keys = {
    right: (await ssh.newKey()).keyFile,
    stranger: (await ssh.newKey({ isAuthorized: false })).keyFile,
  };
  modferry = await startPrivateModferry(ground, { config: configOf(credentials()) });
});

afterAll(async () => {
  await modferry[Symbol.asyncDispose]();
  await server.close();
  await ssh.close();
  await ground[Symbol.asyncDispose]();
});

/** What `go` says of it: the version it got, or the text it printed. */
async function download(host: string, version = 'v1.0.0'): Promise<{ version?: string; error?: string }> {
  const result = await modferry.go(['mod', 'download', '-json', `${moduleOn(host)}@${version}`]);
  const [first] = downloaded(result);
  if (first === undefined) throw new Error(result.stderr);
  const { Version: got = '', Error: error } = first;
  return error === undefined ? { version: got } : { error };
}

function refusal(status: string, cause: string): { error: string } {
  return {
    error: expect.stringMatching(new RegExp(`: ${status}\\n[^]*\\n\\s*direct: [^\\n]*${cause}`)) as string,
  };
}

describe('by SSH', () => {
  it('with the key and the known host', async () => {
    expect(await download(hosts.ssh)).toEqual({ version: 'v1.0.0' });
    const module = moduleOn(hosts.ssh);
    await modferry.served({
      module,
      version: 'v1.0.0',
      artifact: 'zip',
      status: 200,
      source: 'upstream:direct',
    });
    const { connections } = ssh;
    expect(connections).toBeGreaterThan(0);
    expect(await download(hosts.ssh)).toEqual({ version: 'v1.0.0' });
    expect(ssh.connections).toBe(connections);
    expect(new Set(await ssh.commands())).toEqual(new Set([`git-upload-pack '/${module}.git'`]));
  });

  it.each([
    ['an unknown host key', hosts.unknownHost, 'the host key of 127.0.0.1:\\d+ is not in the known hosts'],
    [
      'another host key',
      hosts.changedHost,
      'the host key of 127.0.0.1:\\d+ is not in the known hosts, or is another',
    ],
    ['a key that is not let in', hosts.wrongKey, '127.0.0.1:\\d+ does not accept the SSH key'],
  ])('%s is 502 with the cause', async (_, host, cause) => {
    expect(await download(host)).toEqual(refusal('502 Bad Gateway', cause));
    const { status } = await modferry.get(`/${moduleOn(host)}/@v/list`);
    expect(status).toBe(502);
    expect((await ssh.commands()).filter((line) => line.includes(host))).toEqual([]);
  });
});

describe('with a token', () => {
  it('that is missing is 502 with the cause', async () => {
    const cause = '127.0.0.1:\\d+ asks for credentials, and none are configured';
    expect(await download(hosts.none)).toEqual(refusal('502 Bad Gateway', cause));
  });

  it('finds that a repository is not there: 404', async () => {
    expect(await download(hosts.token)).toEqual({ version: 'v1.0.0' });
    const { error } = downloaded(
      await modferry.go(['mod', 'download', '-json', `${hosts.token}/team/nothing@v1.0.0`]),
    ).map(({ Error: text }) => ({ error: text }))[0] ?? { error: undefined };
    expect({ error }).toEqual(refusal('404 Not Found', '127.0.0.1:\\d+ has no such repository'));
  });

  it('that has expired is 502 with the cause; what is stored is served', async () => {
    server.access = { kind: 'expired' };
    const cause = '127.0.0.1:\\d+ does not accept the credentials';
    expect(await download(hosts.token, 'v1.1.0')).toEqual(refusal('502 Bad Gateway', cause));
    expect(await download(hosts.other)).toEqual(refusal('502 Bad Gateway', cause));
    expect(await download(hosts.token, 'v1.9.0')).toEqual(refusal('502 Bad Gateway', cause));
    expect(await download(hosts.token)).toEqual({ version: 'v1.0.0' });
  });

  it('is read anew from its file when the server refuses the old one', async () => {
    server.access = { kind: 'basic', username: 'ci', password: 'second-token' };
    await writeFile(tokenFile, 'second-token\n');
    expect(await download(hosts.token, 'v1.1.0')).toEqual({ version: 'v1.1.0' });
    await modferry.served({ module: moduleOn(hosts.token), version: 'v1.1.0', artifact: 'zip', status: 200 });
  });

  it('that the configuration has anew counts after SIGHUP', async () => {
    server.access = { kind: 'basic', username: 'ci', password: 'third-token' };
    expect(await download(hosts.other)).toMatchObject({ error: expect.stringContaining('502 Bad Gateway') });
    const [entry, ...others] = credentials();
    await modferry.reload(configOf([{ ...entry, token: 'third-token' }, ...others]));
    expect(await download(hosts.token, 'v1.2.0')).toEqual({ version: 'v1.2.0' });
    expect(await download(hosts.other)).toEqual({ version: 'v1.0.0' });
    await modferry.served({ module: moduleOn(hosts.other), artifact: 'zip', status: 200 });
  });

  it('never shows it', async () => {
    expect(modferry.process.stdout() + modferry.process.stderr()).not.toMatch(
      /first-token|second-token|third-token/,
    );
  });
});
