/**
 * The git of whoever runs `modferry publish`, with their own configuration and credentials: it is their repository.
 * Arguments from outside cannot become options, and no shell takes part.
 */
import { execFile } from 'node:child_process';
import { errnoOf, ModferryError } from '../../lib/errors.ts';

const maxOutputBytes = 64 * 1024 * 1024;

/** `missing`: there is no git here. `failed`: it said no; the message is what it said. */
export class GitError extends ModferryError<'missing' | 'failed'> {}

export interface LocalGit {
  /** Standard output of a command in `folder`. Rejects with GitError, or the signal's reason. */
  run(folder: string, args: readonly string[]): Promise<Buffer>;
}

/** `env`: of the command line, so that git finds its configuration. */
export function localGit(env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): LocalGit {
  return {
    run: (folder, args) =>
      new Promise((resolve, reject) => {
        execFile(
          'git',
          // The time and the line ends of an archive must not depend on who makes it; as the go command does.
          ['-C', folder, '-c', 'core.autocrlf=input', '-c', 'core.eol=lf', ...args],
          {
            env: { ...env, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0', GIT_LITERAL_PATHSPECS: '1' },
            encoding: 'buffer',
            maxBuffer: maxOutputBytes,
            signal,
          },
          (error, stdout, stderr) => {
            if (error === null) resolve(stdout);
            else if (signal.aborted) reject(signal.reason);
            else if (errnoOf(error) === 'ENOENT') {
              reject(new GitError('missing', 'git is not installed, or not in PATH', { cause: error }));
            } else reject(new GitError('failed', lastLine(stderr) ?? error.message, { cause: error }));
          },
        );
      }),
  };
}

function lastLine(output: Buffer): string | undefined {
  const lines = output.toString().trim().split('\n');
  const line = lines.findLast((each) => /^(?:fatal|error):/.test(each)) ?? lines.at(-1) ?? '';
  return line === '' ? undefined : line.replaceAll(/\p{C}/gu, ' ');
}
