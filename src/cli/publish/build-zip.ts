/** Makes the module zip that is uploaded, out of a folder as it is or out of `git archive`, by the rules of Go. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { maxGoModBytes, parseGoModLax } from '../../gomod/go-mod-file.ts';
import { InvalidRequestError } from '../../gomod/invalid-request.ts';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { ExtraRules } from '../../zip/extra-rules.ts';
import { selectModuleFiles, type TreeFile } from '../../zip/module-files.ts';
import { checkModuleZip } from '../../zip/module-zip-check.ts';
import type { ZipEntry } from '../../zip/zip-format.ts';
import { bufferReader, ReadWindow, readDirectory } from '../../zip/zip-reader.ts';
import { fileReader, type RepackedFile, repackZip } from '../../zip/zip-repack.ts';
import { defaultZipLimits, type ZipFacts } from '../../zip/zip-types.ts';
import { CliError } from '../cli-error.ts';
import { type DirectoryFile, directoryFiles } from './directory-files.ts';

export interface ModuleName {
  readonly path: ModulePath;
  readonly version: Version;
}

export interface BuiltZip extends ModuleName {
  readonly file: string;
  readonly sizeBytes: number;
  readonly facts: ZipFacts;
}

/** The module path that a go.mod declares. Throws CliError `failed`. */
export function declaredPath(goMod: Buffer, where: string): ModulePath {
  if (goMod.length > maxGoModBytes)
    throw new CliError('failed', `${where} is larger than ${maxGoModBytes} bytes`);
  const parsed = parseGoModLax(goMod);
  if (parsed.fault !== undefined) throw new CliError('failed', `${where} cannot be read: ${parsed.fault}`);
  if (parsed.module === undefined || parsed.module === '') {
    throw new CliError('failed', `${where} has no module line; write: module MODULE/PATH`);
  }
  try {
    return parseModulePath(parsed.module);
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new CliError('failed', `${where}: ${error.message}`, { cause: error });
  }
}

/** The go.mod of a folder. Rejects with CliError `failed`. */
export async function readGoMod(folder: string): Promise<Buffer> {
  const file = join(folder, 'go.mod');
  try {
    return await readFile(file);
  } catch (error) {
    const advice =
      errnoOf(error) === 'ENOENT' ? `run "go mod init MODULE/PATH" in ${folder}` : messageOf(error);
    throw new CliError('failed', `there is no go.mod in ${folder}; ${advice}`, { cause: error });
  }
}

/** Of the folder as it is. `target` must not be there yet. Rejects with CliError `failed` or the signal's reason. */
export async function zipDirectory(
  folder: string,
  name: ModuleName,
  target: string,
  signal: AbortSignal,
): Promise<BuiltZip> {
  const goMod = await readGoMod(folder);
  const kept = await selected(await directoryFiles(folder, signal), goMod, name);
  return await written(target, name, signal, (handle) =>
    repackZip(bufferReader(Buffer.alloc(0)), handle, contentsOf(kept, name), signal),
  );
}

/** A file of an archive, or one that it is given besides. */
interface ArchivedFile extends TreeFile {
  readonly source: { readonly entry: ZipEntry } | { readonly content: Buffer };
}

export interface ArchiveInput {
  /** A zip of `git archive`. */
  readonly archive: string;
  /** Of the module in it, '' for the top; without a slash at its end. */
  readonly directory: string;
  readonly goMod: Buffer;
  /** The repository's LICENSE, for a module below the top that has none of its own. */
  readonly license: Buffer | undefined;
}

/** As `zipDirectory`, out of an archive. */
export async function zipArchive(
  input: ArchiveInput,
  name: ModuleName,
  target: string,
  signal: AbortSignal,
): Promise<BuiltZip> {
  await using handle = await open(input.archive, 'r');
  const source = fileReader(handle, (await handle.stat()).size);
  const { entries } = await readDirectory(
    new ReadWindow(source),
    source.sizeBytes,
    defaultZipLimits,
    new ExtraRules('report'),
  );
  const prefix = input.directory === '' ? '' : `${input.directory}/`;
  const files: ArchivedFile[] = entries
    .filter((entry) => entry.name.startsWith(prefix) && !entry.name.endsWith('/'))
    .map((entry) => ({
      path: entry.name.slice(prefix.length),
      sizeBytes: entry.sizeBytes,
      isRegular: !entry.isIrregular,
      source: { entry },
    }));
  const { license } = input;
  if (license !== undefined && !files.some(({ path }) => path === 'LICENSE')) {
    files.push({ path: 'LICENSE', sizeBytes: license.length, isRegular: true, source: { content: license } });
  }
  const kept = await selected(files, input.goMod, name);
  const root = rootOf(name);
  const repacked = kept.map((file): RepackedFile => ({ name: root + file.path, ...file.source }));
  return await written(target, name, signal, (out) => repackZip(source, out, repacked, signal));
}

async function selected<File extends TreeFile>(
  files: readonly File[],
  goMod: Buffer,
  name: ModuleName,
): Promise<readonly File[]> {
  const parsed = parseGoModLax(goMod);
  const { kept, faults } = await selectModuleFiles(files, {
    goVersion: parsed.fault === undefined ? parsed.go : undefined,
  });
  if (faults.length === 0) return kept;
  throw new CliError('failed', `Go would refuse ${name.path}@${name.version}:\n  ${faults.join('\n  ')}`);
}

/** One at a time, so that only one file is in memory. */
async function* contentsOf(files: readonly DirectoryFile[], name: ModuleName): AsyncGenerator<RepackedFile> {
  const root = rootOf(name);
  for (const { path, file } of files) yield { name: root + path, content: await readFile(file) };
}

function rootOf({ path, version }: ModuleName): string {
  return `${path}@${version}/`;
}

/** Writes it and checks it as the server will. */
async function written(
  target: string,
  name: ModuleName,
  signal: AbortSignal,
  write: (handle: FileHandle) => Promise<number>,
): Promise<BuiltZip> {
  await using handle = await open(target, 'wx+');
  const sizeBytes = await write(handle);
  const facts = await checkModuleZip(fileReader(handle, sizeBytes), {
    ...name,
    checkpoint: () => signal.throwIfAborted(),
  });
  return { ...name, file: target, sizeBytes, facts };
}
