/** What is read from a mirror, without any server: commits, trees, blobs, archives, and what of them is missing. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { GitCommit } from '../types.ts';
import type { GitCaller } from './git-caller.ts';
import type { GitCall, GitResult } from './git-command.ts';
import { gitError, looksCorrupt } from './git-error.ts';
import { archiveViewOf } from './mirror-folder.ts';

/** The files of the mirror are damaged or gone: it is to be made anew. Never leaves `git/`. */
export class CorruptMirror extends Error {}

/** An object that is not here, though its name is: a blob that a partial mirror has not fetched. */
const notHere =
  /promisor remote|not allowed|not a valid object name|bad object|bad revision|unknown revision|missing|bad file|Not a valid|could not get object info/i;

/** For a million tags. */
const maxNamesBytes = 256 * 2 ** 20;

export interface TreeEntry {
  readonly mode: string;
  readonly type: string;
  readonly hash: string;
}

type Call = Omit<GitCall, 'reach' | 'gitDir'>;

export class MirrorObjects {
  readonly #caller: GitCaller;
  readonly #gitDir: string;
  readonly #archiveTimeoutMs: number;

  constructor(caller: GitCaller, gitDir: string, archiveTimeoutMs: number) {
    this.#caller = caller;
    this.#gitDir = gitDir;
    this.#archiveTimeoutMs = archiveTimeoutMs;
  }

  /** Undefined: it is not here, or no commit. */
  async commit(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    const args = ['log', '-1', '--no-decorate', '--format=%H %ct', '--end-of-options', hash, '--'];
    const result = await this.#tried(args, { signal });
    const [, found, time] = /^([\da-f]+) (\d+)$/m.exec(result?.stdout.toString() ?? '') ?? [];
    return found === undefined ? undefined : { hash: found, committedAtS: Number(time) };
  }

  /** True when there is an object of this hash, of whatever kind. */
  async isThere(hash: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#tried(['cat-file', '-t', hash], { signal })) !== undefined;
  }

  /** Full hashes of all commits whose hash begins so. */
  async commitsBy(prefix: string, signal: AbortSignal): Promise<readonly string[]> {
    const objects = await this.#sure(['rev-parse', `--disambiguate=${prefix}`], { signal });
    const input = objects.stdout.toString();
    if (input.trim() === '') return [];
    const types = await this.#sure(['cat-file', '--batch-check=%(objecttype) %(objectname)'], {
      signal,
      input,
    });
    return [...types.stdout.toString().matchAll(/^commit ([\da-f]+)$/gm)].flatMap(([, hash]) => hash ?? []);
  }

  /** The tags that `commit` has in its history, itself included. */
  async tagsBefore(commit: string, signal: AbortSignal): Promise<readonly string[]> {
    const format = '--format=%(refname)';
    const { stdout } = await this.#sure(['for-each-ref', format, `--merged=${commit}`, '--', 'refs/tags/'], {
      signal,
      maxBytes: maxNamesBytes,
    });
    const prefix = 'refs/tags/';
    const lines = stdout.toString().split('\n');
    return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
  }

  /** What a path of a commit is; undefined: nothing. The commit must be here, and with it are all its trees. */
  async entry(commit: string, path: string, signal: AbortSignal): Promise<TreeEntry | undefined> {
    const [entry] = await this.entries(commit, [path], signal);
    return entry;
  }

  /** As `entry`; paths that are nothing are left out. */
  async entries(
    commit: string,
    paths: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly TreeEntry[]> {
    const args = ['ls-tree', '-z', '--full-tree', '--end-of-options', commit, '--', ...paths];
    const { stdout } = await this.#sure(args, { signal });
    const found: TreeEntry[] = [];
    for (const line of stdout.toString().split('\0')) {
      const [, mode, type, hash, name] = /^(\d+) (\w+) ([\da-f]+)\t(.*)$/s.exec(line) ?? [];
      if (mode === undefined || type === undefined || hash === undefined || name === undefined) continue;
      if (paths.includes(name)) found.push({ mode, type, hash });
    }
    return found;
  }

  /** Bytes; undefined: it is not here. */
  async blobSize(hash: string, signal: AbortSignal): Promise<number | undefined> {
    const result = await this.#tried(['cat-file', '-s', hash], { signal });
    return result === undefined ? undefined : Number(result.stdout.toString().trim());
  }

  async blob(hash: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return (await this.#sure(['cat-file', 'blob', hash], { signal, maxBytes })).stdout;
  }

  /** Hashes below this tree that are not here. */
  async missingBelow(tree: string, signal: AbortSignal): Promise<readonly string[]> {
    const missing: string[] = [];
    let rest = '';
    const onData = (chunk: Buffer): void => {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('?')) missing.push(line.slice(1));
    };
    const args = [
      'rev-list',
      '--objects',
      '--missing=print',
      '--no-object-names',
      '--end-of-options',
      tree,
      '--',
    ];
    await this.#sure(args, {
      signal,
      onData,
      maxBytes: Number.POSITIVE_INFINITY,
      timeoutMs: this.#archiveTimeoutMs,
    });
    return missing;
  }

  /** The blobs of the directory must be here. Leaves no file behind when it fails. */
  async archive(
    commit: string,
    directory: string,
    file: string,
    { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const output = createWriteStream(file, { mode: 0o600 });
    // Looked at when the stream is closed; without a listener it would end the process.
    let failure: Error | undefined;
    output.on('error', (error) => {
      failure ??= error;
    });
    const closed = new Promise<void>((resolve) => output.once('close', resolve));
    let isDone = false;
    try {
      const onData = async (chunk: Buffer): Promise<void> => {
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => output.write(chunk, () => resolve()));
      };
      const args = ['archive', '--format=zip', commit, '--', ...(directory === '' ? [] : [directory])];
      const call = { signal, maxBytes, onData, timeoutMs: this.#archiveTimeoutMs };
      await this.#sure(args, call, archiveViewOf(this.#gitDir));
      output.end();
      await closed;
      if (failure !== undefined) throw failure;
      isDone = true;
    } finally {
      if (!isDone) {
        output.destroy();
        await closed;
        await rm(file, { force: true });
      }
    }
  }

  /** Rejects with VcsError when git fails. */
  async #sure(args: readonly string[], call: Call, gitDir = this.#gitDir): Promise<GitResult> {
    const result = await this.#run(args, call, gitDir);
    if (result.exitCode !== 0) throw gitError(result);
    return result;
  }

  /** Undefined when git fails because something is not here. */
  async #tried(args: readonly string[], call: Call): Promise<GitResult | undefined> {
    const result = await this.#run(args, call, this.#gitDir);
    if (result.exitCode === 0) return result;
    if (notHere.test(result.stderr)) return undefined;
    throw gitError(result);
  }

  async #run(args: readonly string[], call: Call, gitDir: string): Promise<GitResult> {
    const result = await this.#caller.local(args, { ...call, gitDir });
    if (result.exitCode !== 0 && looksCorrupt(result.stderr)) {
      throw new CorruptMirror(gitError(result).message);
    }
    return result;
  }
}
