/** What is done once when a data folder is opened: folders, format, and what the file system can and cannot do. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { storeError } from '../store-error.ts';
import { createFile, isErrno, link, makeFolders, readTextIfAny, statIfAny, unlinkIfAny } from './files.ts';
import type { Layout } from './layout.ts';

const format = '1';

/** Rejects with StoreError `bad_format` or `in_use`, or the system's error. Reads only. */
export async function checkFolder(layout: Layout): Promise<void> {
  const found = await readTextIfAny(layout.format);
  if (found !== undefined) {
    // Empty: a power cut before the text reached the disk. It is written again.
    if (found.trim() === format || found.trim() === '') return;
    throw storeError(
      'bad_format',
      `${layout.data} has store format ${JSON.stringify(found.trim().slice(0, 40))}, this modferry knows ${format}`,
    );
  }
  const [goLock, download] = await Promise.all([
    statIfAny(join(layout.data, 'lock')),
    statIfAny(layout.download),
  ]);
  if (goLock?.isFile === true && download !== undefined) {
    throw storeError(
      'in_use',
      `${layout.data} is the cache folder of a go command, which rewrites the lists in it`,
    );
  }
}

/** Makes the folders and the format file. Rejects with the system's error. */
export async function makeLayout(layout: Layout): Promise<void> {
  for (const folder of [layout.download, layout.meta, layout.claims, layout.run]) await makeFolders(folder);
  if ((await readTextIfAny(layout.format))?.trim() === format) return;
  await unlinkIfAny(layout.format);
  await createFile(layout.format, `${format}\n`, true).catch((error: unknown) => {
    // Another process opened the new folder at the same time.
    if (!isErrno(error, 'EEXIST')) throw error;
  });
}

/**
 * True when artifacts can be published by hard link from staging. Rejects with StoreError `io` when the two are on
 * different file systems.
 */
export async function probeHardLinks(staging: string, layout: Layout): Promise<boolean> {
  const name = `.probe-${randomBytes(8).toString('hex')}`;
  const source = join(staging, name);
  const target = join(layout.download, name);
  try {
    await createFile(source, '');
    await link(source, target);
    return true;
  } catch (error) {
    if (isErrno(error, 'EXDEV')) {
      throw storeError(
        'io',
        `${layout.run} and ${layout.download} are on different file systems: put both on one`,
      );
    }
    if (isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL')) return false;
    // A full disk says nothing about links, and it must not keep the store from serving.
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) return true;
    throw error;
  } finally {
    await unlinkIfAny(target).catch(() => false);
    await unlinkIfAny(source).catch(() => false);
  }
}
