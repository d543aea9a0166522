/**
 * What the tests of who may share: modules of two teams and of everybody behind one modferry, people in a password file,
 * tokens made by the command, and requests over http, https and Unix sockets that hide nothing.
 */
import { writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { expect } from 'vitest';
import { AuditReader } from '../../src/audit/audit-file.ts';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';
import { eventually, type ModferryFor, runModferry, withDefaults } from './support.ts';

export interface SendOptions {
  /** Default GET. */
  readonly method?: string;
  /** The Authorization header. */
  readonly as?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** PEM. Who signed the server's certificate. */
  readonly ca?: string;
  /** PEM: a client certificate and its key. */
  readonly client?: { readonly cert: string; readonly key: string };
}

export interface Sent {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** One request on a connection of its own. `base`: `http://…`, `https://…` or `unix:PATH`. Rejects when it is broken. */
export function send(base: string, path: string, options: SendOptions = {}): Promise<Sent> {
  const { method = 'GET', as, headers = {}, body, ca, client } = options;
  const authorization = as === undefined ? {} : { authorization: as };
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const all = { ...length, ...headers, ...authorization };
  const general = { method, path, headers: all, agent: false, timeout: 20_000 };
  const isUnix = base.startsWith('unix:');
  const { hostname, port } = new URL(isUnix ? 'http://localhost' : base);
  return new Promise((resolve, reject) => {
    const asked = isUnix
      ? requestHttp({ ...general, socketPath: base.slice('unix:'.length) })
      : base.startsWith('https:')
        ? requestHttps({ ...general, hostname, port, ca, ...client })
        : requestHttp({ ...general, hostname, port });
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: nothing for 20 s`)));
    asked.on('error', reject);
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers: answered } = response;
        const bytes = Buffer.concat(chunks);
        resolve({ status, headers: answered, body: bytes, text: bytes.toString('utf8') });
      });
    });
    asked.end(body);
  });
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export function bearer(token: string): string {
  return `Bearer ${token}`;
}

/** A line of a password file. The cheapest cost that is read: tests log in often. */
export function htpasswdLine(username: string, password: string): string {
  return `${username}:${hashSync(password, 4)}\n`;
}

export const moduleA = fakeModule({ path: 'corp.example/team-a/lib' });
export const moduleB = fakeModule({ path: 'corp.example/team-b/lib' });
/** Of a private route that gives no right to anybody. */
export const moduleClosed = fakeModule({ path: 'corp.example/closed/lib' });
/** Named by `private:` alone. */
export const moduleShort = fakeModule({ path: 'short.example/lib' });
export const moduleOpen = fakeModule({ path: 'open.example/lib' });

/** Logged in by the password file: Alice is of team A, Bob of team B. */
export const alice = basic('alice', 'alice-secret');
export const bob = basic('bob', 'bob-secret');

/** A team reads its own, and what tokens may, their scopes say. */
function teamRoute(team: string) {
  const readers = [`group:${team}`, 'tokens'];
  return {
    name: team,
    match: `corp.example/${team}`,
    private: true,
    sources: ['inner', 'published'],
    read: readers,
    publish: readers,
    admin: 'tokens',
  };
}

export const teamRoutes = [
  teamRoute('team-a'),
  teamRoute('team-b'),
  { name: 'closed', match: 'corp.example/closed', private: true },
];

export interface Sources extends AsyncDisposable {
  /** Has the modules of the teams. */
  readonly inner: FakeUpstream;
  /** Public: has `moduleOpen`, and must never hear of the others. */
  readonly outer: FakeUpstream;
  /** With `htpasswd` and `groups` in it. */
  readonly dir: TempDir;
  readonly htpasswdFile: string;
  readonly groupsFile: string;
  /** For a modferry over all of it. */
  readonly config: Readonly<Record<string, unknown>> & { readonly access: Readonly<Record<string, unknown>> };
}

export async function startSources(): Promise<Sources> {
  const dir = await tempDir('access');
  const queriesOf = (modules: readonly FakeModule[]) =>
    Object.fromEntries(modules.map(({ path }) => [`${path}@main`, 'v1.0.0']));
  const teams = [moduleA, moduleB, moduleClosed, moduleShort];
  const inner = await startFakeUpstream({ modules: teams, queries: queriesOf(teams) });
  const outer = await startFakeUpstream({ modules: [moduleOpen], queries: queriesOf([moduleOpen]) });
  const htpasswdFile = join(dir.path, 'htpasswd');
  await writeFile(htpasswdFile, htpasswdLine('alice', 'alice-secret') + htpasswdLine('bob', 'bob-secret'));
  const groupsFile = join(dir.path, 'groups');
  await writeFile(groupsFile, 'team-a: alice\nteam-b: bob\n');
  return {
    inner,
    outer,
    dir,
    htpasswdFile,
    groupsFile,
    config: {
      upstreams: [
        { name: 'inner', url: inner.url, private: true },
        { name: 'outer', url: outer.url },
      ],
      routes: teamRoutes,
      private: 'short.example',
      access: { htpasswd: htpasswdFile, groups: groupsFile },
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([inner.close(), outer.close(), dir.remove()]);
    },
  };
}

/** The URL that a process says it listens at besides its first, plain one. */
export async function otherUrl(proxy: ModferryProcess, scheme: 'https:' | 'unix:'): Promise<string> {
  const [, url = ''] = await proxy.waitForLine(new RegExp(`listening on (${scheme}\\S+)`));
  return url;
}

/** A modferry of a whole file; whoever starts it closes it. */
export async function start(options: ModferryFor): Promise<ModferryProcess> {
  return await startModferry(withDefaults(options));
}

/** Listens with TLS besides. */
export const listenTls = ['--listen', 'https://127.0.0.1:0'];

export interface MadeToken {
  readonly id: string;
  readonly token: string;
}

/** By the command, on the folder of a modferry that may be running. */
export async function makeToken(
  dataDir: string,
  name: string,
  flags: readonly string[] = [],
): Promise<MadeToken> {
  const made = await runModferry(['token', 'create', name, ...flags, '--json', '--data', dataDir]);
  expect(made).toMatchObject({ code: 0 });
  return JSON.parse(made.stdout) as MadeToken;
}

export interface AuditLine {
  readonly action: string;
  readonly who: string;
  readonly from: string;
  readonly result: string;
  readonly instance: string;
  readonly module?: string;
  readonly version?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** `modferry audit --json`, oldest first. */
export async function auditOf(dataDir: string, flags: readonly string[] = []): Promise<AuditLine[]> {
  const { code, stdout } = await runModferry(['audit', '--json', ...flags, '--data', dataDir]);
  expect(code).toBe(0);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as AuditLine);
}

/** Waits in this process: denials are gathered for a second before they are written. */
export async function untilAudited(
  dataDir: string,
  isThere: (records: readonly AuditRecord[]) => boolean,
): Promise<readonly AuditRecord[]> {
  const records: AuditRecord[] = [];
  const reader = new AuditReader(dataDir);
  const read = async (): Promise<readonly AuditRecord[]> => {
    await reader.read((record) => records.push(record));
    return records;
  };
  return await eventually(read, isThere);
}

export interface AccessLine {
  readonly method: string;
  readonly module?: string;
  readonly version?: string;
  readonly artifact: string;
  readonly status: number;
  readonly by?: string;
}

/** The access lines of a process, once they are all there. */
export async function accessLines(
  proxy: Pick<ModferryProcess, 'stderr'>,
  areThere: (lines: readonly AccessLine[]) => boolean,
): Promise<AccessLine[]> {
  const read = async (): Promise<AccessLine[]> =>
    proxy
      .stderr()
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes('"msg":"request"'))
      .map((line) => JSON.parse(line) as AccessLine);
  return await eventually(read, areThere);
}

/** The path of an artifact whose names need no escaping. */
export function fileOf({ path, version }: Pick<FakeModule, 'path' | 'version'>, ext: string): string {
  return `/${path}/@v/${version}.${ext}`;
}

/** Where a data folder keeps its tokens. */
export function tokensFile(dataDir: string): string {
  return join(dataDir, 'meta/tokens.json');
}
