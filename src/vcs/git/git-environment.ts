/**
 * The environment of git, built from nothing: no variable, no configuration file, no hook, no credential helper and
 * no prompt of the machine takes part. Configuration and credentials travel in `GIT_CONFIG_KEY_n`/`GIT_CONFIG_VALUE_n`,
 * which other users of the machine cannot read, as they could arguments.
 * @see https://git-scm.com/docs/git-config#ENVIRONMENT
 */
import { type GitCredential, VcsError } from '../types.ts';
import type { GitReach, GitRunnerOptions, GitTransportOptions, RemoteReach } from './git-options.ts';

const defaultConnectTimeoutMs = 20_000;
const defaultLowSpeedBytesPerSecond = 1_000;
const defaultLowSpeedTimeMs = 60_000;

/** A program that every machine has, does nothing and fails: where git would ask a person. */
const failing = 'false';

/**
 * The whole environment of one run in the repository `gitDir` (undefined: none), new objects going to `objectsDir`
 * (undefined: into that). Throws VcsError `refused` for a credential that cannot be passed on safely.
 */
export function gitEnvironment(
  options: GitRunnerOptions,
  reach: GitReach,
  gitDir: string | undefined,
  objectsDir?: string,
): Record<string, string> {
  const config = [...fixedConfig, ...(reach === 'local' ? [] : remoteConfig(reach, options))];
  const env: Record<string, string> = {
    PATH: options.searchPath,
    HOME: options.homeDir,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: failing,
    SSH_ASKPASS: failing,
    SSH_ASKPASS_REQUIRE: 'never',
    // One protocol, that of the URL, which was checked; none for those that must not reach out, so that git cannot
    // fetch what a partial mirror lacks behind our back, without credentials and one object at a time.
    GIT_ALLOW_PROTOCOL: reach === 'local' ? 'none' : reach.url.slice(0, reach.url.indexOf(':')),
    GIT_NO_LAZY_FETCH: reach === 'local' ? '1' : '0',
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_CONFIG_COUNT: String(config.length),
  };
  if (gitDir !== undefined) env['GIT_DIR'] = gitDir;
  if (objectsDir !== undefined) env['GIT_OBJECT_DIRECTORY'] = objectsDir;
  if (reach !== 'local' && reach.showsHeaders === true) {
    Object.assign(env, { GIT_TRACE_CURL: '1', GIT_TRACE_CURL_NO_DATA: '1', GIT_TRACE_REDACT: '1' });
  }
  for (const [index, [key, value]] of config.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

type Setting = readonly [key: string, value: string];

const fixedConfig: readonly Setting[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.excludesFile', '/dev/null'],
  ['core.autocrlf', 'input'],
  ['core.eol', 'lf'],
  ['core.quotePath', 'false'],
  ['credential.helper', ''],
  ['credential.interactive', 'false'],
  ['protocol.ext.allow', 'never'],
  ['protocol.version', '2'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['log.showSignature', 'false'],
  // Off, as in the go command: many old repositories have faults that fsck refuses (odd modes, broken e-mail
  // addresses), and what it would find beyond them (.gitmodules, .git in paths) harms only those who check out.
  ['transfer.fsckObjects', 'false'],
  // Packs, never loose objects: a fetch that dies leaves one file under a temporary name.
  ['fetch.unpackLimit', '1'],
];

function remoteConfig(reach: RemoteReach, options: GitRunnerOptions): readonly Setting[] {
  const { url, credential, movedTo } = reach;
  const transport = options.transport ?? {};
  const parsed = URL.parse(url);
  if (parsed === null) throw new VcsError('refused', 'the repository URL is not a URL');
  if (parsed.protocol === 'ssh:') {
    return [
      ['core.sshCommand', sshCommand(credential, transport, sshPin(parsed, transport.addressFor?.(url)))],
      ['ssh.variant', 'ssh'],
    ];
  }
  if (parsed.protocol === 'file:') return [];
  if (credential?.kind === 'ssh') throw unusable(parsed.host, 'an SSH key is no credential for http');
  const settings = httpConfig(reach, parsed, credential, transport);
  return movedTo === undefined ? settings : [...settings, [`url.${movedTo}.insteadOf`, url]];
}

function httpConfig(
  { url, proxy }: RemoteReach,
  parsed: URL,
  credential: Exclude<GitCredential, { kind: 'ssh' }> | undefined,
  transport: GitTransportOptions,
): readonly Setting[] {
  const caFile = transport.caFileFor?.(url);
  const address = transport.addressFor?.(url);
  const port = parsed.port === '' ? (parsed.protocol === 'https:' ? '443' : '80') : parsed.port;
  const lowSpeedTimeS = Math.max(1, Math.ceil((transport.lowSpeedTimeMs ?? defaultLowSpeedTimeMs) / 1000));
  const settings: Setting[] = [
    // Empty: straight, whatever the machine says.
    ['http.proxy', proxy ?? ''],
    ['http.lowSpeedLimit', String(transport.lowSpeedBytesPerSecond ?? defaultLowSpeedBytesPerSecond)],
    ['http.lowSpeedTime', String(lowSpeedTimeS)],
    // After a redirect git goes on at the new place with the headers of the old one. With credentials it follows none;
    // redirect.ts does, on the same server.
    [
      'http.followRedirects',
      credential === undefined && address === undefined && transport.followsRedirects?.(url) !== false
        ? 'initial'
        : 'false',
    ],
    ['http.emptyAuth', 'false'],
    ['http.delegation', 'none'],
    ['http.sslVerify', 'true'],
    ['http.sslVersion', 'tlsv1.2'],
  ];
  if (caFile !== undefined) settings.push(['http.sslCAInfo', caFile]);
  if (address !== undefined) {
    settings.push(['http.curloptResolve', `${parsed.hostname.replaceAll(/[[\]]/g, '')}:${port}:${address}`]);
  }
  if (credential !== undefined) {
    settings.push([`http.${parsed.origin}/.extraHeader`, authorization(parsed.host, credential)]);
  }
  return settings;
}

function authorization(host: string, credential: Exclude<GitCredential, { kind: 'ssh' }>): string {
  if (credential.kind === 'basic') {
    const { username, password } = credential;
    if (username.includes(':')) throw unusable(host, 'a user name with a colon cannot be sent');
    return `Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  if (!/^[\x21-\x7e]+$/.test(credential.token)) {
    throw unusable(host, 'the token is empty or has spaces, line ends or other characters that no token has');
  }
  return `Authorization: Bearer ${credential.token}`;
}

/** Connects to an address that was judged, and knows the host's key by its name all the same. */
function sshPin({ hostname, port }: URL, addresses: string | undefined): readonly string[] {
  const [address] = addresses?.split(',') ?? [];
  if (address === undefined) return [];
  const host = hostname.replaceAll(/[[\]]/g, '').toLowerCase();
  if (!/^[\w.:-]+$/.test(host) || !/^[\w.:]+$/.test(address)) {
    throw new VcsError('refused', 'the host of an ssh repository is no plain name');
  }
  return [`HostName=${address}`, `HostKeyAlias=${port === '' || port === '22' ? host : `[${host}]:${port}`}`];
}

/** A line for the shell that git hands it to. Nothing in it comes from a URL, but for the host of `pin`. */
function sshCommand(
  credential: GitCredential | undefined,
  transport: GitTransportOptions,
  pin: readonly string[],
): string {
  if (credential !== undefined && credential.kind !== 'ssh') {
    throw new VcsError(
      'refused',
      'a password or token is no credential for ssh; configure an SSH key for that host',
    );
  }
  const connectTimeoutS = Math.max(
    1,
    Math.ceil((transport.connectTimeoutMs ?? defaultConnectTimeoutMs) / 1000),
  );
  const settings = [
    ...pin,
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'PreferredAuthentications=publickey',
    'UpdateHostKeys=no',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'ControlMaster=no',
    'ControlPath=none',
    `ConnectTimeout=${connectTimeoutS}`,
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
    // Without one configured, none: the keys of the account that modferry runs under are not modferry's.
    `IdentityFile=${credential === undefined ? 'none' : `"${plainFile(credential.keyFile)}"`}`,
  ];
  if (credential?.knownHostsFile !== undefined) {
    settings.push(
      `UserKnownHostsFile="${plainFile(credential.knownHostsFile)}"`,
      'GlobalKnownHostsFile=/dev/null',
    );
  }
  const command = shellWord(transport.sshCommand ?? 'ssh');
  return [command, '-F', '/dev/null', ...settings.flatMap((setting) => ['-o', shellWord(setting)])].join(' ');
}

/** ssh expands `%`, `~` and `${}` in file names and ends them at quotes. */
function plainFile(file: string): string {
  if (!file.startsWith('/') || !/^[^\p{Cc}"'\\$%~]+$/u.test(file)) {
    throw new VcsError(
      'refused',
      'the name of an SSH key or known-hosts file is not an absolute path free of quotes, $, %, ~ and backslashes; move the file',
    );
  }
  return file;
}

function shellWord(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function unusable(host: string, why: string): VcsError {
  return new VcsError('refused', `the credentials of ${host} cannot be used: ${why}`);
}
