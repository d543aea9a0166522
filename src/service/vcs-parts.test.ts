import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeGitRepo } from '../../test/kit/git-repo.ts';
import { startGitServer } from '../../test/kit/git-server.ts';
import { load } from '../config/load-kit.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import type { ModulePath } from '../gomod/types.ts';
import { systemClock } from '../lib/clock.ts';
import { directRule, type ProxyRule } from '../outbound/proxy-rule.ts';
import { buildVcsParts } from './vcs-parts.ts';

const { signal } = new AbortController();

/** A private repository that `git.corp.example/team/lib` and, says its author, `evil.example/x` are kept in. */
async function parts(proxy: ProxyRule = directRule) {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-vcs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, 'repositories');
  await makeGitRepo(join(root, 'team/lib.git'), [
    { files: { 'plan.txt': 'secret plan\n' }, tags: ['v1.0.0'] },
  ]);
  const access = { kind: 'basic', username: 'oauth2', password: 'hunter2' } as const;
  const server = await startGitServer({ root, access });
  onTestFinished(server.close);
  const { config } = await load(`private: [git.corp.example/*]
direct:
  machine_netrc: false
  repositories:
    - { match: git.corp.example/*, url: 'https://git.corp.example/{path}.git' }
    - { match: evil.example/x, url: 'https://git.corp.example/team/lib.git', root: evil.example/x }
  credentials: [{ match: '127.0.0.1', token: hunter2 }]
  insecure: [git.corp.example, evil.example]
`);
  const built = buildVcsParts({
    config,
    env: { PATH: process.env['PATH'], HOME: folder },
    cwd: folder,
    folder: join(folder, 'vcs'),
    isPrivate: compilePatterns(config.privatePatterns.join(',')),
    privatePatterns: config.privatePatterns,
    proxy,
    version: '1.2.3',
    clock: systemClock,
  });
  onTestFinished(() => built.close());
  const open = async (path: string) => {
    const place = { vcs: 'git', url: `${server.url}/team/lib.git`, root: path, subdir: '' } as const;
    return await built.mirrors.open(place, path as ModulePath, signal);
  };
  return { built, open, server };
}

describe('buildVcsParts', () => {
  it('gives a public module of another host nothing of a mirror that credentials filled', async () => {
    const { open } = await parts();
    const ours = await open('git.corp.example/team/lib');
    const tag = (await ours.refs(0, signal)).find(({ name }) => name === 'refs/tags/v1.0.0');
    const commit = tag?.commit ?? '';
    expect((await ours.readFile(commit, 'plan.txt', 100, signal))?.toString()).toBe('secret plan\n');

    const theirs = await open('evil.example/x');
    await expect(theirs.refs(600_000, signal)).rejects.toMatchObject({ code: 'auth' });
    await expect(theirs.readFile(commit, 'plan.txt', 100, signal)).rejects.toMatchObject({ code: 'auth' });
    // Nor does their asking take the credentials from ours.
    expect(await ours.refs(0, signal)).toContainEqual(tag);
  });

  it('warns of credentials for a host that is not private, and says how a module is found', async () => {
    const { built } = await parts();

    expect(await built.warnings()).toEqual([expect.stringContaining('no private pattern covers 127.0.0.1')]);
    expect(built.foundBy('git.corp.example/team/lib')).toBe('rule 1 of direct.repositories');
    expect(built.foundBy('github.com/a/b')).toBe('the path itself');
    expect(built.foundBy('other.example/a')).toBe('its page (?go-get=1)');
  });

  it('goes nowhere while a PAC script has no answer', async () => {
    const silent = await parts(() => Promise.reject(new Error('the script failed')));
    const ours = await silent.open('git.corp.example/team/lib');
    await expect(ours.refs(0, signal)).rejects.toMatchObject({ code: 'proxy', message: 'the script failed' });
    expect(silent.server.requests).toEqual([]);
    const late = await parts(async () => ['direct']);
    const lib = await late.open('git.corp.example/team/lib');
    expect((await lib.refs(0, signal)).length).toBeGreaterThan(0);
  });
});
