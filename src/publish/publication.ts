/**
 * The three files of a checked upload on their way into the store: .mod, .zip, and the .info last, so that a version is
 * whole as soon as it has one. It runs under the lock of its version.
 */
import { createHash } from 'node:crypto';
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { PublishFacts, PublishResult, Staged, Store } from '../store/store.ts';
import {
  isComplete,
  isLeftover,
  publishedSource,
  type StoredArtifact,
  type StoredVersion,
  storedVersion,
} from './stored-version.ts';
import { PublishError } from './types.ts';

/** An upload that was received whole and found good. */
export interface CheckedUpload {
  readonly path: ModulePath;
  readonly version: Version;
  /** Closed by its owner. */
  readonly zip: Staged;
  /** Lower-case hex. */
  readonly zipSha256: string;
  readonly h1: string;
  readonly goMod: Buffer;
  readonly goModH1: string;
}

export interface PublicationDeps {
  readonly store: Store;
  readonly clock: Clock;
  /** Rejects when the version may not be published any more. Called when a later purge would stop the publication. */
  confirm(): Promise<void>;
  /** Rejects when another process took the lock over. */
  check(): Promise<void>;
}

export interface PublicationResult {
  readonly outcome: 'published' | 'present';
  /** Of the zip that is stored. */
  readonly sizeBytes: number;
}

/** Rejects with PublishError `exists`, StoreError, or what `confirm` and `check` reject with. */
export async function publishUpload(
  upload: CheckedUpload,
  deps: PublicationDeps,
): Promise<PublicationResult> {
  const { path, version } = upload;
  const { store } = deps;
  const stored = await storedVersion(store, path, version);
  const difference = differenceOf(upload, stored);
  if (difference === undefined && isComplete(stored) && isSound(stored)) {
    return { outcome: 'present', sizeBytes: sizeOf(stored.zip) ?? upload.zip.sizeBytes };
  }
  if (difference === undefined) return await publishParts(upload, upload.zip, stored, deps);
  if (!isLeftover(stored)) throw exists(upload, difference);
  await store.purge({ path, version });
  // The purge has fenced what was staged before it.
  const again = await store.stage({ path, version, ext: 'zip' });
  try {
    await copyStaged(upload.zip, again);
    return await publishParts(upload, again, {}, deps);
  } finally {
    await again.close();
  }
}

async function publishParts(
  upload: CheckedUpload,
  zip: Staged,
  stored: StoredVersion,
  deps: PublicationDeps,
): Promise<PublicationResult> {
  const { path, version, goMod, goModH1, h1, zipSha256 } = upload;
  const { store, clock } = deps;
  const wasComplete = isComplete(stored);
  const small: Staged[] = [];
  const stageSmall = async (ext: ArtifactExt, body: Buffer): Promise<Staged> => {
    const staged = await store.stage({ path, version, ext });
    small.push(staged);
    await staged.write([body]);
    return staged;
  };
  const info = infoOf(version, clock.now());
  let hasBegun = false;
  try {
    // All are staged before anything can be seen: a purge or a tombstone from now on stops every part of it.
    const mod = await stageSmall('mod', goMod);
    const infoFile = await stageSmall('info', info);
    await deps.confirm();
    hasBegun = true;
    settle(upload, await mod.publish(factsOf(sha256Of(goMod), goModH1)));
    await deps.check();
    const zipResult = settle(upload, await zip.publish(factsOf(zipSha256, h1)));
    await deps.check();
    // Another .info, of a source or of an equal upload that was quicker, differs in its time only: it stays.
    await infoFile.publish({ sha256: sha256Of(info), source: publishedSource, unproven: 'none' });
    return { outcome: wasComplete ? 'present' : 'published', sizeBytes: zipResult.record.sizeBytes };
  } catch (error) {
    if (hasBegun && !wasComplete) await undo(upload, deps);
    throw error;
  } finally {
    for (const staged of small) await staged.close();
  }
}

/** Takes away what was published of a version that did not become whole. */
async function undo({ path, version }: CheckedUpload, deps: PublicationDeps): Promise<void> {
  try {
    // Without the lock it may be another's by now.
    await deps.check();
    const { store } = deps;
    if (isLeftover(await storedVersion(store, path, version))) await store.purge({ path, version });
  } catch {
    // It is not listed, and the next upload of this version takes its place or completes it.
  }
}

/** Rejects what lost against other content. */
function settle(upload: CheckedUpload, result: PublishResult): PublishResult {
  if (result.outcome !== 'conflict') return result;
  const { record } = result;
  throw exists(upload, { stored: record, what: record.h1 === undefined ? 'file' : 'content' });
}

interface Difference {
  readonly stored: StoredArtifact;
  readonly what: 'content' | 'go.mod' | 'file';
}

/** The first stored file that is another one than the upload has. Rotten ones are judged when they are published. */
function differenceOf(upload: CheckedUpload, { mod, zip }: StoredVersion): Difference | undefined {
  if (zip !== undefined && zip !== 'rotten') {
    const same = zip.sha256 === upload.zipSha256 || zip.h1 === upload.h1;
    if (!same) return { stored: zip, what: 'content' };
  }
  if (mod !== undefined && mod !== 'rotten' && mod.sha256 !== sha256Of(upload.goMod)) {
    return { stored: mod, what: 'go.mod' };
  }
  return undefined;
}

function exists(upload: CheckedUpload, { stored, what }: Difference): PublishError {
  const { path, version, h1, goModH1 } = upload;
  const storedH1 = stored === 'rotten' ? undefined : stored.h1;
  const source = stored === 'rotten' ? undefined : stored.source;
  const from = source === undefined || source === publishedSource ? '' : ` (from ${source})`;
  const offered = what === 'go.mod' ? goModH1 : h1;
  return new PublishError(
    'exists',
    `${path}@${version} is there already${from} with other content: its ${what} has ${storedH1 ?? 'another hash'}, the upload has ${offered}; ` +
      'a published version never changes, so publish this under a new version',
    { fields: { storedH1, offeredH1: offered } },
  );
}

function isSound(stored: StoredVersion): boolean {
  return Object.values(stored).every((artifact) => artifact !== 'rotten');
}

function sizeOf(artifact: StoredArtifact | undefined): number | undefined {
  return artifact === undefined || artifact === 'rotten' ? undefined : artifact.sizeBytes;
}

function factsOf(sha256: string, h1: string): PublishFacts {
  return { sha256, h1, source: publishedSource, unproven: 'off' };
}

/** As the go command writes it; the time is the one of the upload, in whole seconds. */
function infoOf(version: Version, atMs: number): Buffer {
  const time = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return Buffer.from(JSON.stringify({ Version: version, Time: time }));
}

function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

const copyBytes = 1024 * 1024;

async function copyStaged(from: Staged, to: Staged): Promise<void> {
  const block = Buffer.allocUnsafe(copyBytes);
  for (let position = 0; ; ) {
    const count = await from.readAt(block, copyBytes, position);
    if (count === 0) return;
    await to.write([block.subarray(0, count)]);
    position += count;
  }
}
