/**
 * The module zip of a commit: git's own archive of the module's directory, packed anew under the names that Go wants.
 * What git packed is copied as it is, so the cost is that of `git archive` and one copy (docs/decisions/0024).
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { parseGoModLax } from '../../gomod/go-mod-file.ts';
import { ExtraRules } from '../../zip/extra-rules.ts';
import { selectModuleFiles, type TreeFile } from '../../zip/module-files.ts';
import type { ZipEntry } from '../../zip/zip-format.ts';
import { ReadWindow, readDirectory } from '../../zip/zip-reader.ts';
import { fileReader, type RepackedFile, repackZip } from '../../zip/zip-repack.ts';
import { defaultZipLimits, ZipError } from '../../zip/zip-types.ts';
import { VcsError } from '../types.ts';
import { inDirectory } from './module-place.ts';
import type { ResolvedRevision } from './resolve-revision.ts';
import type { RevisionReader } from './revision-reader.ts';

/** A file with the name that it has below the module's root. */
interface PackedFile extends TreeFile {
  readonly source: { readonly entry: ZipEntry } | { readonly content: Buffer };
}

/**
 * Writes the zip to `file`, which must not be there yet (`file` + `.archive` neither, used meanwhile). Rejects with
 * VcsError: `refused` and a sentence when Go refuses the files, `too_large` beyond 500 MiB. After a failure nothing is left.
 */
export async function writeModuleZip(
  reader: RevisionReader,
  revision: ResolvedRevision,
  file: string,
  maxBytes: number = defaultZipLimits.zipBytes,
): Promise<void> {
  const archive = `${file}.archive`;
  let isWritten = false;
  try {
    await reader.repository.archive(revision.commit, revision.directory, archive, {
      maxBytes,
      signal: reader.signal,
    });
    await using source = await open(archive, 'r');
    await using target = await open(file, 'wx');
    try {
      await repack(reader, revision, { source, target, maxBytes });
      isWritten = true;
    } finally {
      if (!isWritten) await rm(file, { force: true });
    }
  } catch (error) {
    throw error instanceof ZipError ? refusedArchive(reader, revision, error) : error;
  } finally {
    await rm(archive, { force: true });
  }
}

interface RepackFiles {
  readonly source: FileHandle;
  readonly target: FileHandle;
  readonly maxBytes: number;
}

async function repack(
  reader: RevisionReader,
  revision: ResolvedRevision,
  { source, target, maxBytes }: RepackFiles,
): Promise<void> {
  const archive = fileReader(source, (await source.stat()).size);
  const limits = { ...defaultZipLimits, zipBytes: maxBytes, inflatedBytes: maxBytes };
  const window = new ReadWindow(archive);
  const { entries } = await readDirectory(window, archive.sizeBytes, limits, new ExtraRules('report'));
  const files = filesBelow(revision.directory, entries);
  // It takes part in the rules: beside a file `license` Go refuses it, and so the module.
  files.push(...(await inheritedLicense(reader, revision, files)));
  const goMod = revision.goMod === undefined ? undefined : parseGoModLax(revision.goMod);
  const { kept, faults } = await selectModuleFiles(files, {
    goVersion: goMod?.fault === undefined ? goMod?.go : undefined,
    limits,
  });
  if (faults.length > 0) throw refused(reader, revision, faults);
  const root = `${reader.place.path}@${revision.version}/`;
  const repacked = kept.map((one): RepackedFile => ({ name: root + one.path, ...one.source }));
  await repackZip(archive, target, repacked, reader.signal);
}

function filesBelow(directory: string, entries: readonly ZipEntry[]): PackedFile[] {
  const prefix = directory === '' ? '' : `${directory}/`;
  const files: PackedFile[] = [];
  for (const entry of entries) {
    // Directories, submodules among them, are no files.
    if (!entry.name.startsWith(prefix) || entry.name.endsWith('/')) continue;
    const path = entry.name.slice(prefix.length);
    files.push({ path, sizeBytes: entry.sizeBytes, isRegular: !entry.isIrregular, source: { entry } });
  }
  return files;
}

/** A module below the top that has no LICENSE of its own, not even a link, gets the repository's. */
async function inheritedLicense(
  reader: RevisionReader,
  { commit, directory }: ResolvedRevision,
  files: readonly PackedFile[],
): Promise<PackedFile[]> {
  if (directory === '' || files.some(({ path }) => path === 'LICENSE')) return [];
  const { licenseBytes } = defaultZipLimits;
  const content = await reader.repository.readFile(commit, 'LICENSE', licenseBytes, reader.signal);
  if (content === undefined) return [];
  return [{ path: 'LICENSE', sizeBytes: content.length, isRegular: true, source: { content } }];
}

function refused(reader: RevisionReader, { version }: ResolvedRevision, faults: readonly string[]): VcsError {
  const text = faults.slice(0, 3).join('; ');
  const more = faults.length > 3 ? `; and ${faults.length - 3} more` : '';
  return new VcsError('refused', `Go cannot make a zip of ${reader.place.path}@${version}: ${text}${more}`);
}

function refusedArchive(
  reader: RevisionReader,
  { version, directory }: ResolvedRevision,
  error: ZipError,
): VcsError {
  const what = `${reader.place.path}@${version}`;
  const code = error.code === 'too_large' || error.code === 'too_many_entries' ? 'too_large' : 'refused';
  const where = inDirectory(directory, '');
  return new VcsError(
    code,
    `the files of ${what} (${where === '' ? 'all' : where}) are no module: ${error.message}`,
    {
      cause: error,
    },
  );
}
