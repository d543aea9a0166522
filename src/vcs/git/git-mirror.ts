/**
 * One repository as a bare mirror. Everything is read from the mirror without the server where that can be; the server
 * is fetched from when somebody wants what the mirror does not have. The blobs that a partial mirror lacks are fetched
 * before they are read, all at once.
 */
import type { ModulePath } from '../../gomod/types.ts';
import { type GitCommit, type GitRef, type GitRepository, VcsError } from '../types.ts';
import { checkedHash, checkedPath, isHashPrefix } from './git-argument.ts';
import { CorruptMirror, MirrorObjects } from './mirror-objects.ts';
import { type GitMirrorParts, MirrorRefresh } from './mirror-refresh.ts';

const maxKnownCommits = 4_096;

export class GitMirror implements GitRepository {
  readonly url: string;
  readonly #objects: MirrorObjects;
  readonly #refresh: MirrorRefresh;
  readonly #fetchesUnlisted: boolean;
  /** Commits that are here, the latest last. */
  readonly #known = new Map<string, GitCommit>();

  constructor(parts: GitMirrorParts) {
    const { caller, limits, gitDir, url } = parts;
    this.url = url;
    this.#objects = new MirrorObjects(caller, gitDir, limits.archiveTimeoutMs);
    this.#refresh = new MirrorRefresh(parts);
    this.#fetchesUnlisted = limits.fetchUnlistedCommits;
  }

  get isIdle(): boolean {
    return this.#refresh.isIdle;
  }

  openedFor(path: ModulePath): void {
    this.#refresh.openedFor(path);
  }

  /** Nobody is going to ask for it any more. */
  forgotten(): void {
    this.#refresh.forgotten();
  }

  /** The next `refs` asks, and does not take the answer to a question that was asked before. */
  expire(): void {
    this.#refresh.expire();
  }

  /** Ends what is under way with the server and waits until it is over. */
  async close(): Promise<void> {
    await this.#refresh.close();
  }

  async refs(maxAgeMs: number, signal: AbortSignal): Promise<readonly GitRef[]> {
    return await this.#refresh.refs(maxAgeMs, signal);
  }

  async commit(hash: string, signal: AbortSignal): Promise<GitCommit> {
    const found = await this.#find(checkedHash(hash), signal);
    if (found === undefined)
      throw this.#absent(`no commit ${hash.slice(0, 12)} that a branch or tag leads to`);
    return found;
  }

  async resolveHash(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    if (!isHashPrefix(hash)) return undefined;
    if (hash.length === 40 || hash.length === 64) {
      return (await this.#find(hash, signal)) ?? (await this.#fetchUnlisted(hash, signal));
    }
    const lookUp = (): Promise<readonly string[]> =>
      this.#read(signal, () => this.#objects.commitsBy(hash, signal));
    let [full, ...others] = this.#refresh.isMade ? await lookUp() : [];
    if (full === undefined) {
      await this.#refresh.refs(0, signal);
      await this.#refresh.catchUp(signal);
      [full, ...others] = await lookUp();
    }
    if (others.length > 0) {
      throw this.#absent(
        `more than one commit that begins with ${hash}; give more digits of the one that is meant`,
      );
    }
    return full === undefined ? undefined : await this.#find(full, signal);
  }

  async tagsBefore(commit: string, signal: AbortSignal): Promise<readonly string[]> {
    await this.commit(commit, signal);
    await this.#refresh.catchUp(signal);
    return await this.#read(signal, () => this.#objects.tagsBefore(commit, signal));
  }

  async readFile(
    commit: string,
    path: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    await this.commit(commit, signal);
    const checked = checkedPath(path);
    if (checked === undefined || checked === '') return undefined;
    return await this.#read(signal, async () => {
      const entry = await this.#objects.entry(commit, checked, signal);
      // Links too: Go reads go.mod and LICENSE by `git cat-file blob`, which gives a link's target.
      if (entry?.type !== 'blob') return undefined;
      let sizeBytes = await this.#objects.blobSize(entry.hash, signal);
      if (sizeBytes === undefined) {
        await this.#refresh.fetchObjects([entry.hash], signal);
        sizeBytes = await this.#objects.blobSize(entry.hash, signal);
      }
      if (sizeBytes === undefined) throw this.#notGiven();
      if (sizeBytes > maxBytes) {
        throw new VcsError(
          'too_large',
          `${checked} has ${sizeBytes} bytes, more than the ${maxBytes} that it may have`,
        );
      }
      return await this.#objects.blob(entry.hash, maxBytes, signal);
    });
  }

  async isDirectory(commit: string, path: string, signal: AbortSignal): Promise<boolean> {
    await this.commit(commit, signal);
    const checked = checkedPath(path);
    if (checked === undefined || checked === '') return checked === '';
    return await this.#read(
      signal,
      async () => (await this.#objects.entry(commit, checked, signal))?.type === 'tree',
    );
  }

  async archive(
    commit: string,
    directory: string,
    file: string,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { signal } = options;
    await this.commit(commit, signal);
    const checked = checkedPath(directory);
    if (checked === undefined) throw this.#absent('no directory of such a name');
    await this.#read(signal, async () => {
      const missing = await this.#missingFor(commit, checked, signal);
      if (missing.length > 0) await this.#refresh.fetchObjects(missing, signal);
      await this.#objects.archive(commit, checked, file, options);
    });
  }

  /** All that the archive of a directory is made from and that is not here: its blobs, and the attributes from above it. */
  async #missingFor(commit: string, directory: string, signal: AbortSignal): Promise<readonly string[]> {
    if (directory === '') return await this.#objects.missingBelow(`${commit}^{tree}`, signal);
    const tree = await this.#objects.entry(commit, directory, signal);
    if (tree?.type !== 'tree')
      throw this.#absent(`no directory ${directory} in commit ${commit.slice(0, 12)}`);
    const missing = new Set(await this.#objects.missingBelow(tree.hash, signal));
    for (const { type, hash } of await this.#objects.entries(commit, attributesAbove(directory), signal)) {
      if (type !== 'blob' || missing.has(hash)) continue;
      if ((await this.#objects.blobSize(hash, signal)) === undefined) missing.add(hash);
    }
    return [...missing];
  }

  /** From the mirror, else from the server; undefined: no branch and no tag leads to it. */
  async #find(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const here = this.#refresh.isMade ? await this.#look(hash, signal) : undefined;
    if (here !== undefined) return here;
    if (!this.#refresh.isListed(hash)) await this.#refresh.refs(0, signal);
    await this.#refresh.catchUp(signal);
    const found = await this.#look(hash, signal);
    if (found !== undefined || !this.#refresh.isListed(hash)) return found;
    return await this.#findListed(hash, signal);
  }

  /** What the server named and the fetch did not bring: its ref moved in between, or files of the mirror went away. */
  async #findListed(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    if (await this.#read(signal, () => this.#objects.isThere(hash, signal))) return undefined;
    await this.#refresh.refs(0, signal);
    if (!this.#refresh.isListed(hash)) return undefined;
    await this.#refresh.catchUp(signal);
    return await this.#read(signal, async () => {
      const found = await this.#look(hash, signal);
      if (found !== undefined || !this.#refresh.isListed(hash)) return found;
      throw new CorruptMirror(`commit ${hash} is missing`);
    });
  }

  /** Only in the mirror. */
  async #look(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    const found = await this.#read(signal, () => this.#objects.commit(hash, signal));
    return found?.hash === hash ? this.#remember(found) : undefined;
  }

  #remember(commit: GitCommit): GitCommit {
    this.#known.set(commit.hash, commit);
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxKnownCommits && oldest !== undefined) this.#known.delete(oldest);
    return commit;
  }

  async #fetchUnlisted(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    if (!this.#fetchesUnlisted) return undefined;
    try {
      await this.#read(signal, () => this.#refresh.fetchObjects([hash], signal));
    } catch (error) {
      // "Not our ref" and its like; what could not be asked is no knowledge.
      if (error instanceof VcsError && (error.code === 'failed' || error.code === 'absent')) return undefined;
      throw error;
    }
    return await this.#look(hash, signal);
  }

  /** Reads from the mirror, made when there is none; a damaged one is made anew, once. */
  async #read<Result>(signal: AbortSignal, read: () => Promise<Result>): Promise<Result> {
    if (!this.#refresh.isMade) await this.#refresh.catchUp(signal);
    const generation = this.#refresh.generation;
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof CorruptMirror)) throw error;
    }
    if (generation === this.#refresh.generation) {
      this.#known.clear();
      await this.#refresh.remake(generation, signal);
    }
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof CorruptMirror)) throw error;
      throw new VcsError(
        'failed',
        `the mirror of ${this.#host} was made anew and cannot be read again: ${error.message}`,
      );
    }
  }

  get #host(): string {
    return URL.parse(this.url)?.host ?? '';
  }

  #absent(what: string): VcsError {
    return new VcsError('absent', `the repository at ${this.#host} has ${what}`);
  }

  #notGiven(): VcsError {
    return new VcsError('failed', `${this.#host} did not give a file that its own tree names`);
  }
}

/** The attribute files that have a say in a directory and lie outside of it. */
function attributesAbove(directory: string): readonly string[] {
  const parents = directory.split('/').slice(0, -1);
  return ['', ...parents.map((_, index) => `${parents.slice(0, index + 1).join('/')}/`)].map(
    (folder) => `${folder}.gitattributes`,
  );
}
