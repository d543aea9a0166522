/**
 * Git repositories for tests, built in one go from a description by `git fast-import`, with fixed dates and names, so
 * that their hashes are the same on every machine. Thousands of commits and tags take well under a second. It does not
 * import vitest, because the bench uses it too.
 *
 *     const repo = await makeGitRepo(join(dir.path, 'team/lib.git'), [
 *       { files: { 'go.mod': 'module example.com/lib\n', 'lib.go': 'package lib\n' }, tags: ['v1.0.0'] },
 *       { files: { 'lib.go': 'package lib // more\n' }, annotatedTags: ['v1.1.0'] },
 *       { branch: 'dev', from: 'main', files: { 'a/link': { symlink: '../lib.go' } } },
 *     ]);
 *     repo.commits[0]; // hash of the first
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A text or bytes is a regular file of mode 644; null takes the path away (also a whole folder). */
export type FakeEntry =
  | string
  | Buffer
  | { readonly content: string | Buffer; readonly executable?: boolean }
  | { readonly symlink: string }
  /** Hash of a commit, as a submodule's entry has it; `.gitmodules` is a file like any other. */
  | { readonly submodule: string }
  | null;

export interface FakeCommit {
  /** Branch it goes on top of. Default `main`. */
  readonly branch?: string;
  /**
   * Parent in place of the branch's tip: a branch, a tag, a full hash, or the number of a commit of the same
   * description, from 0. `null`: none, a new root.
   */
  readonly from?: string | number | null;
  /** Further parents. */
  readonly merge?: readonly (string | number)[];
  /** Path → entry, on top of what the parent has. */
  readonly files?: Readonly<Record<string, FakeEntry>>;
  /** Seconds since the epoch. Default: 2023-11-14T22:13:20Z, and a minute more for each commit. */
  readonly timeS?: number;
  /** Author's and committer's offset. Default `+0000`. */
  readonly zone?: string;
  readonly message?: string;
  readonly tags?: readonly string[];
  readonly annotatedTags?: readonly string[];
}

export interface GitRepoOptions {
  /** Where HEAD points. Default `main`. */
  readonly head?: string;
  /** Default `sha1`. */
  readonly objectFormat?: 'sha1' | 'sha256';
}

export interface FakeGitRepo {
  /** The bare repository. */
  readonly dir: string;
  /** Hashes of the commits of all descriptions so far, in their order. */
  readonly commits: readonly string[];
  /** Adds commits and tags; a tag that exists moves. Resolves to the new hashes. */
  add(...commits: FakeCommit[]): Promise<readonly string[]>;
  /** Moves or makes a ref (full name) by force. */
  setRef(name: string, hash: string): Promise<void>;
  deleteRef(name: string): Promise<void>;
  /** Runs git in it, with nobody's configuration; resolves to the output without the line end at its end. */
  git(args: readonly string[], input?: string | Buffer): Promise<string>;
}

const firstTimeS = 1_700_000_000;
const person = 'A U Thor <author@example.com>';

/** Environment of a git that knows nobody's configuration. */
export function plainGitEnv(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'A U Thor',
    GIT_AUTHOR_EMAIL: 'author@example.com',
    GIT_AUTHOR_DATE: `${firstTimeS} +0000`,
    GIT_COMMITTER_NAME: 'A U Thor',
    GIT_COMMITTER_EMAIL: 'author@example.com',
    GIT_COMMITTER_DATE: `${firstTimeS} +0000`,
    LC_ALL: 'C',
  };
}

/** Makes a bare repository at `dir` (with its parents). Rejects with what git said. */
export async function makeGitRepo(
  dir: string,
  commits: readonly FakeCommit[] = [],
  { head = 'main', objectFormat = 'sha1' }: GitRepoOptions = {},
): Promise<FakeGitRepo> {
  await mkdir(dir, { recursive: true });
  const init = ['init', '--quiet', '--bare', `--object-format=${objectFormat}`, `--initial-branch=${head}`];
  await run('git', [...init, '--template=', dir], { env: plainGitEnv() });
  const repo = new Repo(dir);
  await repo.add(...commits);
  return repo;
}

class Repo implements FakeGitRepo {
  readonly dir: string;
  readonly commits: string[] = [];

  constructor(dir: string) {
    this.dir = dir;
  }

  async add(...commits: FakeCommit[]): Promise<readonly string[]> {
    if (commits.length === 0) return [];
    const listed = await this.git(['for-each-ref', '--format=%(refname)']);
    const known = new Set(listed.split('\n'));
    const stream = new ImportStream(this.commits.length, known);
    commits.forEach((commit, index) => stream.commit(commit, index + 1));
    for (let mark = 1; mark <= commits.length; mark += 1) stream.printHash(mark);
    const printed = await this.git(['fast-import', '--quiet', '--force', '--done'], stream.end());
    const hashes = printed.split('\n');
    this.commits.push(...hashes);
    return hashes;
  }

  async setRef(name: string, hash: string): Promise<void> {
    await this.git(['update-ref', name, hash]);
  }

  async deleteRef(name: string): Promise<void> {
    await this.git(['update-ref', '-d', name]);
  }

  async git(args: readonly string[], input?: string | Buffer): Promise<string> {
    const child = spawn('git', args, { cwd: this.dir, env: { ...plainGitEnv(), GIT_DIR: this.dir } });
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    // git may end before it has read all.
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    const [out, err, code] = await Promise.all([buffer(child.stdout), buffer(child.stderr), exit]);
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${code}: ${err.toString()}`);
    return out.toString().replace(/\n$/, '');
  }
}

/** The input of fast-import. Marks count from 1 within one stream. */
class ImportStream {
  readonly #parts: (string | Buffer)[] = ['feature done\n'];
  /** Commits that were there before this stream. */
  readonly #before: number;
  readonly #known: Set<string>;
  /** Ref → mark of what this stream made it point to. */
  readonly #made = new Map<string, number>();

  constructor(before: number, known: Set<string>) {
    this.#before = before;
    this.#known = known;
  }

  commit(commit: FakeCommit, mark: number): void {
    const { branch = 'main', files = {}, merge = [], zone = '+0000', message = `commit ${mark}` } = commit;
    const ref = `refs/heads/${branch}`;
    const when = `${commit.timeS ?? firstTimeS + 60 * (this.#before + mark - 1)} ${zone}`;
    if (commit.from === null) this.#parts.push(`reset ${ref}\n\n`);
    this.#parts.push(`commit ${ref}\nmark :${mark}\nauthor ${person} ${when}\ncommitter ${person} ${when}\n`);
    this.#data(message);
    if (commit.from !== undefined && commit.from !== null)
      this.#parts.push(`from ${this.#name(commit.from)}\n`);
    else if (commit.from === undefined && !this.#made.has(ref) && this.#known.has(ref)) {
      this.#parts.push(`from ${ref}^0\n`);
    }
    for (const other of merge) this.#parts.push(`merge ${this.#name(other)}\n`);
    for (const [path, entry] of Object.entries(files)) this.#file(path, entry);
    this.#made.set(ref, mark);
    for (const tag of [...(commit.tags ?? []), ...(commit.annotatedTags ?? [])]) {
      this.#made.set(`refs/tags/${tag}`, mark);
    }
    for (const tag of commit.tags ?? []) this.#parts.push(`reset refs/tags/${tag}\nfrom :${mark}\n\n`);
    for (const tag of commit.annotatedTags ?? []) {
      this.#parts.push(`tag ${tag}\nfrom :${mark}\ntagger ${person} ${when}\n`);
      this.#data(`release ${tag}`);
    }
  }

  /** Makes fast-import say the hash of a commit. */
  printHash(mark: number): void {
    this.#parts.push(`get-mark :${mark}\n`);
  }

  end(): Buffer {
    this.#parts.push('done\n');
    return Buffer.concat(this.#parts.map((part) => Buffer.from(part)));
  }

  #name(parent: string | number): string {
    if (typeof parent === 'number') return `:${parent + 1}`;
    if (/^[\da-f]{40,64}$/.test(parent)) return parent;
    for (const ref of [`refs/heads/${parent}`, `refs/tags/${parent}`]) {
      const mark = this.#made.get(ref);
      if (mark !== undefined) return `:${mark}`;
      if (this.#known.has(ref)) return `${ref}^0`;
    }
    return `refs/tags/${parent}^0`;
  }

  #file(path: string, entry: FakeEntry): void {
    const quoted = /^"|\n/.test(path)
      ? `"${path.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
      : path;
    if (entry === null) {
      this.#parts.push(`D ${quoted}\n`);
    } else if (typeof entry === 'string' || Buffer.isBuffer(entry)) {
      this.#parts.push(`M 100644 inline ${quoted}\n`);
      this.#data(entry);
    } else if ('symlink' in entry) {
      this.#parts.push(`M 120000 inline ${quoted}\n`);
      this.#data(entry.symlink);
    } else if ('submodule' in entry) {
      this.#parts.push(`M 160000 ${entry.submodule} ${quoted}\n`);
    } else {
      this.#parts.push(`M ${entry.executable === true ? '100755' : '100644'} inline ${quoted}\n`);
      this.#data(entry.content);
    }
  }

  #data(content: string | Buffer): void {
    const bytes = Buffer.from(content);
    this.#parts.push(`data ${bytes.length}\n`, bytes, '\n');
  }
}
