/**
 * Markers of artifacts that were published unproven because no record could be reached: a file for each, so that
 * they are found again without walking the store. A marker stands before its artifact is visible and is only a hint:
 * the artifact and its record decide.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ArtifactKey } from '../../gomod/types.ts';
import { isCanonical } from '../../gomod/version.ts';
import type { Clock } from '../../lib/clock.ts';
import { createFile, isAbsence, readTextIfAny, statIfAny, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import { parseObject } from './json-object.ts';
import { artifactExts, keyHash, type Layout } from './layout.ts';
import type { Records } from './records.ts';

/** A marker younger than this may be of an artifact that is being published, or whose record is being written. */
const settledMs = 60_000;

export interface AwaitingProofOptions {
  readonly layout: Layout;
  readonly folders: FolderSync;
  /** A folder on the same file system. */
  readonly staging: string;
}

export class AwaitingProof {
  readonly #options: AwaitingProofOptions;

  constructor(options: AwaitingProofOptions) {
    this.#options = options;
  }

  /** Durable when it resolves. Rejects with the system's error. */
  async mark(key: ArtifactKey): Promise<void> {
    const { layout, folders, staging } = this.#options;
    const path = layout.awaitingProof(key);
    const temporary = join(staging, `unproven-${randomBytes(8).toString('hex')}`);
    await createFile(temporary, `${JSON.stringify(key)}\n`, true);
    await folders.replace(temporary, path);
  }

  /** Rejects with the system's error. */
  async unmark(key: ArtifactKey): Promise<void> {
    await unlinkIfAny(this.#options.layout.awaitingProof(key));
  }
}

export interface WalkOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly clock: Clock;
  /** True: markers of what no longer waits are removed. */
  readonly canRemove: boolean;
}

/** What still waits, name by name. Rejects with the system's error. */
export async function* walkAwaitingProof(options: WalkOptions): AsyncGenerator<ArtifactKey> {
  const { layout, canRemove } = options;
  let folder: fs.Dir;
  try {
    folder = await fs.promises.opendir(layout.awaiting);
  } catch (error) {
    if (isAbsence(error)) return;
    throw error;
  }
  for await (const { name } of folder) {
    const marker = join(layout.awaiting, name);
    const key = parseKey((await readTextIfAny(marker)) ?? '');
    if (key === undefined || name !== `${keyHash(key)}.json`) continue;
    if (await isWaiting(key, options)) yield key;
    else if (canRemove && (await isSettled(marker, options.clock))) await unlinkIfAny(marker);
  }
}

async function isWaiting(key: ArtifactKey, { layout, records }: WalkOptions): Promise<boolean> {
  if ((await statIfAny(layout.artifact(key)))?.isFile !== true) return false;
  const record = await records.stored(key);
  // A record that a power cut took knows less than the marker.
  if (record === undefined || (record.proof === undefined && record.unproven === undefined)) return true;
  return record.unproven === 'unreachable';
}

async function isSettled(marker: string, clock: Clock): Promise<boolean> {
  const facts = await statIfAny(marker);
  return facts !== undefined && clock.now() - facts.modifiedAtMs > settledMs;
}

function parseKey(text: string): ArtifactKey | undefined {
  const value = parseObject(text);
  return value === undefined ? undefined : keyIn(value);
}

/** The artifact's key in an object parsed from JSON; undefined when it has none by Go's rules. */
export function keyIn(value: Readonly<Record<string, unknown>>): ArtifactKey | undefined {
  const { path, version } = value;
  const ext = artifactExts.find((known) => known === value['ext']);
  if (ext === undefined || typeof path !== 'string' || typeof version !== 'string') return undefined;
  if (!isCanonical(version)) return undefined;
  try {
    return { path: parseModulePath(path), version, ext };
  } catch {
    return undefined;
  }
}
