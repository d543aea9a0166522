/**
 * Whether a pseudo-version that somebody asks for is the one its commit has: right hash, right time, and a base that is
 * tagged on the commit's history. Without that, anybody could name a commit as high as they like.
 */
import { pseudoRevDigits, pseudoTimestamp, pseudoVersionBase } from '../../gomod/pseudo-version.ts';
import { compareSemver, major } from '../../gomod/semver.ts';
import { pseudoVersionRev, pseudoVersionTimeMs } from '../../gomod/version.ts';
import type { GitCommit } from '../types.ts';
import { absent } from './module-directory.ts';
import { type RevisionReader, withoutIncompatible } from './revision-reader.ts';

/** Rejects with VcsError `absent` that says what does not fit. `tags` are those on the commit. */
export async function checkPseudoVersion(
  reader: RevisionReader,
  commit: GitCommit,
  tags: readonly string[],
  version: string,
): Promise<void> {
  const fault = commitFault(commit, version) ?? (await baseFault(reader, commit, tags, version));
  if (fault !== undefined) throw absent(reader.place, version, fault);
}

function commitFault({ hash, committedAtS }: GitCommit, version: string): string | undefined {
  const rev = pseudoVersionRev(version) ?? '';
  const short = hash.slice(0, pseudoRevDigits);
  if (rev !== short) {
    if (rev.startsWith(short)) return `its revision is longer than the canonical one, ${short}`;
    if (short.startsWith(rev)) return `its revision is shorter than the canonical one, ${short}`;
    return `its revision is not the short name of the commit, ${short}`;
  }
  if (pseudoVersionTimeMs(version) === committedAtS * 1000) return undefined;
  return `its time is not that of the commit, ${pseudoTimestamp(committedAtS)}`;
}

async function baseFault(
  { place, refs, repository, signal }: RevisionReader,
  { hash }: GitCommit,
  tags: readonly string[],
  version: string,
): Promise<string | undefined> {
  const base = pseudoVersionBase(withoutIncompatible(version));
  if (base.kind === 'fault') return base.fault;
  if (base.kind === 'none') {
    const isV1 = place.pseudoMajor === '' && major(version) === 'v1';
    return isV1 ? 'without a tag before it the major version must be v0, not v1' : undefined;
  }
  const own = tags.find((tag) => tag === place.tagPrefix + base.version || tag === base.version);
  if (own !== undefined) return `its commit has the tag ${own}, which is a version already`;
  // Tags with build metadata stand for the same version.
  const isBase = (tag: string): boolean =>
    tag.startsWith(place.tagPrefix + base.version) &&
    compareSemver(tag.slice(place.tagPrefix.length), base.version) === 0;
  const candidates = Array.from(refs.tags.keys()).filter(isBase);
  if (candidates.length === 0) return `the tag before it, ${place.tagPrefix}${base.version}, does not exist`;
  const before = new Set(await repository.tagsBefore(hash, signal));
  if (candidates.some((tag) => before.has(tag))) return undefined;
  return `its commit does not come after the tag ${candidates.at(-1) ?? base.version}`;
}
