import { describe, expect, it } from 'vitest';
import { loadConfig } from '../config/load.ts';
import type { RouteTable } from '../route/types.ts';
import { routeList } from './route-list.ts';

async function tableOf(yaml: string, machine: readonly string[] = [], upstreams: readonly string[] = []) {
  const { config } = await loadConfig({ file: 'm.yaml', env: {}, readFile: async () => yaml });
  return routeList(config, machine, upstreams);
}

function said(table: RouteTable, path: string) {
  const { name, isPrivate, sources, access } = table.of(path);
  return { name, isPrivate, sources, read: access.read };
}

describe('routeList', () => {
  it('sends everything the public way without a configuration, and lets everybody read', async () => {
    const table = await tableOf('');
    expect(said(table, 'example.com/a')).toEqual({
      name: 'public',
      isPrivate: false,
      sources: undefined,
      read: [{ kind: 'anonymous' }],
    });
    expect(table.last.access).toMatchObject({ publish: [], admin: [{ kind: 'tokens' }] });
  });

  it('makes of `private` a route with private upstreams, repositories and uploads, for those who are known', async () => {
    const table = await tableOf('private: [git.corp.example/*]', [], ['hub']);
    expect(said(table, 'git.corp.example/team/x/sub')).toEqual({
      name: 'private',
      isPrivate: true,
      sources: ['hub', 'direct', 'published'],
      read: [{ kind: 'authenticated' }],
    });
  });

  it('asks no repository where that is off', async () => {
    const table = await tableOf('private: [git.corp.example]\ndirect: {enabled: false}', [], ['hub']);
    expect(table.of('git.corp.example/x').sources).toEqual(['hub', 'published']);
  });

  it('keeps what stands before the wildcards to itself: go get asks for every prefix of a path', async () => {
    const table = await tableOf(
      `
private: ['git.corp.example/*', '*.hub.example/*/*', example.com/tools-*]
routes:
  - {match: forge.example/team/*, name: team, private: true, read: 'group:team'}
  - {match: open.example/x/*, name: x, private: true}
  - {match: open.example, name: open}
`,
      ['machine.example/*/'],
    );
    const names = (...paths: string[]) => paths.map((path) => said(table, path).name);

    expect(names('git.corp.example', 'git.corp.example/a')).toEqual(['private', 'private']);
    expect(names('a.hub.example', 'a.hub.example/b', 'hub.example')).toEqual([
      'private',
      'private',
      'public',
    ]);
    expect(names('forge.example/team', 'forge.example', 'forge.example/other')).toEqual([
      'team',
      'public',
      'public',
    ]);
    expect(names('machine.example', 'machine.example/m')).toEqual(['GOPRIVATE', 'GOPRIVATE']);
    // A route of the configuration that names it decides.
    expect(names('open.example/x', 'open.example/x/y')).toEqual(['open', 'x']);
    expect(names('example.com', 'example.com/tools', 'git.corp.example.org')).toEqual([
      'public',
      'public',
      'public',
    ]);
    expect(table.of('forge.example/team')).toBe(table.of('forge.example/team/lib'));
  });

  it('only keeps to itself what the machine calls private: no repository is asked for it', async () => {
    const table = await tableOf('', ['git.corp.example'], ['hub']);
    expect(said(table, 'git.corp.example/x')).toMatchObject({
      name: 'GOPRIVATE',
      isPrivate: true,
      sources: ['hub'],
    });
  });

  it('takes the first route that matches, private ones before `private`', async () => {
    const table = await tableOf(
      `
private: corp.example
routes:
  - {match: corp.example/open, private: true, read: anonymous}
  - {match: corp.example/secret, private: true}
  - {match: [corp.example/team/*], name: team, private: true, read: 'group:team', publish: ['token:ci']}
  - {match: example.com/a, name: a}
  - {match: example.com/a/b, name: b}
`,
    );
    expect(said(table, 'corp.example/open/a')).toMatchObject({
      name: 'corp.example/open',
      read: [{ kind: 'anonymous' }],
    });
    expect(table.of('corp.example/secret').access.read).toEqual([]);
    expect(said(table, 'corp.example/team/x')).toMatchObject({
      name: 'team',
      read: [{ kind: 'group', name: 'team' }],
    });
    expect(table.of('corp.example/other').name).toBe('private');
    expect(table.of('example.com/a/b').name).toBe('a');
  });

  it('takes other spellings of a private path for what they are', async () => {
    const table = await tableOf(
      `
private: git.corp.example
routes:
  - {match: git.corp.example/Team-b/secret, name: secret, private: true, read: 'token:b'}
  - {match: github.com/acme/*, name: acme, private: true}
`,
    );
    for (const path of [
      'git.corp.example/Team-b/secret',
      'git.corp.example/team-b/secret',
      'git.corp.example/TEAM-B/Secret/sub',
      'git.corp.example/Team-b/secret.git',
      'git.corp.example/team-b.git/secret.git/v2',
    ]) {
      expect(table.of(path).name, path).toBe('secret');
    }
    expect(table.of('git.corp.example/team-c/secret').name).toBe('private');
    expect(table.of('github.com/Acme/x').name).toBe('acme');
    expect(table.of('github.com/acme2/x').name).toBe('public');
  });

  it('never lets a route that is not private take a name out of `private`', async () => {
    const table = await tableOf('private: corp.example\nroutes: [{match: "*", name: all, sources: cn}]');
    expect(said(table, 'corp.example/x')).toMatchObject({ name: 'private', isPrivate: true });
    expect(table.of('example.com/x').name).toBe('all');
  });

  it('keeps what the machine calls private so, even where a public route names it', async () => {
    const table = await tableOf('routes: [{match: corp.example}]', ['corp.example/inner']);
    expect(table.of('corp.example/outer').isPrivate).toBe(false);
    expect(said(table, 'corp.example/inner/x')).toMatchObject({ name: 'GOPRIVATE', isPrivate: true });
  });
});
