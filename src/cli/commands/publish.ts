/** `modferry publish`: makes a module zip out of a folder or a tag and uploads it. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Progress } from '../../lib/progress.ts';
import { ZipError } from '../../zip/zip-types.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { checkedVersion } from '../module-argument.ts';
import { type BuiltZip, declaredPath, readGoMod, zipDirectory } from '../publish/build-zip.ts';
import { GitError, localGit } from '../publish/local-git.ts';
import { openClient, refusalOf, type ServerFlags } from '../publish/open-client.ts';
import { tagAtHead, tagParts, zipTag } from '../publish/tagged-module.ts';

export interface PublishFlags extends ServerFlags {
  readonly version?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Rejects with CliError: `usage`, `failed` (refused, with what the server said), `unavailable`, `interrupted`. */
export async function publish(this: CliContext, flags: PublishFlags, what = '.'): Promise<void> {
  const abort = new AbortController();
  const unlisten = this.onSignal('SIGINT', () =>
    abort.abort(new CliError('interrupted', 'interrupted; nothing is published before the upload is whole')),
  );
  const work = await mkdtemp(join(tmpdir(), 'modferry-publish-'));
  try {
    const zip = await build(this, flags, what, work, abort.signal);
    if (flags.dryRun === true) report(this, flags, 'would publish', zip, undefined);
    else await upload(this, flags, zip, abort.signal);
  } catch (error) {
    if (error instanceof GitError) throw new CliError('failed', `git: ${error.message}`, { cause: error });
    if (error instanceof ZipError)
      throw new CliError('failed', `no module zip can be made: ${error.message}`, { cause: error });
    throw error;
  } finally {
    unlisten();
    await rm(work, { recursive: true, force: true });
  }
}

async function build(
  context: CliContext,
  flags: PublishFlags,
  what: string,
  work: string,
  signal: AbortSignal,
): Promise<BuiltZip> {
  const git = localGit(context.env, signal);
  const folder = resolve(context.cwd, what);
  if (await isFolder(folder)) {
    if (flags.version !== undefined) {
      const path = declaredPath(await readGoMod(folder), join(what, 'go.mod'));
      const version = checkedVersion(path, flags.version);
      return await zipDirectory(folder, { path, version }, join(work, 'module.zip'), signal);
    }
    // What is tagged is what is published, to the byte: as if Go had fetched it from the repository.
    const { top, tag } = await tagAtHead(git, folder);
    return await zipTag(git, { folder: top }, tag, work, signal);
  }
  const { repository, tag } = repositoryAndTag(what);
  if (flags.version !== undefined) {
    throw new CliError('usage', `the tag ${tag} says the version; leave --version out`);
  }
  const place = isUrl(repository) ? { url: repository } : { folder: resolve(context.cwd, repository) };
  if ('folder' in place && !(await isFolder(place.folder))) {
    throw new CliError(
      'usage',
      `there is no folder ${place.folder}; name a folder, or a repository with its tag: REPO@TAG`,
    );
  }
  return await zipTag(git, place, tag, work, signal);
}

async function upload(
  context: CliContext,
  flags: PublishFlags,
  zip: BuiltZip,
  signal: AbortSignal,
): Promise<void> {
  const client = await openClient(context, flags);
  const progress = new Progress({
    output: context.stderr,
    clock: context.clock,
    label: 'uploading',
    unit: 'bytes',
    total: zip.sizeBytes,
  });
  try {
    const answer = await client.publish(zip, zip, (bytes) => progress.advance(bytes), signal);
    progress.finish();
    if (answer.status !== 200 && answer.status !== 201) {
      throw refusalOf(answer, `${zip.path}@${zip.version} was not published`);
    }
    report(context, flags, answer.status === 201 ? 'published' : 'already published', zip, answer.text);
  } finally {
    progress.finish();
    client.close();
  }
}

function report(
  { stdout }: CliContext,
  { json }: PublishFlags,
  outcome: string,
  { path, version, sizeBytes, facts }: BuiltZip,
  answer: string | undefined,
): void {
  const url = urlIn(answer);
  if (json === true) {
    writeJsonLine(stdout, {
      outcome: outcome.replaceAll(' ', '_'),
      module: path,
      version,
      h1: facts.h1,
      goModH1: facts.goModH1,
      size: sizeBytes,
      files: facts.entries,
      ...(url === undefined ? {} : { url }),
    });
    return;
  }
  stdout.write(
    `${outcome} ${path}@${version} (${plural(facts.entries, 'file')}, ${formatSize(sizeBytes)})\n`,
  );
  stdout.write(`${facts.h1}\n`);
}

function urlIn(answer: string | undefined): string | undefined {
  try {
    const value: unknown = JSON.parse(answer ?? '');
    if (typeof value !== 'object' || value === null || !('url' in value)) return undefined;
    return typeof value.url === 'string' ? value.url : undefined;
  } catch {
    return undefined;
  }
}

/** Cut at the first `@` behind which a version tag stands: URLs and tags may have others. */
function repositoryAndTag(text: string): { repository: string; tag: string } {
  for (let at = text.indexOf('@', 1); at >= 0; at = text.indexOf('@', at + 1)) {
    const [repository, tag] = [text.slice(0, at), text.slice(at + 1)];
    if (tagParts(tag) === undefined) continue;
    if (repository.startsWith('-') || tag.startsWith('-')) break;
    return { repository, tag };
  }
  throw new CliError(
    'usage',
    `"${text}" is neither a folder nor a repository with a version tag; write e.g. . or https://git.example/team/lib@v1.2.3`,
  );
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^[\w.-]+@[\w.-]+:/.test(text);
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}
