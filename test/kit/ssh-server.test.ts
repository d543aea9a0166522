import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeGitRepo, plainGitEnv } from './git-repo.ts';
import { type SshServer, startSshServer } from './ssh-server.ts';
import { tempDir } from './temp.ts';

const run = promisify(execFile);

async function started(): Promise<SshServer> {
  const dir = await tempDir('ssh-repos');
  onTestFinished(dir.remove);
  await makeGitRepo(join(dir.path, 'team/lib.git'), [{ files: { 'a.go': 'package a\n' }, tags: ['v1.0.0'] }]);
  const server = await startSshServer({ root: dir.path });
  onTestFinished(server.close);
  return server;
}

/** What git prints, or what went wrong. */
async function lsRemote(server: SshServer, keyFile: string, knownHostsFile: string, path = '/team/lib.git') {
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none'];
  options.push(`UserKnownHostsFile=${knownHostsFile}`, `IdentityFile=${keyFile}`);
  const ssh = `ssh -F none ${options.map((option) => `-o ${option}`).join(' ')}`;
  const env = { ...plainGitEnv(), GIT_SSH_COMMAND: ssh, GIT_TERMINAL_PROMPT: '0' };
  return await run('git', ['ls-remote', '--tags', `${server.url}${path}`], { env }).then(
    ({ stdout }) => stdout,
    (error: Error) => `failed: ${error.message}`,
  );
}

describe('the SSH server of the kit', () => {
  it('serves repositories to its keys, and runs nothing else', async () => {
    const server = await started();
    const { keyFile } = await server.newKey();

    expect(await lsRemote(server, keyFile, server.knownHostsFile)).toMatch(
      /^[0-9a-f]{40}\trefs\/tags\/v1\.0\.0\n$/,
    );
    expect(await server.commands()).toEqual(["git-upload-pack '/team/lib.git'"]);
    expect(await lsRemote(server, keyFile, server.knownHostsFile, '/none.git')).toContain('failed');
    const shell = ['-F', 'none', '-o', `UserKnownHostsFile=${server.knownHostsFile}`, '-i', keyFile];
    const target = ['-p', String(server.port), `${server.user}@127.0.0.1`, 'echo', 'shell'];
    await expect(run('ssh', [...shell, '-o', 'BatchMode=yes', ...target])).rejects.toThrow(
      'only git-upload-pack',
    );
  });

  it('refuses other keys, and is another host to those who know another key', async () => {
    const server = await started();
    const right = await server.newKey();
    const wrong = await server.newKey({ isAuthorized: false });

    expect(await lsRemote(server, wrong.keyFile, server.knownHostsFile)).toContain('Permission denied');
    expect(await lsRemote(server, right.keyFile, server.emptyHostsFile)).toContain(
      'Host key verification failed',
    );
    expect(await lsRemote(server, right.keyFile, server.wrongHostsFile)).toContain(
      'Host key verification failed',
    );
    expect(await server.commands()).toEqual([]);
  });
});
