/**
 * A corpus of real modules for the bench and the end-to-end tests: what `go mod download` of the pinned project in
 * `bench/corpus/` fetches, kept in `.work/corpus` from run to run. It is fetched through this machine's own GOPROXY,
 * and proven complete by a second download from the folder alone before anyone sees it.
 */
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModferryError } from '../../src/lib/errors.ts';
import { type GoResult, goHome, runGo } from './go.ts';
import { unescapeName } from './go-names.ts';
import { type TempDir, tempDir } from './temp.ts';

export class CorpusError extends ModferryError<'download_failed' | 'incomplete'> {}

export interface Corpus {
  /** A folder in the layout of Go's download cache. Read only, please: it is shared. */
  readonly root: string;
  /** The modules of which the zip is there, sorted. */
  readonly modules: readonly { readonly path: string; readonly version: string; readonly zipBytes: number }[];
  /** The committed project whose `go mod download` asks for just these. Use copyProject to run `go` in it. */
  readonly project: string;
  /** Sum of all zips. */
  readonly zipBytes: number;
}

const REPOSITORY = join(import.meta.dirname, '../..');
const PROJECT = join(REPOSITORY, 'bench/corpus');
const PROJECT_FILES = ['go.mod', 'go.sum', 'main.go'];
/** Change it when a corpus made by older code will not do. */
const FORMAT = '1';

let known: Promise<Corpus> | undefined;

/**
 * Gives the corpus, fetching it if it is not there (some 150 MB, about half a minute). Safe to call from several
 * processes at once: the first complete one stays. Throws CorpusError with what `go` said.
 */
export function ensureCorpus(): Promise<Corpus> {
  known ??= find().catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

/** A copy of the corpus project in a folder of its own: `go` may write to it. */
export async function copyProject(): Promise<TempDir> {
  const dir = await tempDir('corpus-project');
  for (const name of PROJECT_FILES) await copyFile(join(PROJECT, name), join(dir.path, name));
  return dir;
}

async function find(): Promise<Corpus> {
  const hash = createHash('sha256').update(FORMAT);
  for (const name of ['go.mod', 'go.sum']) hash.update(await readFile(join(PROJECT, name)));
  const home = join(REPOSITORY, '.work/corpus', hash.digest('hex').slice(0, 16));
  const root = join(home, 'download');
  if (!(await exists(root))) await make(home, root);
  const modules = await modulesIn(root);
  const zipBytes = modules.reduce((sum, module) => sum + module.zipBytes, 0);
  return { root, modules, project: PROJECT, zipBytes };
}

async function make(folder: string, root: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const goProxy = (await runGo(['env', 'GOPROXY'], { env: realSettings() })).stdout.trim();
  await using first = await goHome();
  await using project = await copyProject();
  const fetched = await runGo(['mod', 'download'], {
    cwd: project.path,
    home: first,
    env: { GOPROXY: goProxy },
    usesNetwork: true,
    timeoutMs: 600_000,
  });
  if (fetched.code !== 0) {
    throw new CorpusError('download_failed', `cannot fetch the corpus; check the network: ${fetched.stderr}`);
  }
  const download = join(first.modCache, 'cache/download');
  await removeLocks(download);
  const replayed = await replay(download, project.path);
  if (replayed.code !== 0) {
    throw new CorpusError('incomplete', `the corpus lacks files that go asks for: ${replayed.stderr}`);
  }
  await publish(download, root);
}

/** Everything again, from the folder alone, on a machine that has nothing. */
async function replay(download: string, project: string): Promise<GoResult> {
  await using home = await goHome();
  const env = { GOPROXY: `file://${download}`, GOFLAGS: '-modcacherw -mod=mod', GONOSUMDB: '*' };
  return await runGo(['mod', 'download'], { cwd: project, home, env, timeoutMs: 600_000 });
}

/** One rename makes it visible, whole. The temporary folder may be on another disk, hence the copy before it. */
async function publish(download: string, root: string): Promise<void> {
  const staged = `${root}.${process.pid}`;
  await copyTree(download, staged);
  try {
    await rename(staged, root);
  } catch (error) {
    // Another process was first: its corpus is as good as ours.
    if (!(await exists(root))) throw error;
    await rm(staged, { recursive: true });
  }
  await writeFile(
    join(root, '../README'),
    'Real modules for the bench; remove the folder to fetch them again.\n',
  );
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    await (entry.isDirectory() ? copyTree(source, target) : copyFile(source, target));
  }
}

/** The go command's lock files are no part of what a server has. */
async function removeLocks(root: string): Promise<void> {
  for (const name of await readdir(root, { recursive: true })) {
    if (name.endsWith('.lock')) await rm(join(root, name));
  }
}

async function modulesIn(root: string): Promise<Corpus['modules']> {
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.zip')).sort();
  return Promise.all(
    names.map(async (name) => {
      const [path = '', file = ''] = name.slice(0, -'.zip'.length).split('/@v/');
      const { size } = await stat(join(root, name));
      return { path: unescapeName(path), version: unescapeName(file), zipBytes: size };
    }),
  );
}

/** GOENV and HOME as they are here: this machine's own settings are what is asked for. */
function realSettings(): Record<string, string | undefined> {
  const { GOPROXY, HOME, GOENV } = process.env;
  return { GOPROXY, HOME, GOENV };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
