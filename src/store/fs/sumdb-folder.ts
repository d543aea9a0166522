/** Answers of checksum databases as plain files, replaced atomically and never fsynced: they can be asked for again. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { type KeptSumdb, maxSumdbBytes } from '../store.ts';
import { isAbsence, isErrno, OpenFile, replaceFile } from './files.ts';
import type { Layout } from './layout.ts';

/** Rejects with the system's error. */
export async function readSumdb(
  layout: Layout,
  name: string,
  operation: string,
): Promise<KeptSumdb | undefined> {
  const path = layout.sumdb(name, operation);
  const kept = path === undefined ? undefined : await readSmallFile(path);
  return kept === undefined ? undefined : { body: kept.body, keptAtMs: kept.modifiedAtMs };
}

/** Rejects with the system's error. */
export async function* walkLookups(layout: Layout, name: string): AsyncGenerator<string> {
  const folder = layout.sumdbLookups(name);
  if (folder !== undefined) yield* filesIn(folder, 'lookup');
}

async function* filesIn(folder: string, operation: string): AsyncGenerator<string> {
  let entries: fs.Dir;
  try {
    entries = await fs.promises.opendir(folder);
  } catch (error) {
    if (isAbsence(error)) return;
    throw error;
  }
  for await (const entry of entries) {
    const below = `${operation}/${entry.name}`;
    if (entry.isDirectory()) yield* filesIn(join(folder, entry.name), below);
    else if (entry.isFile()) yield below;
  }
}

/** Undefined when there is no such file, or one longer than `maxSumdbBytes`. Rejects with the system's error. */
export async function readSmallFile(
  path: string,
): Promise<{ body: Buffer; modifiedAtMs: number } | undefined> {
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(path, 'r');
    const { isFile, sizeBytes, modifiedAtMs } = await file.stat();
    if (!isFile || sizeBytes > maxSumdbBytes) return undefined;
    const body = Buffer.alloc(sizeBytes);
    const read = await file.readAt(body, sizeBytes, 0);
    // Shorter only when somebody else writes it in place: nothing of ours does.
    return read === sizeBytes ? { body, modifiedAtMs } : undefined;
  } catch (error) {
    if (isAbsence(error) || isErrno(error, 'EISDIR')) return undefined;
    throw error;
  } finally {
    await file?.close();
  }
}

/** `staging` is a folder on the same file system. Rejects with the system's error. */
export async function writeSumdb(
  layout: Layout,
  staging: string,
  answer: { readonly name: string; readonly operation: string; readonly body: Buffer },
): Promise<boolean> {
  const path = layout.sumdb(answer.name, answer.operation);
  if (path === undefined || answer.body.length > maxSumdbBytes) return false;
  try {
    const temporary = join(staging, `sumdb-${randomBytes(8).toString('hex')}`);
    await replaceFile(path, answer.body, temporary);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENAMETOOLONG')) return false;
    throw error;
  }
}
