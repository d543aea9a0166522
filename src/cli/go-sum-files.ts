/** go.sum files as commands are given them: by name, or `-` for standard input. */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { type GoSum, readGoSum } from '../gomod/go-sum.ts';
import { messageOf } from '../lib/errors.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './context.ts';

export interface GoSumFile extends GoSum {
  /** As given; `standard input` for `-`. */
  readonly name: string;
}

/** Rejects with CliError `usage` when one cannot be read. */
export async function readGoSums(context: CliContext, names: readonly string[]): Promise<GoSumFile[]> {
  if (names.filter((name) => name === '-').length > 1) {
    throw new CliError('usage', 'standard input can be read only once; give - once');
  }
  const files: GoSumFile[] = [];
  for (const name of names) {
    const isStdin = name === '-';
    const source = isStdin ? context.stdin : createReadStream(resolve(context.cwd, name));
    try {
      const sum = await readGoSum(source as AsyncIterable<Uint8Array>);
      files.push({ ...sum, name: isStdin ? 'standard input' : name });
    } catch (error) {
      throw new CliError('usage', `cannot read ${name}: ${messageOf(error)}`, { cause: error });
    }
  }
  return files;
}
