import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { ModuleAnswers } from './module-answers.ts';
import { ownAnswers } from './own-answers.ts';
import type { PrivateRoutes } from './private-routes.ts';

const { signal } = new AbortController();
const version = 'v1.0.0' as Version;
const routes: PrivateRoutes = {
  isPrivate: (path) => path.startsWith('git.corp.test/'),
  privateRouteOf: (path) =>
    path.startsWith('git.corp.test/team-b/')
      ? 'team-b'
      : path.startsWith('git.corp.test/')
        ? 'rest'
        : undefined,
};

function answers(goMod: string) {
  const zips: string[] = [];
  const all: ModuleAnswers = {
    list: async () => ['v1.0.0'],
    latest: async () => '{"Version":"v1.0.0"}',
    info: async () => '{"Version":"v1.0.0"}',
    goMod: async () => Buffer.from(goMod),
    zip: async (_, file) => void zips.push(file),
  };
  return { all, zips };
}

describe('ownAnswers', () => {
  it.each([
    ['pub.example/x', 'module git.corp.test/team-b/secret\n'],
    ['git.corp.test/x', 'module "git.corp.test/team-b/secret"\n'],
    ['git.corp.test/x', 'module git.corp.test/Team-B/secret.git\n'],
    ['git.corp.test/team-b/x', 'module git.corp.test/other\n'],
  ])('keeps from %s what calls itself %j', async (path, goMod) => {
    const { all, zips } = answers(goMod);
    const own = ownAnswers(all, path as ModulePath, routes);
    const asked = [
      own.info(version, signal),
      own.latest(signal),
      own.goMod(version, signal),
      own.zip(version, 'zip', signal),
    ];
    for (const one of asked) await expect(one).rejects.toMatchObject({ code: 'refused' });
    expect(zips).toEqual([]);
  });

  it.each([
    ['git.corp.test/team-b/secret', 'module git.corp.test/team-b/secret\n'],
    ['git.corp.test/team-b/fork', 'module git.corp.test/team-b/secret\n'],
    ['git.corp.test/team-b/fork', 'module pub.example/x\n'],
    ['pub.example/fork', 'module pub.example/x\n'],
    ['pub.example/fork', 'no module line'],
  ])('gives %s what calls itself %j', async (path, goMod) => {
    const { all, zips } = answers(goMod);
    const own = ownAnswers(all, path as ModulePath, routes);
    expect(await own.info(version, signal)).toBe('{"Version":"v1.0.0"}');
    expect(String(await own.goMod(version, signal))).toBe(goMod);
    await own.zip(version, 'zip', signal);
    expect(zips).toEqual(['zip']);
  });
});
