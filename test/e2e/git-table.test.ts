/**
 * Every odd repository (test/kit/odd-repositories.ts), as modferry finds its modules and as the real go command does in
 * direct mode: the same list, @latest, .info, .mod and `h1:` of the zip, and where one refuses, the other does too.
 *
 * One difference in .info is allowed: Ref. What Go's cache has of it depends on which query came first. Where that was
 * the version itself, the whole text is the same.
 */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../src/gomod/module-path.ts';
import type { Version } from '../../src/gomod/types.ts';
import { parseVersionQuery } from '../../src/gomod/version.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { messageOf } from '../../src/lib/errors.ts';
import { GitMirrorFolder } from '../../src/vcs/git/git-mirrors.ts';
import { infoOf, subdirOf } from '../../src/vcs/module/info-text.ts';
import { createRepositoryModule } from '../../src/vcs/module/repository-module.ts';
import { type RepositoryModule, VcsError } from '../../src/vcs/types.ts';
import { checkModuleZip } from '../../src/zip/module-zip-check.ts';
import { fileReader } from '../../src/zip/zip-repack.ts';
import { type FakeGitRepo, makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import { type GoHome, goHome, runGo } from '../kit/go.ts';
import { oddRepositories } from '../kit/odd-repositories.ts';
import { type OddModule, type OddRepository, oddModulePath } from '../kit/odd-repository.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';

/** What one side says of a version: texts, or undefined where it refuses. */
interface Answer {
  readonly version: string | undefined;
  /** Parsed, without Ref. */
  readonly info: unknown;
  /** As it was written. */
  readonly infoText: string | undefined;
  readonly mod: string | undefined;
  readonly h1: string | undefined;
}

interface GoModule {
  readonly Path: string;
  readonly Version?: string;
  readonly Versions?: readonly string[];
  readonly Query?: string;
  readonly Error?: unknown;
  readonly Info?: string;
  readonly GoMod?: string;
  readonly Sum?: string;
}

const nothing: Answer = {
  version: undefined,
  info: undefined,
  infoText: undefined,
  mod: undefined,
  h1: undefined,
};

const signal = new AbortController().signal;
const rows = oddRepositories.flatMap((repository) =>
  (repository.modules ?? [{ suffix: '' }]).map((module) => ({
    label: `${repository.name}${module.suffix}`,
    repository,
    module,
    path: oddModulePath(repository.name) + module.suffix,
  })),
);

let comparedTexts = 0;
let dir: TempDir;
let server: GitServer;
let home: GoHome;
let mirrors: GitMirrorFolder;
const repos = new Map<string, FakeGitRepo>();
const lists = new Map<string, GoModule>();
const latests = new Map<string, GoModule>();
const downloads = new Map<string, GoModule>();

beforeAll(async () => {
  dir = await tempDir('git-table');
  await mkdir(join(dir.path, 'out'));
  server = await startGitServer({ root: dir.path });
  home = await goHome();
  mirrors = new GitMirrorFolder({
    git: {
      searchPath: process.env['PATH'] ?? '',
      homeDir: join(dir.path, 'home'),
      transport: { protocols: ['http'] },
    },
    mirrors: { dir: join(dir.path, 'mirrors') },
    credentials: { find: async () => undefined },
    clock: systemClock,
  });
  for (const repository of oddRepositories) repos.set(repository.name, await build(repository));
  const paths = rows.map(({ path }) => path);
  for (const one of await goJson(['list', '-m', '-e', '-versions', '-retracted', '-json', ...paths])) {
    lists.set(one.Path, one);
  }
  for (const one of await goJson(['list', '-m', '-e', '-json', ...paths.map((path) => `${path}@latest`)])) {
    latests.set(one.Path, one);
  }
  const wanted = rows.flatMap(({ path, repository, module }) => {
    return wantedOf(path, repository, module).map((version) => `${path}@${version}`);
  });
  for (const one of await goJson(['mod', 'download', '-json', ...new Set(wanted)])) {
    downloads.set(`${one.Path}@${one.Query ?? one.Version ?? ''}`, one);
  }
});

afterAll(async () => {
  await mirrors.close();
  await server.close();
  await home.remove();
  await dir.remove();
});

async function build(repository: OddRepository): Promise<FakeGitRepo> {
  const { name, head = 'main', objectFormat = 'sha1' } = repository;
  const commits = repository.commits(oddModulePath(name));
  const repo = await makeGitRepo(join(dir.path, `team/${name}.git`), commits, { head, objectFormat });
  await repository.after?.(repo);
  return repo;
}

/** What is asked for: all that Go lists, and what the table says. */
function wantedOf(path: string, repository: OddRepository, module: OddModule): string[] {
  const asks = module.asks?.(repos.get(repository.name)?.commits ?? []) ?? [];
  return [...new Set([...(lists.get(path)?.Versions ?? []), ...asks])];
}

/** A go command that asks the repositories themselves, as files: a server would only start more processes. Its JSON values, one after another. */
async function goJson(args: readonly string[]): Promise<GoModule[]> {
  const gitConfig = join(home.path, 'gitconfig');
  await writeFile(gitConfig, `[url "file://${dir.path}/"]\n\tinsteadOf = https://git.example.test/\n`);
  const { stdout, stderr } = await runGo(args, {
    home,
    timeoutMs: 280_000,
    env: {
      GOPROXY: 'direct',
      GOVCS: '*:all',
      GOPRIVATE: 'git.example.test',
      GOINSECURE: 'git.example.test',
      GOFLAGS: '-modcacherw -mod=mod',
      GIT_CONFIG_GLOBAL: gitConfig,
      GIT_CONFIG_NOSYSTEM: '1',
    },
  });
  if (stdout === '') throw new Error(stderr);
  return stdout
    .split(/(?<=^\})\n/m)
    .filter((text) => text.trim() !== '')
    .map((text) => JSON.parse(text) as GoModule);
}

async function moduleOf(path: string, repository: OddRepository): Promise<RepositoryModule> {
  const place = placeOf(repository);
  const url = place.url.replace('https://git.example.test', server.url);
  const git = await mirrors.open({ ...place, url }, parseModulePath(path), signal);
  // Nothing is pushed meanwhile.
  return createRepositoryModule(git, place, parseModulePath(path), { freshMs: 600_000 });
}

function placeOf({ name }: OddRepository) {
  const url = `https://git.example.test/team/${name}`;
  return { vcs: 'git', url, root: oddModulePath(name), subdir: '' } as const;
}

/** The value, or undefined where modferry refuses for a reason that is in the repository. */
async function orRefused<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof VcsError)) throw error;
    expect(['absent', 'refused'], messageOf(error)).toContain(error.code);
    return undefined;
  }
}

async function ours(path: string, repository: OddRepository, asked: string): Promise<Answer> {
  const module = await moduleOf(path, repository);
  const place = placeOf(repository);
  const revision = await orRefused(module.revision(parseVersionQuery(asked), signal));
  if (revision === undefined) return nothing;
  const text = infoOf(revision, place, subdirOf(place, parseModulePath(path)));
  return {
    version: revision.version,
    info: withoutRef(text),
    infoText: text,
    mod: (await orRefused(module.goMod(revision.version, signal)))?.toString(),
    h1: await orRefused(h1Of(module, path, revision.version)),
  };
}

async function h1Of(module: RepositoryModule, path: string, version: Version): Promise<string> {
  const file = join(dir.path, 'out', `${path.replaceAll('/', '_')}@${version}.${Math.random()}.zip`);
  await module.zip(version, file, signal);
  await using handle = await open(file);
  const facts = await checkModuleZip(fileReader(handle, (await handle.stat()).size), { path, version });
  return facts.h1;
}

async function gos(path: string, asked: string): Promise<Answer> {
  const one = downloads.get(`${path}@${asked}`);
  if (one === undefined) throw new Error(`go said nothing of ${path}@${asked}`);
  const info = one.Info === undefined ? undefined : await readFile(one.Info, 'utf8');
  return {
    version: info === undefined ? undefined : one.Version,
    info: info === undefined ? undefined : withoutRef(info),
    infoText: info,
    mod: one.GoMod === undefined ? undefined : await readFile(one.GoMod, 'utf8'),
    h1: one.Sum,
  };
}

function withoutRef(text: string): unknown {
  const { Origin: origin, ...rest } = JSON.parse(text) as { Origin: Record<string, string> };
  const { Ref: _ref, ...others } = origin;
  return { ...rest, Origin: others };
}

describe('odd repositories', () => {
  it('are at least 30', () => {
    expect(new Set(rows.map(({ repository }) => repository.name)).size).toBeGreaterThanOrEqual(30);
  });

  it.each(rows)('$label', async ({ path, repository, module: row }) => {
    const module = await moduleOf(path, repository);
    const list = await orRefused(module.versions(signal));
    expect(list ?? []).toEqual(lists.get(path)?.Versions ?? []);
    const latest = await orRefused(module.latest(signal));
    const goLatest = latests.get(path);
    expect(latest?.version).toBe(goLatest?.Error === undefined ? goLatest?.Version : undefined);
    for (const asked of wantedOf(path, repository, row)) {
      const own = await ours(path, repository, asked);
      const theirs = await gos(path, asked);
      expect({ asked, ...own, infoText: undefined }).toEqual({ asked, ...theirs, infoText: undefined });
      // Go's cache has the ref of the first query that led to the version, which may have been another tag.
      const isByItsTag = theirs.infoText?.includes(`/${asked.replace('+incompatible', '')}"}`) === true;
      if (own.version !== asked || !isByItsTag) continue;
      expect(own.infoText).toBe(theirs.infoText);
      comparedTexts += 1;
    }
  });

  it('had many .info files to compare byte for byte', () => {
    expect(comparedTexts).toBeGreaterThan(60);
  });
});
