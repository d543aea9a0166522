/** Temporary files that a process left beside a file when it was killed before it could rename or remove them. */
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from './clock.ts';

/** Nobody writes at one of these files for so long, whatever the clocks of two machines differ by. */
const leftForMs = 10 * 60_000;

/**
 * Removes `FILE.HEX` and `FILE.lock.HEX` (12 digits, as made by `randomBytes(6)`) that did not change for 10 minutes.
 * To be called under the file's lock. Never rejects: what stays costs a little space.
 */
export async function removeLeftovers(file: string, clock: Clock): Promise<void> {
  const folder = dirname(file);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (!isTemporaryOf(basename(file), name)) continue;
    const path = join(folder, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts === undefined || clock.now() - facts.mtimeMs < leftForMs) continue;
    await rm(path, { force: true }).catch(() => {});
  }
}

function isTemporaryOf(file: string, name: string): boolean {
  return name.startsWith(`${file}.`) && /^(?:lock\.)?[0-9a-f]{12}$/.test(name.slice(file.length + 1));
}
