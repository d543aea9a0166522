/** The steps of a module straight from its repository: where it is, the way there, who we are, what we may, its tags. */
import type { ModulePath } from '../../gomod/types.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ExplainingCredentialFinder } from '../../vcs/credentials/finder.ts';
import {
  type GitRef,
  type RepositoryFinder,
  type RepositoryPlace,
  VcsError,
  type VcsErrorCode,
} from '../../vcs/types.ts';
import { type ConnectionWay, testConnection } from './connection.ts';
import type { StepName, StepWriter } from './step.ts';

export interface TestedDirect {
  readonly finder: RepositoryFinder;
  /** `rule 2 of direct.repositories`, `its host is known`, `its page (?go-get=1)`. */
  readonly foundBy: (path: string) => string;
  readonly credentials: ExplainingCredentialFinder;
  /** How hosts of repositories are reached. */
  readonly way: ConnectionWay;
  /** Asks the server now. Rejects with VcsError or the signal's reason. */
  readonly refs: (
    place: RepositoryPlace,
    path: ModulePath,
    signal: AbortSignal,
  ) => Promise<readonly GitRef[]>;
  /** Versions that the tags mean for the module, in order. Throws VcsError. */
  readonly versions: (place: RepositoryPlace, path: ModulePath, refs: readonly GitRef[]) => readonly string[];
}

export interface DirectQuestion {
  readonly path: ModulePath;
  /** Undefined: whatever there is. */
  readonly version: string | undefined;
}

const steps: Readonly<Partial<Record<VcsErrorCode, StepName>>> = {
  dns: 'dns',
  connect: 'tcp',
  tls: 'tls',
  proxy: 'proxy',
  auth: 'authentication',
  forbidden: 'authorisation',
};

/** Tells each step. Rejects with the signal's reason alone. */
export async function testDirect(
  direct: TestedDirect,
  question: DirectQuestion,
  writer: StepWriter,
  signal: AbortSignal,
): Promise<void> {
  const { path } = question;
  const place = await locate(direct, path, writer, signal);
  if (place === undefined) return;
  const url = new URL(place.url);
  const isRemote = url.protocol !== 'file:';
  if (isRemote && !(await testConnection(url, direct.way, writer, signal))) return;
  const name = await prove(direct, place, path, writer, signal);
  if (name === undefined) return;
  const refs = await list(direct, place, path, { name, isRemote }, writer, signal);
  if (refs !== undefined) tell(direct, place, question, refs, writer);
}

async function locate(
  { finder, foundBy }: TestedDirect,
  path: ModulePath,
  writer: StepWriter,
  signal: AbortSignal,
): Promise<RepositoryPlace | undefined> {
  try {
    const place = await finder.find(path, signal);
    const part = place.subdir === '' ? '' : `, directory ${place.subdir}`;
    const text = `${place.vcs} ${place.url}, root ${place.root}${part}, by ${foundBy(path)}`;
    writer.ok('location', text);
    if (place.vcs === 'git') return place;
    writer.note('repository', `${place.vcs} is left to the go command; nothing more is tested here`);
  } catch (error) {
    signal.throwIfAborted();
    const remedy =
      'say where its repository is: a rule in direct.repositories, or a go-import tag on its page';
    writer.failed('location', messageOf(error), remedy);
  }
  return undefined;
}

/** The name of the credentials, '' for none; undefined: they could not be had. */
async function prove(
  { credentials }: TestedDirect,
  { url }: RepositoryPlace,
  path: ModulePath,
  writer: StepWriter,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { name, remarks } = credentials.explain(url, path);
    for (const remark of remarks) writer.note('credentials', remark);
    const found = await credentials.find(url, { path, signal });
    if (found === undefined) {
      writer.ok('credentials', name === undefined ? 'none are configured for it' : `${name} has none for it`);
      return '';
    }
    writer.ok('credentials', `${name ?? 'some'} (${found.kind === 'ssh' ? found.keyFile : found.kind})`);
    return name ?? '';
  } catch (error) {
    signal.throwIfAborted();
    writer.failed('credentials', messageOf(error));
    return undefined;
  }
}

async function list(
  { refs }: TestedDirect,
  place: RepositoryPlace,
  path: ModulePath,
  { name, isRemote }: { readonly name: string; readonly isRemote: boolean },
  writer: StepWriter,
  signal: AbortSignal,
): Promise<readonly GitRef[] | undefined> {
  try {
    const found = await refs(place, path, signal);
    if (isRemote) {
      writer.ok('authentication', name === '' ? 'none is asked for' : `${name}: accepted`);
      writer.ok('authorisation', 'the repository may be read');
    }
    const tags = found.filter((ref) => ref.name.startsWith('refs/tags/')).length;
    const heads = found.filter((ref) => ref.name.startsWith('refs/heads/')).length;
    if (found.length > 0) writer.ok('repository', `${heads} branch(es), ${tags} tag(s)`);
    else writer.failed('repository', 'it is empty', 'push a branch to it');
    return found.length > 0 ? found : undefined;
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof VcsError ? error.code : 'failed';
    const step = steps[code] ?? 'repository';
    if (step === 'authorisation') writer.ok('authentication', `${name}: accepted`);
    writer.failed(step, messageOf(error), remedyFor(code, name));
    return undefined;
  }
}

function remedyFor(code: VcsErrorCode, name: string): string | undefined {
  switch (code) {
    case 'auth':
      return name === ''
        ? 'write credentials for its host into direct.credentials'
        : 'renew the credentials; they may be expired, or for another server';
    case 'forbidden':
      return 'let the owner of these credentials read the repository';
    case 'absent':
      return name === ''
        ? 'check the address; most forges say this of a private repository to those without credentials'
        : 'check the address, and that these credentials may read the repository';
    case 'tls':
      return 'if its authority is your own, name it in network.ca_file';
    default:
      return undefined;
  }
}

function tell(
  { versions }: TestedDirect,
  place: RepositoryPlace,
  { path, version }: DirectQuestion,
  refs: readonly GitRef[],
  writer: StepWriter,
): void {
  let all: readonly string[];
  try {
    all = versions(place, path, refs);
  } catch (error) {
    writer.failed('module', messageOf(error), 'check the module path, or the root in its rule');
    return;
  }
  const count = all.length === 1 ? '1 version' : `${all.length} versions`;
  const last = all.slice(-3).toReversed().join(', ');
  if (version === undefined) {
    if (all.length > 0) writer.ok('tag', `${count} in its tags, newest first: ${last}`);
    else
      writer.note(
        'tag',
        'no tag is a version of this module',
        'push a tag like v0.1.0; until then only commits can be had',
      );
  } else if (all.includes(version)) {
    writer.ok('tag', `${version} is there`);
  } else {
    const has =
      all.length === 0 ? 'no tag is a version of this module' : `there are ${count}, newest first: ${last}`;
    writer.failed(
      'tag',
      `no tag is ${version}; ${has}`,
      `push the tag ${version} (below the top: DIRECTORY/${version})`,
    );
  }
}
