/**
 * What the end-to-end tests of private modules share: a modferry that speaks TLS, a token for it, and a machine whose
 * `go` has that token in its `.netrc`, with GOPRIVATE set and GONOPROXY=none (ruling 29).
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createToken } from '../../src/access/tokens/token-orders.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import type { FakeEntry } from '../kit/git-repo.ts';
import { type GoHome, type GoResult, goHome, type RunGoOptions, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';
import { type TestAuthority, testAuthority } from '../kit/tls.ts';
import { type Answer, ask, eventually, withDefaults } from './support.ts';

/** One line of the access log. */
export interface AccessLine {
  readonly module?: string;
  readonly version?: string;
  readonly artifact?: string;
  readonly source?: string;
  readonly status?: number;
  readonly by?: string;
  readonly path?: string;
}

export interface PrivateOptions {
  /** Added to the configuration; `tls`, `network.ca_file`, `log` and what `withDefaults` sets are there already. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Instead of the recording public one. */
  readonly upstreams?: readonly unknown[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** GOPRIVATE of the machines that ask. Default `*.corp.test`. */
  readonly goPrivate?: string;
}

export interface PrivateModferry extends AsyncDisposable {
  readonly process: ModferryProcess;
  readonly dataDir: string;
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly token: string;
  /** A public upstream without modules, which records what it is asked. */
  readonly publicUpstream: FakeUpstream;
  /** A machine of its own for each call unless `home` is given. */
  go(args: readonly string[], options?: RunGoOptions): Promise<GoResult>;
  /** A machine with the token in its `.netrc`. */
  newHome(): Promise<GoHome>;
  /** One request with the token, by plain http on this machine. */
  get(path: string, options?: { readonly timeoutMs?: number }): Promise<Answer>;
  /** The access log so far. Its newest lines may be a fifth of a second late. */
  log(): readonly AccessLine[];
  /** `log` and `served` begin anew. */
  forgetLog(): void;
  /** Resolves when the access log has a line like each of these. */
  served(...lines: readonly AccessLine[]): Promise<void>;
  /** Rewrites the configuration and waits until it is in force. */
  reload(config: Readonly<Record<string, unknown>>): Promise<void>;
}

/** The folder, the authority and what is made once for a test file. */
export interface PrivateGround extends AsyncDisposable {
  readonly dir: TempDir;
  /** Of the Git repositories. */
  readonly repositories: string;
  readonly authority: TestAuthority;
}

export async function privateGround(label: string): Promise<PrivateGround> {
  const dir = await tempDir(label);
  const repositories = join(dir.path, 'repositories');
  await mkdir(repositories);
  const authority = await testAuthority(dir.path);
  return { dir, repositories, authority, [Symbol.asyncDispose]: dir.remove };
}

export async function startPrivateModferry(
  { authority }: Pick<PrivateGround, 'authority'>,
  { config, upstreams, env = {}, goPrivate = '*.corp.test' }: PrivateOptions,
): Promise<PrivateModferry> {
  const data = await tempDir('private-data');
  await mkdir(join(data.path, 'meta'));
  const order = { name: 'developer', scopes: { read: ['*'], publish: [], admin: false } };
  const { token } = await createToken(
    data.path,
    systemClock,
    { ...order, groups: [], expiresAtMs: undefined },
    'local',
  );
  const publicUpstream = await startFakeUpstream();
  const { certFile: cert, keyFile: key } = await authority.issue();
  const whole = (changes: Readonly<Record<string, unknown>>) =>
    withDefaults({
      config: {
        upstreams: upstreams ?? [publicUpstream.url],
        tls: { cert, key },
        network: { ca_file: authority.certFile },
        log: { access: 'all' },
        ...changes,
      },
    }).config ?? {};
  const process = await startModferry({
    config: whole(config),
    dataDir: data.path,
    args: ['--listen', 'https://127.0.0.1:0'],
    env,
  });
  const [, url = ''] = await process.waitForLine(/listening on (https:\/\/[\d.]+:\d+)/);
  const homes: GoHome[] = [];

  const newHome = async (): Promise<GoHome> => {
    const home = await goHome();
    homes.push(home);
    const line = `machine ${new URL(url).host} login token password ${token}\n`;
    await writeFile(join(home.path, '.netrc'), line, { mode: 0o600 });
    return home;
  };
  let logFrom = 0;
  const log = (): AccessLine[] =>
    process
      .stderr()
      .slice(logFrom)
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}') && line.includes('"msg":"request"'))
      .map((line) => JSON.parse(line) as AccessLine);

  return {
    process,
    dataDir: data.path,
    url,
    token,
    publicUpstream,
    newHome,
    log,
    forgetLog() {
      logFrom = process.stderr().length;
    },
    async go(args, options = {}) {
      const home = options.home ?? (await newHome());
      const machine = {
        GOPROXY: url,
        GOPRIVATE: goPrivate,
        GONOPROXY: 'none',
        SSL_CERT_FILE: authority.certFile,
      };
      return await runGo(args, { ...options, home, env: { ...machine, ...options.env } });
    },
    async get(path, { timeoutMs = 20_000 } = {}) {
      const authorization = `Basic ${Buffer.from(`token:${token}`).toString('base64')}`;
      return await ask(process.url, path, { headers: { authorization }, timeoutMs });
    },
    async served(...lines) {
      await eventually(
        async () => lines.filter((line) => !log().some((each) => isLike(each, line))),
        (missing) => missing.length === 0,
      );
    },
    async reload(changes) {
      const { configFile = '' } = process;
      const before = await readFile(configFile, 'utf8');
      const after = JSON.stringify(whole(changes));
      if (after !== before) await writeFile(configFile, after);
      const told = process.stderr().length;
      process.signal('SIGHUP');
      await eventually(
        async () => process.stderr().slice(told),
        (text) => text.includes('configuration applied'),
      );
    },
    async [Symbol.asyncDispose]() {
      await process.close();
      for (const home of homes) await home.remove();
      await publicUpstream.close();
      await data.remove();
    },
  };
}

function isLike(line: AccessLine, wanted: AccessLine): boolean {
  const fields = Object.entries(wanted);
  return fields.every(([name, value]) => line[name as keyof AccessLine] === value);
}

/** What `go mod download -json` says of one module. */
export interface Downloaded {
  readonly Path: string;
  readonly Version?: string;
  readonly Error?: string;
  readonly Sum?: string;
  readonly Zip?: string;
  readonly Dir?: string;
}

export function downloaded({ stdout }: GoResult): Downloaded[] {
  return stdout
    .split(/(?<=^\})\n/m)
    .filter((text) => text.trim() !== '')
    .map((text) => JSON.parse(text) as Downloaded);
}

/** A git for modferry that writes down how it is called, one line a run, and then is git. */
export interface RecordingGit {
  /** For `direct.git`. */
  readonly command: string;
  runs(): Promise<readonly string[]>;
  forget(): Promise<void>;
}

export async function recordingGit(dir: string): Promise<RecordingGit> {
  const [command, record] = [join(dir, 'recording-git'), join(dir, 'git-runs')];
  await writeFile(record, '');
  await writeFile(command, `#!/bin/sh\nprintf '%s\\n' "$*" >> '${record}'\nexec git "$@"\n`, { mode: 0o755 });
  return {
    command,
    runs: async () => (await readFile(record, 'utf8')).split('\n').filter((line) => line !== ''),
    forget: async () => await writeFile(record, ''),
  };
}

/** A module's files with one package; `more` wins. */
export function moduleFiles(
  path: string,
  more: Readonly<Record<string, FakeEntry>> = {},
): Readonly<Record<string, FakeEntry>> {
  const name =
    path
      .replace(/\/v\d+$/, '')
      .split('/')
      .at(-1) ?? '';
  return { 'go.mod': `module ${path}\n\ngo 1.21\n`, [`${name}.go`]: `package ${name}\n`, ...more };
}
