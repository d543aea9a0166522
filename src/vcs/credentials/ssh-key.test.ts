import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type SshServer, startSshServer } from '../../../test/kit/ssh-server.ts';
import { entry, failure, finderOf, signal, tempFolder } from './test-finder.ts';
import { lsRemote, repositories } from './test-git.ts';

async function started(): Promise<SshServer> {
  const server = await startSshServer({ root: await repositories() });
  onTestFinished(server.close);
  return server;
}

function keyFinder(keyFile: string, knownHostsFile?: string) {
  return finderOf([entry('127.0.0.1', { kind: 'ssh_key', keyFile, knownHostsFile })]);
}

describe('SSH keys', () => {
  it.each(['ed25519', 'rsa'] as const)('open a repository with the right key (%s)', async (type) => {
    const server = await started();
    const { keyFile } = await server.newKey({ type });
    const tried = await lsRemote(keyFinder(keyFile, server.knownHostsFile), `${server.url}/team/lib.git`);

    expect(tried).toMatchObject({
      code: 'ok',
      printed: expect.stringContaining('refs/tags/v1.0.0') as string,
    });
    expect(await server.commands()).toEqual(["git-upload-pack '/team/lib.git'"]);
    expect(tried.argv).not.toContain(keyFile);
  });

  it('are refused with a sentence: a wrong key, none, a repository that is not there', async () => {
    const server = await started();
    const url = `${server.url}/team/lib.git`;
    const { keyFile } = await server.newKey();
    const wrong = await server.newKey({ isAuthorized: false });

    const refused = await lsRemote(keyFinder(wrong.keyFile, server.knownHostsFile), url);
    expect(refused).toMatchObject({
      code: 'auth',
      message: expect.stringContaining('does not accept') as string,
    });
    const absent = await lsRemote(keyFinder(keyFile, server.knownHostsFile), `${server.url}/none.git`);
    expect(absent.code).toBe('absent');
    expect(await server.commands()).toEqual(["git-upload-pack '/none.git'"]);
  });

  it.each(['emptyHostsFile', 'wrongHostsFile'] as const)(
    'go to no host but the one known (%s)',
    async (which) => {
      const server = await started();
      const { keyFile } = await server.newKey();
      const tried = await lsRemote(keyFinder(keyFile, server[which]), `${server.url}/team/lib.git`);

      expect(tried).toMatchObject({
        code: 'auth',
        message: expect.stringContaining('known hosts') as string,
      });
      expect(await server.commands()).toEqual([]);
    },
  );

  it('are not tried where ssh would not use them: open to others, with a passphrase, no key, not there', async () => {
    const server = await started();
    const url = `${server.url}/team/lib.git`;
    const open = await server.newKey();
    chmodSync(open.keyFile, 0o644);
    const locked = await server.newKey({ passphrase: 'hunter2' });
    const lockedRsa = await server.newKey({ passphrase: 'hunter2', type: 'rsa' });
    const right = await server.newKey();
    const sentence = async (keyFile: string, knownHostsFile = server.knownHostsFile) => {
      const error = await failure(keyFinder(keyFile, knownHostsFile).find(url, { signal }));
      expect(error.code).toBe('auth');
      return error.message;
    };

    expect(await sentence(open.keyFile)).toMatch(/others may read it \(mode 0644\); chmod 600 it$/);
    expect(await sentence(locked.keyFile)).toMatch(/has a passphrase, which nobody is there to type/);
    expect(await sentence(lockedRsa.keyFile)).toMatch(/has a passphrase/);
    expect(await sentence(`${right.keyFile}.pub`)).toMatch(/(is no private key|others may read)/);
    expect(await sentence('/nowhere/key')).toMatch(/\/nowhere\/key does not exist/);
    expect(await sentence(right.keyFile, '/nowhere/hosts')).toMatch(/\/nowhere\/hosts does not exist/);
    expect(server.connections).toBe(0);
  });

  it.each([
    ['ENCRYPTED PRIVATE KEY', 'AAAA'],
    ['RSA PRIVATE KEY', 'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA'],
  ])('with a passphrase are known in the older form %s', async (label, body) => {
    const keyFile = join(tempFolder(), 'key');
    writeFileSync(keyFile, `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`, { mode: 0o600 });
    const error = await failure(keyFinder(keyFile).find('ssh://git@127.0.0.1/r', { signal }));

    expect(error.message).toContain('has a passphrase');
  });
});
