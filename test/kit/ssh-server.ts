/**
 * An SSH server for tests: the system's real `sshd` on 127.0.0.1, one process a connection, with a host key of its own,
 * for the user who runs the tests. All that it does is `git upload-pack` in a folder of repositories. It does not
 * import vitest, because the bench uses it too.
 *
 *     await using server = await startSshServer({ root: dir.path });
 *     const key = await server.newKey();
 *     // clone `${server.url}/team/lib.git` with key.keyFile and server.knownHostsFile
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { signalGroup } from './process-group.ts';
import { listenOn } from './tcp-server.ts';
import { tempDir } from './temp.ts';

const run = promisify(execFile);

export interface SshServerOptions {
  /** Folder of the repositories; the path of a URL is one in it. */
  readonly root: string;
}

export interface NewKeyOptions {
  /** Encrypts the key. Default: not encrypted. */
  readonly passphrase?: string;
  /** Whether the server lets it in. Default true. */
  readonly isAuthorized?: boolean;
  /** Default `ed25519`. */
  readonly type?: 'ed25519' | 'rsa';
}

export interface SshServer extends AsyncDisposable {
  /** `ssh://USER@127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly user: string;
  /** known_hosts with this server's key. */
  readonly knownHostsFile: string;
  /** known_hosts with another key for this server. */
  readonly wrongHostsFile: string;
  /** An empty known_hosts. */
  readonly emptyHostsFile: string;
  /** Connections so far. */
  readonly connections: number;
  /** What clients asked to be run, oldest first. */
  commands(): Promise<readonly string[]>;
  /** What sshd told, of all connections. */
  log(): string;
  /** Makes a private key. */
  newKey(options?: NewKeyOptions): Promise<{ readonly keyFile: string; readonly publicKey: string }>;
  /** Ends all connections with their processes, and stops. Idempotent. */
  readonly close: () => Promise<void>;
}

/** Starts one. Rejects when there is no sshd or ssh-keygen. */
export async function startSshServer({ root }: SshServerOptions): Promise<SshServer> {
  const sshd = ['/usr/sbin/sshd', '/usr/bin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));
  if (sshd === undefined) throw new Error('there is no sshd; install openssh-server');
  const dir = await tempDir('sshd');
  const at = (name: string): string => join(dir.path, name);
  const user = userInfo().username;
  // As root it wants this folder, which only the service's own start makes.
  if (process.getuid?.() === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 });
  await mkdir(at('keys'));
  await makeKey(at('host_key'), 'ed25519', '');
  await makeKey(at('other_key'), 'ed25519', '');
  await writeFile(at('authorized_keys'), '', { mode: 0o600 });
  await writeFile(at('commands'), '');
  await writeFile(at('forced'), forcedCommand(root, at('commands')), { mode: 0o755 });
  await chmod(at('forced'), 0o755);
  await writeFile(
    at('config'),
    [
      `HostKey ${at('host_key')}`,
      `AuthorizedKeysFile ${at('authorized_keys')}`,
      `ForceCommand ${at('forced')}`,
      `AllowUsers ${user}`,
      'PermitRootLogin prohibit-password',
      'AuthenticationMethods publickey',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'UsePAM no',
      'UseDNS no',
      // The test's folder stands in one that everybody may write.
      'StrictModes no',
      'AcceptEnv GIT_PROTOCOL',
      'DisableForwarding yes',
      'PermitTTY no',
      'PrintMotd no',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  );

  const children = new Set<ChildProcess>();
  let told = '';
  let connections = 0;
  let keys = 0;
  const server = createServer({ pauseOnConnect: true }, (socket: Socket) => {
    connections += 1;
    socket.on('error', () => {});
    const child = spawn(sshd, ['-i', '-e', '-f', at('config')], {
      stdio: [socket, socket, 'pipe'],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      detached: true,
    });
    children.add(child);
    child.on('error', () => {});
    child.once('close', () => children.delete(child));
    child.stderr?.on('data', (chunk: Buffer) => {
      if (told.length < 1_000_000) told += chunk.toString();
    });
    // It has the connection now; ours must not keep it open.
    child.once('spawn', () => socket.destroy());
  });
  const { port, close } = await listenOn(server);
  await knownHosts(at('known_hosts'), port, at('host_key.pub'));
  await knownHosts(at('wrong_hosts'), port, at('other_key.pub'));
  await writeFile(at('no_hosts'), '');

  const closeAll = async (): Promise<void> => {
    await close();
    for (const child of children) signalGroup(child, 'SIGKILL');
    await dir.remove();
  };
  return {
    url: `ssh://${user}@127.0.0.1:${port}`,
    port,
    user,
    knownHostsFile: at('known_hosts'),
    wrongHostsFile: at('wrong_hosts'),
    emptyHostsFile: at('no_hosts'),
    get connections() {
      return connections;
    },
    async commands() {
      return (await readFile(at('commands'), 'utf8')).split('\n').filter((line) => line !== '');
    },
    log: () => told,
    async newKey({ passphrase = '', isAuthorized = true, type = 'ed25519' } = {}) {
      keys += 1;
      const keyFile = at(`keys/key-${keys}`);
      await makeKey(keyFile, type, passphrase);
      const publicKey = await readFile(`${keyFile}.pub`, 'utf8');
      if (isAuthorized) await appendFile(at('authorized_keys'), publicKey);
      return { keyFile, publicKey };
    },
    close: closeAll,
    [Symbol.asyncDispose]: closeAll,
  };
}

async function makeKey(file: string, type: 'ed25519' | 'rsa', passphrase: string): Promise<void> {
  const size = type === 'rsa' ? ['-b', '2048'] : [];
  await run('ssh-keygen', ['-q', '-t', type, ...size, '-N', passphrase, '-C', 'modferry-test', '-f', file]);
}

async function knownHosts(file: string, port: number, publicKeyFile: string): Promise<void> {
  const [type = '', key = ''] = (await readFile(publicKeyFile, 'utf8')).split(' ');
  await writeFile(file, `[127.0.0.1]:${port} ${type} ${key}\n`);
}

/** Runs nothing but `git-upload-pack 'PATH'`, with the path taken inside the root. */
function forcedCommand(root: string, log: string): string {
  return `#!/bin/sh
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >> ${quoted(log)}
case "$SSH_ORIGINAL_COMMAND" in
  "git-upload-pack '"*"'") path=\${SSH_ORIGINAL_COMMAND#git-upload-pack \\'} ;;
  *) echo 'only git-upload-pack' >&2; exit 126 ;;
esac
path=\${path%\\'}
case "$path" in *..*) echo 'no' >&2; exit 128 ;; esac
GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME=/nonexistent
GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
GIT_CONFIG_KEY_1=uploadpack.allowFilter GIT_CONFIG_VALUE_1=true
export GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL HOME GIT_CONFIG_COUNT
export GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0 GIT_CONFIG_KEY_1 GIT_CONFIG_VALUE_1
exec git upload-pack ${quoted(root)}/"$path"
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
