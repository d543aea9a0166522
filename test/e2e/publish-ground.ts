/**
 * Two modferries on one data folder, one of them with TLS, and all that publishing to them takes: tokens of several
 * scopes, a repository, an author's folder, and machines whose `go` has a token.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import { type GoHome, type GoResult, goProject, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';
import { testAuthority } from '../kit/tls.ts';
import { type CommandResult, runModferry, withDefaults } from './support.ts';
import { askAs, tokenIn } from './upload-support.ts';

/** Tagged v1.1.0 in the repository. */
export const lib = 'git.corp.test/team/lib';

export interface PublishGround extends AsyncDisposable {
  readonly git: GitServer;
  /** A public upstream that records what it is asked. */
  readonly outside: FakeUpstream;
  readonly first: ModferryProcess;
  readonly second: ModferryProcess;
  readonly tokens: Readonly<Record<'team' | 'other' | 'reader' | 'admin', string>>;
  /** `modferry publish` or `unpublish` against the first one's TLS address. */
  command(token: string | undefined, ...args: readonly string[]): Promise<CommandResult>;
  /** `go` on a machine with the reader's token in its `.netrc`, whose only source is the first one's TLS address. */
  go(home: GoHome, args: readonly string[], cwd?: string): Promise<GoResult>;
  /** A folder with the module as its author has it. */
  checkout(version: string): Promise<string>;
  /** `@v/list` as the reader sees it. */
  list(path: string, process?: ModferryProcess): Promise<string>;
}

export async function publishGround(): Promise<PublishGround> {
  const dir = await tempDir('publish');
  const repositories = join(dir.path, 'repositories');
  const git = await startGitServer({ root: repositories });
  const outside = await startFakeUpstream();
  await makeGitRepo(join(repositories, 'team/lib.git'), [
    { files: { 'go.mod': goMod, 'lib.go': sourceOf('v1.1.0') }, tags: ['v1.1.0'] },
    { files: { 'lib.go': sourceOf('main') } },
  ]);
  const dataDir = join(dir.path, 'data');
  const tokens = {
    team: await tokenIn(dataDir, 'ci-team', { publish: ['git.corp.test/team/*'] }),
    other: await tokenIn(dataDir, 'ci-other', { publish: ['git.corp.test/other'] }),
    reader: await tokenIn(dataDir, 'reader', { read: ['git.corp.test'] }),
    admin: await tokenIn(dataDir, 'admin', { admin: true }),
  };
  const authority = await testAuthority(dir.path);
  const { certFile: cert, keyFile: key } = await authority.issue();
  const options = withDefaults({
    upstreams: [outside],
    dataDir,
    config: {
      private: ['git.corp.test'],
      direct: { enabled: false },
      tls: { cert, key },
      log: { access: 'all' },
    },
  });
  const first = await startModferry({ ...options, args: ['--listen', 'https://127.0.0.1:0'] });
  const second = await startModferry(options);
  const [, url = ''] = await first.waitForLine(/listening on (https:\/\/[\d.]+:\d+)/);
  const goEnv = {
    GOPROXY: url,
    GOPRIVATE: 'git.corp.test',
    GONOPROXY: 'none',
    SSL_CERT_FILE: authority.certFile,
    GOFLAGS: '-modcacherw -mod=mod',
  };
  return {
    git,
    outside,
    first,
    second,
    tokens,
    command: (token, ...args) =>
      runModferry([...args, '--server', url, '--ca-file', authority.certFile], {
        env: { HOME: dir.path, MODFERRY_TOKEN: token },
      }),
    async go(home, args, cwd) {
      const line = `machine ${new URL(url).host} login token password ${tokens.reader}\n`;
      await writeFile(join(home.path, '.netrc'), line, { mode: 0o600 });
      return await runGo(args, { home, env: goEnv, ...(cwd === undefined ? {} : { cwd }) });
    },
    async checkout(version) {
      const folder = join(dir.path, 'checkouts', version);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'go.mod'), goMod);
      await writeFile(join(folder, 'lib.go'), sourceOf(version));
      return folder;
    },
    async list(path, process = first) {
      return (await askAs(tokens.reader, process.url, `/${path}/@v/list`)).text;
    },
    async [Symbol.asyncDispose]() {
      for (const each of [first, second, git, outside]) await each.close();
      await dir.remove();
    },
  };
}

const goMod = `module ${lib}\n\ngo 1.21\n`;

export function sourceOf(version: string): string {
  return `package lib\n\nconst Version = "${version}"\n`;
}

/** A project that imports it. No command: linking one would make `go` compile its runtime first. */
export function importingProject(): Promise<TempDir> {
  const source = `package project\n\nimport "${lib}"\n\nvar _ = lib.Version\n`;
  return goProject({}, { files: { 'main.go': source } });
}

export interface AccessLine {
  readonly module?: string;
  readonly artifact?: string;
  readonly version?: string;
  readonly status?: number;
  readonly by?: string;
}

/** The access log so far; its newest lines may be a moment late. */
export function accessLines(process: ModferryProcess): AccessLine[] {
  return process
    .stderr()
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.includes('"msg":"request"'))
    .map((line) => JSON.parse(line) as AccessLine);
}
