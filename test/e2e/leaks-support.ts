/**
 * What the leak tests share: two public upstreams and a checksum database that record all they hear and offer private
 * names of their own, the servers that private modules really come from, and a seeded stream of mixed requests.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import { escapeName } from '../kit/go-names.ts';
import { type SumdbLog, startSumdbLog } from '../kit/sumdb-log.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';

/** In every private name, branch and header of a client. Nothing public has it. */
export const secretWords = /corp\.test|sekret/i;
/** The version under which strangers offer private names. */
export const decoyVersion = 'v6.6.6';

const inGit = ['git.corp.test/team/lib', 'git.corp.test/team/dep', 'git.corp.test/Team/Upper'];
const inUpstream = ['up.corp.test/x/mod', 'up.corp.test/x/mod/v2'];
const inPublic = ['pub.test/a/lure', 'pub.test/a/lib', 'pub.test/Big/Mod', 'pub.test/a/lib/v2'];

export interface LeakGround extends AsyncDisposable {
  readonly dir: TempDir;
  /** The first one asked, and slow enough for a second question to go to the other. */
  readonly slow: FakeUpstream;
  readonly quick: FakeUpstream;
  readonly internal: FakeUpstream;
  readonly log: SumdbLog;
  readonly git: GitServer;
}

export async function leakGround(): Promise<LeakGround> {
  const dir = await tempDir('leaks');
  const requires = { 'git.corp.test/team/dep': 'v1.0.0', 'pub.test/a/lib': 'v1.0.0' };
  const lured = { ...requires, 'up.corp.test/x/mod': 'v1.0.0', 'machine.corp.test/m': 'v1.0.0' };
  const open = inPublic.map((path) =>
    fakeModule({
      path,
      version: path.endsWith('/v2') ? 'v2.0.0' : 'v1.0.0',
      goVersion: '1.16',
      ...(path.endsWith('lure') ? { requires: lured } : {}),
    }),
  );
  const decoys = [...inGit, ...inUpstream, 'machine.corp.test/m'].flatMap((path) =>
    ['v1.0.0', decoyVersion].map((version) =>
      fakeModule({ path, version: path.endsWith('/v2') ? 'v2.6.6' : version, files: { 'decoy.txt': 'x' } }),
    ),
  );
  const log = await startSumdbLog({ pad: 5, modules: [...open, ...uniqueOf(decoys)] });
  const modules = [...open, ...decoys];
  const slow = await startFakeUpstream({ modules, latencyMs: 400, sumdb: log.handler });
  const quick = await startFakeUpstream({ modules, sumdb: log.handler });
  const internal = await startFakeUpstream({
    modules: inUpstream.map((path) =>
      fakeModule({ path, requires, version: path.endsWith('/v2') ? 'v2.0.0' : 'v1.0.0' }),
    ),
  });
  const repositories = join(dir.path, 'repositories');
  for (const path of inGit) await makeRepository(repositories, path, requires);
  const git = await startGitServer({ root: repositories });
  const close = async (): Promise<void> => {
    for (const server of [slow, quick, internal, log, git]) await server.close();
    await dir.remove();
  };
  return { dir, slow, quick, internal, log, git, [Symbol.asyncDispose]: close };
}

function uniqueOf(modules: readonly FakeModule[]): FakeModule[] {
  return [...new Map(modules.map((module) => [`${module.path}@${module.version}`, module])).values()];
}

async function makeRepository(root: string, path: string, requires: Readonly<Record<string, string>>) {
  const lines = Object.entries(requires).filter(([name]) => name !== path);
  const goMod = `module ${path}\n\n${lines.map(([name, version]) => `require ${name} ${version}\n`).join('')}`;
  const files = {
    'go.mod': goMod,
    'a.go': 'package a\n',
    'sub/go.mod': `module ${path}/sub\n`,
    'sub/s.go': 'package s\n',
  };
  await makeGitRepo(join(root, `${path}.git`), [
    { files, tags: ['v1.0.0', 'sub/v0.1.0'] },
    { files: { 'a.go': 'package a // more\n' }, tags: ['v1.1.0'] },
    { files: { 'a.go': 'package a // later\n' } },
    { branch: 'sekret', from: 'main', files: { 'a.go': 'package a // sekret\n' } },
    { branch: 'two', from: 'main', files: { 'go.mod': `module ${path}/v2\n` }, tags: ['v2.0.0'] },
  ]);
}

/** What a modferry is given that keeps all of them private: by `private`, by a route, and by GOPRIVATE of its machine. */
export function leakConfig({ slow, quick, internal, git }: LeakGround) {
  return {
    upstreams: [
      { url: slow.url, name: 'slow' },
      { url: quick.url, name: 'quick' },
      { url: internal.url, name: 'internal', private: true },
    ],
    private: ['git.corp.test'],
    routes: [
      { match: 'up.corp.test/*', name: 'up', private: true, sources: 'internal', read: 'authenticated' },
    ],
    direct: {
      repositories: [{ match: ['git.corp.test', 'pub.test'], url: `${git.url}/{root}.git` }],
      allow_addresses: ['127.0.0.0/8'],
      machine_netrc: false,
    },
    webhooks: [{ name: 'forge', forge: 'generic', secret: 'sekret-of-the-forge' }],
    freshness: { list: '500ms', query: '500ms', private: '500ms', negative: '500ms', negative_list: '500ms' },
    health: { probe: { every: '500ms', idle_every: '500ms', out_every: '500ms' } },
    look_ahead: { enabled: true },
  };
}

/** Every private word that a public upstream or the checksum database was told, and how. */
export function leaksOf({ slow, quick, log }: Pick<LeakGround, 'slow' | 'quick' | 'log'>): string[] {
  const heard = [slow, quick, log.server].flatMap(({ requests }) =>
    requests.map(({ method, url, headers }) => `${method} ${url} ${JSON.stringify(headers)}`),
  );
  const asked = log.requests.map(({ path, via }) => `${via} ${path}`);
  return [...heard, ...asked].filter((text) => secretWords.test(readable(text)));
}

/** With everything that could hide a name undone: percent-encoding, Go's escapes, base64 of headers. */
function readable(text: string): string {
  const decoded = text.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const inBase64 = (text.match(/[\w+/]{8,}={0,2}/g) ?? []).map((word) =>
    Buffer.from(word, 'base64').toString('latin1'),
  );
  return [text, decoded, decoded.replaceAll('!', ''), ...inBase64].join('\n');
}

/**
 * What a process dialled and resolved, of `dial-recorder.mjs`, besides the `known` servers and one host: that of private
 * modules, which is asked by itself where a repository is that no rule names (`?go-get=1`).
 */
export function otherDials(file: string, known: readonly { readonly port: number }[]): string[] {
  const ours = new Set(known.map(({ port }) => `connect 127.0.0.1:${port}`));
  ours.add('connect git.corp.test:443').add('resolve git.corp.test');
  const lines = readFileSync(file, 'utf8').split('\n');
  // A path is a Unix socket of this machine.
  return lines.filter((line) => line !== '' && !ours.has(line) && !line.startsWith('connect /'));
}

export interface MixedRequest {
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** About a private module, as a client may write one. */
  readonly isPrivate: boolean;
  readonly isAnonymous: boolean;
}

/** The next of a stream that depends on the seed alone. */
export function mixedRequests(seed: number, token: string, sumdb: string): () => MixedRequest {
  const random = seeded(seed);
  const pick = (first: string, ...others: readonly string[]): string =>
    others[Math.floor(random() * (others.length + 1)) - 1] ?? first;
  const chance = (share: number): boolean => random() < share;

  function privatePath(): string {
    const known = pick('git.corp.test/team/lib', 'machine.corp.test/m', ...inGit, ...inUpstream);
    if (chance(0.6)) return known;
    const number = Math.floor(random() * 40);
    return pick(
      `${known}/v2`,
      `${known}/sub`,
      `${known}/sub/deeper`,
      // As `go get` asks for each prefix.
      known.slice(0, known.lastIndexOf('/')),
      known.slice(0, known.indexOf('/')),
      `${known}.`,
      `${known}x`,
      `git.corp.test/unknown/m${number}`,
      `up.corp.test/x/unknown${number}`,
      `machine.corp.test/sekret${number}`,
    );
  }

  function spelled(path: string): string {
    const escaped = escapeName(path);
    if (chance(0.7)) return escaped;
    return pick(
      escaped.replaceAll('!', '%21'),
      escaped.replace('.', '%2E'),
      escaped.replaceAll('.', '%252e'),
      escaped.replace('/', '%2F'),
      escaped.replace('/', '//'),
      escaped.replace('corp', '!corp'),
      escaped.replace('corp', 'CORP'),
      escaped.replace('.test/', '.test./'),
      `${escaped}/`,
      `./${escaped}`,
      path,
    );
  }

  return () => {
    const isPrivate = chance(0.75);
    const plain = isPrivate ? privatePath() : pick('pub.test/a/unknown', ...inPublic);
    const path = isPrivate ? spelled(plain) : escapeName(plain);
    const version = pick(plain.endsWith('/v2') ? 'v2.0.0' : 'v1.0.0', 'v1.1.0', 'v9.9.9', decoyVersion);
    const query = isPrivate ? pick('main', 'sekret', 'v1', 'deadbeefcafe') : pick('main', 'v1');
    const target = pick(
      `/${path}/@v/list`,
      `/${path}/@latest`,
      `/${path}/@v/${version}.info`,
      `/${path}/@v/${version}.mod`,
      `/${path}/@v/${version}.zip`,
      `/${path}/@v/${query}.info`,
      `/sumdb/${sumdb}/lookup/${path}@${version}`,
      isPrivate
        ? pick(
            `/sumdb/${sumdb}/lookup/${path}@${version}%2fgo.mod`,
            `/sumdb/sum.golang.org/lookup/${path}@${version}`,
            `/sumdb/git.corp.test/lookup/${path}@${version}`,
            `/sumdb/${sumdb}/../${path}`,
          )
        : pick(`/sumdb/${sumdb}/supported`, `/sumdb/${sumdb}/latest`, `/sumdb/${sumdb}/tile/8/0/000.p/1`),
    );
    const isAnonymous = chance(0.3);
    const basic = Buffer.from(`token:${token}`).toString('base64');
    return {
      method: chance(0.12) ? 'HEAD' : 'GET',
      path: target,
      isPrivate,
      isAnonymous,
      headers: {
        referer: 'https://git.corp.test/team/lib',
        'user-agent': 'sekret-client',
        ...(isAnonymous ? {} : { authorization: chance(0.5) ? `Bearer ${token}` : `Basic ${basic}` }),
        ...(chance(0.12) ? { range: 'bytes=0-9' } : {}),
        ...(chance(0.15) ? { 'cache-control': 'no-cache' } : {}),
        ...(chance(0.05) ? { 'disable-module-fetch': 'true' } : {}),
        ...(chance(0.2) ? { cookie: 'sekret=1', 'x-forwarded-host': 'git.corp.test' } : {}),
      },
    };
  };
}

/** Mulberry32: numbers from 0 to 1. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
