import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../lib/secret.ts';
import { secretReference } from '../../lib/secret-reference.ts';
import type { CredentialUse } from './entries.ts';
import { entry, failure, finderOf, signal, tempFolder } from './test-finder.ts';

const token = (text: string, more: object = {}): CredentialUse => ({
  kind: 'token',
  token: new Secret(text),
  ...more,
});

describe('createCredentialFinder', () => {
  it.each([
    ['github.com', 'x-access-token'],
    ['github.corp.example', 'x-access-token'],
    ['corp.ghe.com', 'x-access-token'],
    ['gitlab.com', 'oauth2'],
    ['git.corp.example', 'oauth2'],
    ['bitbucket.org', 'x-token-auth'],
    ['notgithub.example', 'oauth2'],
  ])('sends a token to %s with the user name %s', async (host, username) => {
    const finder = finderOf([entry(host, token('t0k'))]);

    expect(await finder.find(`https://${host}/team/lib`, { signal })).toEqual({
      kind: 'basic',
      username,
      password: 't0k',
    });
  });

  it('sends it as it is told to: another user name, bearer, a user name and password', async () => {
    const finder = finderOf([
      entry('a.example', token('t', { username: 'ci' })),
      entry('b.example', token('t', { header: 'bearer' })),
      entry('c.example', { kind: 'password', username: 'alice', password: new Secret('pw') }),
    ]);

    expect(await finder.find('https://a.example/r', { signal })).toMatchObject({
      username: 'ci',
      password: 't',
    });
    expect(await finder.find('https://b.example/r', { signal })).toEqual({ kind: 'bearer', token: 't' });
    expect(await finder.find('https://c.example/r', { signal })).toEqual({
      kind: 'basic',
      username: 'alice',
      password: 'pw',
    });
  });

  it('takes the first entry that matches: hosts, globs, ports, patterns', async () => {
    const finder = finderOf([
      entry('git.example:8443', token('port')),
      entry(['git.example/team-a', 'go.example/a/*'], token('team')),
      entry('GIT.example', token('host')),
      entry('*.corp.example', token('glob')),
    ]);
    const passwordFor = async (url: string, path?: string): Promise<string | undefined> => {
      const found = await finder.find(url, { path, signal });
      return found?.kind === 'basic' ? found.password : undefined;
    };

    expect(await passwordFor('https://git.example:8443/x')).toBe('port');
    expect(await passwordFor('https://git.example/team-a/lib.git', 'git.example/team-a/lib')).toBe('team');
    expect(await passwordFor('https://git.example/team-ab/lib.git', 'git.example/team-ab/lib')).toBe('host');
    expect(await passwordFor('https://go.example/r.git', 'go.example/a/b')).toBe('team');
    expect(await passwordFor('https://x.corp.example/r')).toBe('glob');
    expect(await passwordFor('https://corp.example/r')).toBeUndefined();
    expect(await passwordFor('https://git.example.evil.test/r')).toBeUndefined();
  });

  it('keeps keys for ssh and all else for https', async () => {
    const dir = tempFolder();
    const keyFile = join(dir, 'key');
    writeFileSync(keyFile, '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', { mode: 0o600 });
    const finder = finderOf([
      entry('git.example', token('t')),
      entry('git.example', { kind: 'ssh_key', keyFile, knownHostsFile: undefined }),
    ]);

    expect(await finder.find('https://git.example/r', { signal })).toMatchObject({ kind: 'basic' });
    expect(await finder.find('ssh://git@git.example:2222/r', { signal })).toEqual({
      kind: 'ssh',
      keyFile,
      knownHostsFile: undefined,
    });
    expect(await finder.find('file:///git.example/r', { signal })).toBeUndefined();
  });

  it('sends nothing over plain http, but to this machine', async () => {
    const finder = finderOf([entry('*', token('t'))]);

    expect(await finder.find('http://git.example/r', { signal })).toBeUndefined();
    expect(finder.explain('http://git.example/r', undefined).remarks[0]).toMatch(/not sent over plain http/);
    expect(await finder.find('http://127.0.0.1:99/r', { signal })).toMatchObject({ password: 't' });
  });

  it('follows no discovery page to a host that the entry does not name', async () => {
    const finder = finderOf([entry('go.corp.example/*', token('t'))], { isPrivate: () => true });

    expect(
      await finder.find('https://evil.example/r', { path: 'go.corp.example/x', signal }),
    ).toBeUndefined();
    expect(finder.explain('https://evil.example/r', 'go.corp.example/x')).toEqual({
      name: undefined,
      remarks: [expect.stringContaining('add that host to its match')],
    });
  });

  it('lends nothing to a public module whose page leads to a host of ours', async () => {
    const netrc = join(tempFolder(), 'netrc');
    writeFileSync(netrc, 'machine git.corp.example login me password pw\n', { mode: 0o600 });
    const isPrivate = (path: string): boolean => /^(?:go|git)\.corp\.example\//.test(path);
    const url = 'https://git.corp.example/secret/plans.git';
    for (const finder of [
      finderOf([entry('git.corp.example', token('t'))], { isPrivate }),
      finderOf([], { isPrivate, machineNetrc: netrc }),
    ]) {
      expect(await finder.find(url, { path: 'evil.example/x', signal })).toBeUndefined();
      expect(await finder.find(url, { path: 'go.corp.example/x', signal })).toBeDefined();
      expect(await finder.find(url, { path: 'git.corp.example/secret/plans', signal })).toBeDefined();
    }
    const explained = finderOf([entry('git.corp.example', token('t'))]).explain(url, 'evil.example/x');
    expect(explained).toEqual({
      name: undefined,
      remarks: [expect.stringContaining('make the module private')],
    });
  });

  it.each([
    ['git.corp.example/Team-B/secret', 'https://git.corp.example/Team-B/secret.git'],
    ['git.corp.example/team-b/secret.git', 'https://git.corp.example/team-b/secret.git'],
    ['git.corp.example/x', 'https://git.corp.example/team-b/secret'],
    ['git.corp.example/x', 'https://git.corp.example//TEAM-B/se%63ret.git/'],
    // The module's host need not be that of its repository.
    ['git.corp.example/Team-B/secret', 'http://127.0.0.1:80/Team-B/secret.git'],
  ])('lends nothing to %s at %s, which is behind another door', async (path, url) => {
    const netrc = join(tempFolder(), 'netrc');
    const machines = ['git.corp.example', '127.0.0.1'].map(
      (name) => `machine ${name} login me password pw\n`,
    );
    writeFileSync(netrc, machines.join(''), { mode: 0o600 });
    const isSecret = (one: string): boolean => /^git\.corp\.example\/team-b\/secret(?:\/|$)/.test(one);
    const secretOnly = { isPrivate: isSecret };
    const wider = {
      isPrivate: (one: string) => one.startsWith('git.corp.example/'),
      privateRouteOf: (one: string) => (isSecret(one) ? 'team-b' : 'rest'),
    };
    const entries = [entry(['git.corp.example', '127.0.0.1'], token('t'))];
    for (const finder of [
      finderOf(entries, secretOnly),
      finderOf(entries, wider),
      finderOf([], { ...wider, machineNetrc: netrc }),
    ]) {
      expect(await failure(finder.find(url, { path, signal }))).toMatchObject({ code: 'refused' });
      expect(finder.explain(url, path)).toEqual({
        name: undefined,
        remarks: [expect.stringContaining('belongs to the private route')],
      });
      const own = { path: 'git.corp.example/team-b/secret', signal };
      expect(await finder.find('https://git.corp.example/team-b/secret.git', own)).toBeDefined();
    }
    // A folder of a repository may have a route of its own.
    const folder = { path: 'git.corp.example/team-b/secret', signal };
    expect(await finderOf(entries, wider).find('https://git.corp.example/team-b.git', folder)).toBeDefined();
  });

  it('gives what is the machine’s to private modules, and where an entry names the host', async () => {
    const dir = tempFolder();
    const netrc = join(dir, 'netrc');
    writeFileSync(netrc, 'machine git.example login me password pw\n', { mode: 0o600 });
    const at = async (path: string, entries: Parameters<typeof finderOf>[0]) =>
      await finderOf(entries, { machineNetrc: netrc, isPrivate: (one) => one.includes('/ours/') }).find(
        `https://${path}.git`,
        { path, signal },
      );
    expect(await at('git.example/ours/lib', [])).toBeDefined();
    expect(await at('git.example/public/lib', [])).toBeUndefined();
    const key = entry('git.example', {
      kind: 'ssh_key',
      keyFile: join(dir, 'key'),
      knownHostsFile: undefined,
    });
    expect(await at('git.example/public/lib', [key])).toBeDefined();
  });

  it('asks a rotated file again, and says where a secret is missing', async () => {
    const file = join(tempFolder(), 'token');
    const reference = secretReference(`file:${file}`, { env: {}, resolvePath: (path) => path });
    if (reference === undefined) throw new Error('no reference');
    const finder = finderOf([entry('git.example', { kind: 'token', token: reference })]);
    const missing = await failure(finder.find('https://git.example/r', { signal }));
    expect(missing).toMatchObject({ code: 'auth', message: expect.stringContaining(file) as string });

    writeFileSync(file, 'first\n', { mode: 0o600 });
    expect(await finder.find('https://git.example/r', { signal })).toMatchObject({ password: 'first' });
    writeFileSync(file, 'other\n');
    expect(await finder.find('https://git.example/r', { isRetry: true, signal })).toMatchObject({
      password: 'other',
    });
    writeFileSync(file, 'two\r\nX-Injected: yes');
    expect((await failure(finder.find('https://git.example/r', { signal }))).message).not.toContain('two');
  });

  it('reads .netrc: a named one whole, the machine’s without its default', async () => {
    const file = join(tempFolder(), 'netrc');
    writeFileSync(file, 'machine git.example login me password pw\ndefault login any password all\n', {
      mode: 0o600,
    });
    const machine = finderOf([], { machineNetrc: file });
    const named = finderOf([entry('*.example', { kind: 'netrc', file })]);

    expect(await machine.find('https://git.example/r', { signal })).toMatchObject({
      username: 'me',
      password: 'pw',
    });
    expect(await machine.find('https://other.example/r', { signal })).toBeUndefined();
    expect(await machine.find('ssh://git.example/r', { signal })).toBeUndefined();
    expect(await named.find('https://other.example/r', { signal })).toMatchObject({ password: 'all' });

    writeFileSync(file, 'machine git.example login me password new\n');
    expect(await machine.find('https://git.example/r', { signal })).toMatchObject({ password: 'new' });
    chmodSync(file, 0o600);
    const absent = finderOf([entry('*.example', { kind: 'netrc', file: '/nowhere/netrc' })]);
    expect(await failure(absent.find('https://git.example/r', { signal }))).toMatchObject({ code: 'auth' });
    expect(
      await finderOf([], { machineNetrc: '/nowhere' }).find('https://a.example/r', { signal }),
    ).toBeUndefined();
  });

  it('refuses what is no URL, and ends when the asker is gone', async () => {
    const finder = finderOf([entry('*', token('t'))]);
    expect(await failure(finder.find('-oProxyCommand=id', { signal }))).toMatchObject({ code: 'refused' });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(finder.find('https://a.example/r', { signal: gone })).rejects.toThrow('gone');
  });
});
