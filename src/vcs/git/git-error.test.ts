/** Each vector is what git 2.39 with curl 7.88 (GnuTLS) or OpenSSH 9.2 wrote, or a forge is known to answer. */
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gate } from '../../../test/kit/faults.ts';
import { startGitServer } from '../../../test/kit/git-server.ts';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { VcsErrorCode } from '../types.ts';
import { gitError, isLockedByLeftover, looksCorrupt } from './git-error.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

const url = 'https://git.example/team/lib.git';
const vectors: readonly (readonly [VcsErrorCode, string])[] = [
  ['dns', "fatal: unable to access 'https://git.example/a/': Could not resolve host: git.example"],
  [
    'dns',
    'ssh: Could not resolve hostname git.example: Name or service not known\nfatal: Could not read from remote repository.',
  ],
  [
    'connect',
    "fatal: unable to access 'https://git.example/a/': Failed to connect to git.example port 443 after 0 ms: Couldn't connect to server",
  ],
  [
    'connect',
    'ssh: connect to host git.example port 22: Connection refused\r\nfatal: Could not read from remote repository.',
  ],
  ['connect', "fatal: unable to access 'http://127.0.0.1:1/': Empty reply from server"],
  ['connect', "fatal: unable to access 'https://git.example/a/': Recv failure: Connection reset by peer"],
  [
    'connect',
    'error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF',
  ],
  [
    'connect',
    'kex_exchange_identification: Connection closed by remote host\nfatal: Could not read from remote repository.',
  ],
  [
    'tls',
    "fatal: unable to access 'https://git.example/a/': server certificate verification failed. CAfile: none CRLfile: none",
  ],
  [
    'tls',
    "fatal: unable to access 'https://git.example/a/': SSL certificate problem: self-signed certificate",
  ],
  [
    'tls',
    "fatal: unable to access 'https://git.example/a/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
  ],
  [
    'tls',
    "fatal: unable to access 'https://git.example/a/': error setting certificate verify locations: CAfile: /x",
  ],
  [
    'tls',
    "fatal: unable to access 'https://git.example/a/': SSL: no alternative certificate subject name matches target host name 'git.example'",
  ],
  [
    'proxy',
    "fatal: unable to access 'https://git.example/a/': Received HTTP code 407 from proxy after CONNECT",
  ],
  ['proxy', "fatal: unable to access 'https://git.example/a/': CONNECT tunnel failed, response 403"],
  ['proxy', "fatal: unable to access 'https://git.example/a/': Could not resolve proxy: proxy.example"],
  [
    'proxy',
    "fatal: unable to access 'https://git.example/a/': Can't complete SOCKS5 connection to git.example. (4)",
  ],
  ['auth', "fatal: could not read Username for 'https://git.example': terminal prompts disabled"],
  [
    'auth',
    "error: unable to read askpass response from 'false'\nfatal: could not read Username for 'https://git.example': terminal prompts disabled",
  ],
  [
    'auth',
    "remote: Invalid username or password.\nfatal: Authentication failed for 'https://git.example/a/'",
  ],
  ['auth', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 401"],
  [
    'auth',
    'git@git.example: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.',
  ],
  [
    'auth',
    'No ED25519 host key is known for git.example and you have requested strict checking.\nHost key verification failed.\nfatal: Could not read from remote repository.',
  ],
  [
    'auth',
    '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\nfatal: Could not read from remote repository.',
  ],
  ['forbidden', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 403"],
  [
    'forbidden',
    'remote: You are not allowed to download code from this project.\nfatal: Could not read from remote repository.',
  ],
  [
    'forbidden',
    'ERROR: Permission to team/lib.git denied to robot.\nfatal: Could not read from remote repository.',
  ],
  ['absent', "remote: Repository not found.\nfatal: repository 'https://git.example/a/' not found"],
  ['absent', "fatal: repository 'http://127.0.0.1:8080/none.git/' not found"],
  ['absent', 'ERROR: Repository not found.\nfatal: Could not read from remote repository.'],
  [
    'failed',
    "remote: upstream says: repository not found, try later\nfatal: unable to access 'https://git.example/a/': The requested URL returned error: 503",
  ],
  [
    'forbidden',
    "remote: The project you were looking for could not be found\nremote: fatal: returned error: 404\nfatal: unable to access 'https://git.example/a/': The requested URL returned error: 403",
  ],
  [
    'failed',
    'remote: permission to x denied\nerror: RPC failed; HTTP 500 curl 22 The requested URL returned error: 500\nfatal: the remote end hung up',
  ],
  ['absent', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 410"],
  [
    'absent',
    "fatal: '/srv/none.git' does not appear to be a git repository\nfatal: Could not read from remote repository.",
  ],
  [
    'absent',
    'remote: The project you were looking for could not be found or you do not have permission to view it.\nfatal: Could not read from remote repository.',
  ],
  [
    'timeout',
    "fatal: unable to access 'https://git.example/a/': Operation too slow. Less than 1000 bytes/sec transferred the last 60 seconds",
  ],
  [
    'timeout',
    "fatal: unable to access 'https://git.example/a/': Failed to connect to git.example port 443 after 130000 ms: Connection timed out after 130000 milliseconds",
  ],
  [
    'timeout',
    'ssh: connect to host git.example port 22: Connection timed out\nfatal: Could not read from remote repository.',
  ],
  ['refused', "fatal: transport 'file' not allowed"],
  ['refused', "fatal: strange hostname '-oProxyCommand=x' blocked"],
  ['failed', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 502"],
  ['failed', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 429"],
  ['failed', "fatal: unable to access 'https://git.example/a/': The requested URL returned error: 302"],
  ['failed', 'Load key "/k": invalid format\nfatal: Could not read from remote repository.'],
  ['failed', 'fatal: write error: No space left on device'],
  ['failed', 'fatal: something nobody ever saw'],
  ['failed', ''],
];

describe('failures of git with a server', () => {
  it.each(vectors)('%s: %s', (code, stderr) => {
    const error = gitError({ exitCode: 128, stderr, url });
    expect(error.code).toBe(code);
    expect(error.message.length).toBeGreaterThan(15);
    expect(error.message).not.toMatch(/\n|remote:|Please make sure/);
  });

  it('tell a refused credential from a missing one, and the host key from both', () => {
    const refused = "fatal: Authentication failed for 'https://git.example/a/'";
    expect(gitError({ exitCode: 128, stderr: refused, url, hasCredential: true }).message).toContain(
      'does not accept',
    );
    expect(gitError({ exitCode: 128, stderr: refused, url }).message).toContain('none are configured');
    const key = gitError({
      exitCode: 128,
      stderr: 'Host key verification failed.',
      url: 'ssh://git@git.example/a',
    });
    expect(key.message).toContain('known-hosts file');
  });

  it('are those of the outbound proxy when it is that which cannot be reached', () => {
    const stderr =
      "fatal: unable to access 'https://git.example/a/': Failed to connect to proxy.example port 3128";
    expect(gitError({ exitCode: 128, stderr, url, proxy: 'http://proxy.example:3128' }).code).toBe('proxy');
    expect(gitError({ exitCode: 128, stderr, url, proxy: 'http://other.example:3128' }).code).toBe('connect');
  });

  it('show no secret, no control character and nothing that the server said', () => {
    const stderr =
      'remote: <script>token-1</script>\nfatal: odd \u001b[31m thing with token-1 at https://u:p@git.example/x\u202e\nremote: more';
    const { message } = gitError({ exitCode: 1, stderr, url, secrets: ['token-1'] });
    expect(message).toBe('git failed with git.example: odd  [31m thing with *** at https://git.example/x');
  });

  it('are known from those of the mirror', () => {
    for (const stderr of [
      'error: inflate: data stream error (incorrect header check)',
      "fatal: not a git repository: '/data/x.git'",
      'error: packfile ./objects/pack/pack-1.pack does not match index',
      'error: file ./objects/pack/pack-1.pack is far too short to be a packfile\nfatal: packfile is corrupt',
      'fatal: packed object 12 (stored in pack-1.pack) is corrupt',
    ]) {
      expect(looksCorrupt(stderr)).toBe(true);
    }
    for (const [, stderr] of vectors) expect(looksCorrupt(stderr)).toBe(false);
    expect(looksCorrupt(`fatal: bad object ${'0'.repeat(40)}`)).toBe(false);
    expect(isLockedByLeftover("fatal: Unable to create '/x/packed-refs.lock': File exists.")).toBe(true);
  });
});

describe('real failures', () => {
  it('of a server are told apart', async () => {
    const { open, server } = await testMirrors();
    const repository = await open();
    const expected: readonly (readonly [number, VcsErrorCode])[] = [
      [401, 'auth'],
      [403, 'forbidden'],
      [404, 'absent'],
      [429, 'failed'],
      [500, 'failed'],
      [503, 'failed'],
    ];
    for (const [status, code] of expected) {
      server.fault = { kind: 'status', status, body: 'secret of the server' };
      const failure = await failureOf(repository.refs(0, never));
      expect([status, failure.code]).toEqual([status, code]);
      expect(failure.message).not.toContain('secret of');
    }
    server.fault = { kind: 'cut', afterBytes: 0 };
    expect((await failureOf(repository.refs(0, never))).code).toBe('connect');
    server.fault = undefined;
    const none = await open(undefined, `${server.url}/team/none.git`);
    expect((await failureOf(none.refs(0, never))).code).toBe('absent');
    await server.close();
    expect((await failureOf(repository.refs(0, never))).code).toBe('connect');
  });

  it('of names, of TLS with what speaks none, and of ssh with what is no ssh', async () => {
    const babble = createServer((socket) => void socket.end('hello\r\n'));
    const { port, close } = await listenOn(babble);
    onTestFinished(close);
    const { open } = await testMirrors();
    const codeOf = async (of: string): Promise<string> =>
      (await failureOf((await open(undefined, of)).refs(0, never))).code;
    expect(await codeOf('https://git.invalid/a.git')).toBe('dns');
    expect(await codeOf(`https://127.0.0.1:${port}/a.git`)).toBe('tls');
    expect(await codeOf('ssh://git@git.invalid/a.git')).toBe('dns');
    expect(await codeOf(`ssh://git@127.0.0.1:${port}/a.git`)).toBe('connect');
  });

  it('of a server that falls silent: its transfer is too slow, or the deadline comes', async () => {
    const slow = await testMirrors({ git: { transport: { protocols: ['http'], lowSpeedTimeMs: 1_000 } } });
    slow.server.fault = { kind: 'stall', afterBytes: 0 };
    expect((await failureOf((await slow.open()).refs(0, never))).code).toBe('timeout');
    const clock = new FakeClock();
    const late = await testMirrors({ clock, mirrors: { listTimeoutMs: 5_000 } });
    const asked = gate();
    late.server.fault = { kind: 'stall', afterBytes: 0, gate: asked };
    const failure = failureOf((await late.open()).refs(0, never));
    await asked.reached;
    await clock.advance(5_000);
    expect((await failure).code).toBe('timeout');
  });

  it('of a server elsewhere leave nothing for others to wait on', async () => {
    const server = await startGitServer({ root: '/nonexistent' });
    onTestFinished(server.close);
    const { open } = await testMirrors({ clock: systemClock });
    const repository = await open(undefined, `${server.url}/a.git`);
    const codes = await Promise.all(
      Array.from({ length: 10 }, async () => (await failureOf(repository.refs(0, never))).code),
    );
    expect(new Set(codes)).toEqual(new Set(['absent']));
    expect(server.count('advertise')).toBe(1);
  });
});
