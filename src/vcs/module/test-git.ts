/**
 * GitRepository over a local bare repository, one git process a question: for tests of the module rules that need no
 * mirror and no server. It answers as `git/` does.
 */
import { execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { plainGitEnv } from '../../../test/kit/git-repo.ts';
import type { GitCommit, GitRef, GitRepository } from '../types.ts';
import { VcsError } from '../types.ts';

const run = promisify(execFile);

export class LocalGitRepository implements GitRepository {
  readonly url: string;
  readonly #dir: string;
  /** Names of the methods called, in order. */
  readonly calls: string[] = [];

  constructor(dir: string, url = 'https://git.example.test/team/x') {
    this.#dir = dir;
    this.url = url;
  }

  async refs(maxAgeMs: number): Promise<readonly GitRef[]> {
    this.calls.push(`refs ${maxAgeMs}`);
    const format = '%(refname) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)';
    const text = await this.#git('for-each-ref', `--format=${format}`, 'refs/heads', 'refs/tags');
    const refs = lines(text).map((line): GitRef => {
      const space = line.lastIndexOf(' ');
      return { name: line.slice(0, space), commit: line.slice(space + 1) };
    });
    const head = await this.#git('rev-parse', '--verify', '--quiet', 'HEAD').catch(() => '');
    return head === '' ? refs : [...refs, { name: 'HEAD', commit: head }];
  }

  async resolveHash(hash: string, signal: AbortSignal): Promise<GitCommit | undefined> {
    const full = await this.#git('rev-parse', '--verify', '--quiet', `${hash}^{commit}`).catch(() => '');
    if (full === '') return undefined;
    const holders = await this.#git('for-each-ref', `--contains=${full}`, 'refs/heads', 'refs/tags');
    return holders === '' ? undefined : this.commit(full, signal);
  }

  async commit(hash: string, _signal: AbortSignal): Promise<GitCommit> {
    try {
      const time = await this.#git('show', '-s', '--format=%ct', `${hash}^{commit}`, '--');
      return { hash, committedAtS: Number(time) };
    } catch (cause) {
      throw new VcsError('absent', `there is no commit ${hash}`, { cause });
    }
  }

  async tagsBefore(commit: string): Promise<readonly string[]> {
    this.calls.push('tagsBefore');
    return lines(
      await this.#git('for-each-ref', '--format=%(refname)', `--merged=${commit}`, 'refs/tags'),
    ).map((name) => name.slice('refs/tags/'.length));
  }

  async readFile(commit: string, path: string, maxBytes: number): Promise<Buffer | undefined> {
    this.calls.push(`readFile ${path}`);
    const type = await this.#git('cat-file', '-t', `${commit}:${path}`).catch(() => '');
    if (type !== 'blob') return undefined;
    const args = ['cat-file', 'blob', `${commit}:${path}`];
    const { stdout } = await run('git', args, {
      ...this.#options(),
      encoding: 'buffer',
      maxBuffer: 64 << 20,
    });
    if (stdout.length > maxBytes) throw new VcsError('too_large', `${path} has more than ${maxBytes} bytes`);
    return stdout;
  }

  async isDirectory(commit: string, path: string): Promise<boolean> {
    return (await this.#git('cat-file', '-t', `${commit}:${path}`).catch(() => '')) === 'tree';
  }

  async archive(
    commit: string,
    directory: string,
    file: string,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<void> {
    await mkdir(join(this.#dir, 'info'), { recursive: true });
    await writeFile(join(this.#dir, 'info/attributes'), '* -export-subst -export-ignore\n');
    const settings = ['-c', 'core.autocrlf=input', '-c', 'core.eol=lf'];
    const what = directory === '' ? [] : [directory];
    const child = spawn('git', [...settings, 'archive', '--format=zip', commit, ...what], this.#options());
    let length = 0;
    await pipeline(
      child.stdout,
      async function* limited(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          length += chunk.length;
          if (length > options.maxBytes) throw new VcsError('too_large', 'the archive is too large');
          yield chunk;
        }
      },
      createWriteStream(file, { flags: 'wx' }),
      { signal: options.signal },
    );
  }

  async #git(...args: string[]): Promise<string> {
    const { stdout } = await run('git', args, { ...this.#options(), maxBuffer: 64 << 20 });
    return stdout.trim();
  }

  #options(): { cwd: string; env: NodeJS.ProcessEnv } {
    return { cwd: this.#dir, env: { ...plainGitEnv(), GIT_DIR: this.#dir } };
  }
}

function lines(text: string): string[] {
  return text === '' ? [] : text.split('\n');
}
