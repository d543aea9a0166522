/** Over ssh, with the system's own sshd. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSshServer } from '../../../test/kit/ssh-server.ts';
import type { GitCredential } from '../types.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

async function overSsh(
  makeCredential: (ssh: Awaited<ReturnType<typeof startSshServer>>) => Promise<GitCredential>,
) {
  const credentials: GitCredential[] = [];
  const set = await testMirrors({ credentials });
  const ssh = await startSshServer({ root: join(set.dir, 'repos') });
  onTestFinished(ssh.close);
  credentials.push(await makeCredential(ssh));
  const repository = await set.open(undefined, `${ssh.url}/team/lib.git`);
  return { ...set, ssh, repository };
}

describe('a mirror over ssh', () => {
  it('is listed, fetched, read and archived', async () => {
    const { repository, repo, dir, server } = await overSsh(async (ssh) => ({
      kind: 'ssh',
      keyFile: (await ssh.newKey()).keyFile,
      knownHostsFile: ssh.knownHostsFile,
    }));
    const [first = '', second = ''] = repo.commits;
    expect(await repository.refs(0, never)).toHaveLength(4);
    expect(await repository.tagsBefore(second, never)).toEqual(['v1.0.0', 'v1.1.0']);
    expect((await repository.readFile(first, 'go.mod', 100, never))?.toString()).toContain('module');
    await repository.archive(second, '', join(dir, 'a.zip'), { maxBytes: 1e6, signal: never });
    expect(server.requests).toEqual([]);
  });

  it('is at the address that was checked, under the known key of its name', async () => {
    const credentials: GitCredential[] = [];
    const transport = { addressFor: () => '127.0.0.1' };
    const { open, dir, repo } = await testMirrors({ credentials, git: { transport } });
    const ssh = await startSshServer({ root: join(dir, 'repos') });
    onTestFinished(ssh.close);
    const named = async (name: string): Promise<GitCredential> => {
      const knownHostsFile = join(dir, name);
      const known = await readFile(ssh.knownHostsFile, 'utf8');
      await writeFile(knownHostsFile, known.replaceAll('127.0.0.1', name));
      return { kind: 'ssh', keyFile: (await ssh.newKey()).keyFile, knownHostsFile };
    };
    credentials.push(await named('git.invalid'));
    const repository = await open(undefined, `${ssh.url.replace('127.0.0.1', 'git.invalid')}/team/lib.git`);
    expect((await repository.refs(0, never)).find(({ name }) => name === 'HEAD')?.commit).toBe(
      repo.commits[1],
    );
    credentials.splice(0, 1, await named('other.invalid'));
    expect(await failureOf(repository.refs(0, never))).toMatchObject({ code: 'auth' });
  });

  it('is refused for a key that is not let in, and for hosts that are unknown or other than known', async () => {
    const stranger = await overSsh(async (ssh) => ({
      kind: 'ssh',
      keyFile: (await ssh.newKey({ isAuthorized: false })).keyFile,
      knownHostsFile: ssh.knownHostsFile,
    }));
    const refused = await failureOf(stranger.repository.refs(0, never));
    expect(refused).toMatchObject({ code: 'auth', message: expect.stringContaining('SSH key') });
    for (const hosts of ['emptyHostsFile', 'wrongHostsFile'] as const) {
      const { repository, ssh } = await overSsh(async (server) => ({
        kind: 'ssh',
        keyFile: (await server.newKey()).keyFile,
        knownHostsFile: server[hosts],
      }));
      const failure = await failureOf(repository.refs(0, never));
      expect(failure).toMatchObject({ code: 'auth', message: expect.stringContaining('host key') });
      expect(await ssh.commands()).toEqual([]);
    }
  });

  it('is absent where there is no such repository, and a failure where nobody listens', async () => {
    const { ssh, open, repository } = await overSsh(async (server) => ({
      kind: 'ssh',
      keyFile: (await server.newKey()).keyFile,
      knownHostsFile: server.knownHostsFile,
    }));
    const none = await open(undefined, `${ssh.url}/team/none.git`);
    expect(await failureOf(none.refs(0, never))).toMatchObject({ code: 'absent' });
    await ssh.close();
    expect(await failureOf(repository.refs(0, never))).toMatchObject({ code: 'connect' });
  });

  it('takes no key that asks for a passphrase, and asks nobody for it', async () => {
    const { repository } = await overSsh(async (ssh) => ({
      kind: 'ssh',
      keyFile: (await ssh.newKey({ passphrase: 'secret-phrase' })).keyFile,
      knownHostsFile: ssh.knownHostsFile,
    }));
    const failure = await failureOf(repository.refs(0, never));
    expect(['auth', 'failed']).toContain(failure.code);
    expect(failure.message).toContain('SSH key');
  });
});
