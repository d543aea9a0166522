/** Test help: finders with usual options, and what each answer or refusal was. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { directRule } from '../../outbound/proxy-rule.ts';
import { VcsError } from '../types.ts';
import type { CredentialEntry, CredentialUse } from './entries.ts';
import {
  type CredentialFinderOptions,
  createCredentialFinder,
  type ExplainingCredentialFinder,
} from './finder.ts';

/** Aborts never. */
export const { signal } = new AbortController();

export function entry(match: string | readonly string[], use: CredentialUse): CredentialEntry {
  return { match: typeof match === 'string' ? [match] : match, use };
}

export function finderOf(
  entries: readonly CredentialEntry[],
  more: Partial<CredentialFinderOptions> = {},
): ExplainingCredentialFinder {
  return createCredentialFinder({
    entries,
    isPrivate: () => false,
    machineNetrc: undefined,
    env: { PATH: process.env['PATH'] },
    proxy: directRule,
    caFile: undefined,
    version: '1.2.3',
    clock: systemClock,
    ...more,
  });
}

/** The VcsError that `work` must reject with. */
export async function failure(work: Promise<unknown>): Promise<VcsError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof VcsError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Removed after the test. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-credentials-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
