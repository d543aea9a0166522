/** Finds quarantine entries by what people type: the beginning of an id. */
import type { QuarantineEntry } from '../store/quarantine.ts';
import { CliError } from './cli-error.ts';

const shortest = 4;

/** Throws CliError: `usage` for what is no beginning of an id or fits several, `absent` when none has it. */
export function findEntry(entries: readonly QuarantineEntry[], prefix: string): QuarantineEntry {
  const wanted = prefix.toLowerCase();
  if (!/^[0-9a-f]{1,16}$/.test(wanted) || wanted.length < shortest) {
    throw new CliError(
      'usage',
      `"${prefix.slice(0, 40)}" is no id; write at least ${shortest} of its 16 characters, as modferry quarantine ls shows it`,
    );
  }
  const found = entries.filter(({ id }) => id.startsWith(wanted));
  const [first] = found;
  if (first === undefined) {
    throw new CliError('absent', `nothing in quarantine has the id ${wanted}; see modferry quarantine ls`);
  }
  if (found.length > 1) {
    const ids = found.slice(0, 5).map(({ id }) => id);
    throw new CliError('usage', `${wanted} is the beginning of ${found.length} ids: ${ids.join(', ')}`);
  }
  return first;
}

/** As JSON: times in RFC 3339. */
export function describeEntry(entry: QuarantineEntry): object {
  const { key, atMs, firstAtMs, ...rest } = entry;
  return {
    ...rest,
    module: key.path,
    version: key.version,
    artifact: key.ext,
    firstAt: new Date(firstAtMs).toISOString(),
    at: new Date(atMs).toISOString(),
  };
}

export function entryName({ key }: QuarantineEntry): string {
  return `${key.path}@${key.version}.${key.ext}`;
}
