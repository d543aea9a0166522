/**
 * From a commit and what it was asked by to the version it has in a module: its tag, or a pseudo-version after the
 * highest tag before it. See https://go.dev/ref/mod#pseudo-versions and #non-module-compat.
 */
import { pseudoVersion } from '../../gomod/pseudo-version.ts';
import { compareSemver, major, parseSemver } from '../../gomod/semver.ts';
import type { Version } from '../../gomod/types.ts';
import {
  canonicalVersion,
  fitsPath,
  isIncompatible,
  isPseudoVersion,
  parseCanonicalVersion,
  pseudoVersionRev,
} from '../../gomod/version.ts';
import { type GitCommit, type ModuleRevision, VcsError } from '../types.ts';
import { checkPseudoVersion } from './check-pseudo-version.ts';
import { absent, type ModuleDirectory } from './module-directory.ts';
import { type RevisionReader, withoutIncompatible } from './revision-reader.ts';
import { mayBeIncompatible, versionOfTag } from './tagged-versions.ts';

/** A revision with the directory that is the module in it. */
export interface ResolvedRevision extends ModuleRevision, ModuleDirectory {
  readonly version: Version;
}

/** A commit, and how it was found. */
export interface FoundCommit extends GitCommit {
  /** Full name of the ref; undefined: by its hash. */
  readonly ref: string | undefined;
}

/**
 * What a version or query means. Rejects with VcsError: `absent` when there is no such revision, or when it cannot have
 * the version asked for. `commit`: full hash of the one that the version `asked` is to be read from, wherever its tag
 * points now.
 */
export async function resolveRevision(
  reader: RevisionReader,
  asked: string,
  commit?: string,
): Promise<ResolvedRevision> {
  const found = await (commit === undefined ? findCommit(reader, asked) : knownCommit(reader, asked, commit));
  if (found === undefined)
    throw absent(reader.place, asked, `there is no tag, branch or commit of that name`);
  return new Resolution(reader, found, asked).run();
}

/** What the tip of the default branch means, whatever tags there are. */
export async function resolveHead(reader: RevisionReader): Promise<ResolvedRevision> {
  const { head } = reader.refs;
  if (head === undefined) throw absent(reader.place, 'latest', 'it has no commits');
  const commit = await reader.repository.commit(head, reader.signal);
  return new Resolution(reader, { ...commit, ref: 'HEAD' }, undefined).run();
}

async function findCommit(reader: RevisionReader, asked: string): Promise<FoundCommit | undefined> {
  const name = revisionName(reader, asked);
  const ref = reader.refs.find(name);
  if (ref !== undefined) {
    const commit = await reader.repository.commit(ref.commit, reader.signal);
    return { ...commit, ref: ref.name };
  }
  if (!/^[0-9a-f]{7,64}$/.test(name)) return undefined;
  const commit = await reader.repository.resolveHash(name, reader.signal);
  return commit === undefined ? undefined : { ...commit, ref: undefined };
}

async function knownCommit(reader: RevisionReader, version: string, hash: string): Promise<FoundCommit> {
  const commit = await reader.repository.commit(hash, reader.signal);
  const isTag = !isPseudoVersion(version);
  return { ...commit, ref: isTag ? `refs/tags/${revisionName(reader, version)}` : undefined };
}

/** What to look for in the repository: the hash of a pseudo-version, the tag of a version, else the text itself. */
function revisionName({ place }: RevisionReader, asked: string): string {
  if (parseSemver(asked) === undefined) return asked;
  return pseudoVersionRev(asked) ?? place.tagPrefix + withoutIncompatible(asked);
}

class Resolution {
  readonly #reader: RevisionReader;
  readonly #found: FoundCommit;
  /** Undefined: the tip of the default branch. */
  readonly #asked: string | undefined;
  readonly #tags: readonly string[];

  constructor(reader: RevisionReader, found: FoundCommit, asked: string | undefined) {
    this.#reader = reader;
    this.#found = found;
    this.#asked = asked;
    this.#tags = reader.refs.tagsOf(found.hash);
  }

  async run(): Promise<ResolvedRevision> {
    const asked = this.#asked;
    if (asked !== undefined && isPseudoVersion(asked)) {
      // First what a look at the commit's own files can refuse; the history may be long.
      const revision = await this.#as(asked);
      await checkPseudoVersion(this.#reader, this.#found, this.#tags, asked);
      return revision;
    }
    return (await this.#byTagAsked()) ?? (await this.#byTags());
  }

  /** The tag that was asked for, where it can be used as it is. */
  async #byTagAsked(): Promise<ResolvedRevision | undefined> {
    const { ref } = this.#found;
    const tag = ref?.startsWith('refs/tags/') === true ? ref.slice('refs/tags/'.length) : undefined;
    const own = tag === undefined ? undefined : versionOfTag(this.#reader.place, tag);
    if (own === undefined || !own.isCanonical) return undefined;
    try {
      return await this.#as(own.version);
    } catch (error) {
      if (error instanceof VcsError && error.code === 'absent') return undefined;
      throw error;
    }
  }

  async #byTags(): Promise<ResolvedRevision> {
    const { place } = this.#reader;
    let highest: string | undefined;
    let base: string | undefined;
    for (const tag of this.#tags) {
      const own = versionOfTag(place, tag);
      if (own === undefined) continue;
      if (this.#asked !== undefined && compareSemver(own.version, this.#asked) === 0) {
        if (own.isCanonical) return this.#as(own.version);
        // v1.0.0+a and v1.0.0+b may be two commits, so neither is v1.0.0; a pseudo-version after it is unambiguous.
        base = own.version;
      }
      const isHigher = highest === undefined || compareSemver(highest, own.version) < 0;
      if (own.isCanonical && isHigher && (await this.#isUsable(own.version))) highest = own.version;
    }
    if (highest !== undefined) return this.#as(highest);
    base ??= await this.#highestBefore();
    return this.#as(pseudoVersion(place.pseudoMajor, base, this.#found.committedAtS, this.#found.hash));
  }

  /** The highest usable version tagged on a commit before this one. */
  async #highestBefore(): Promise<string | undefined> {
    const { place, repository, signal } = this.#reader;
    let highest: string | undefined;
    for (const tag of await repository.tagsBefore(this.#found.hash, signal)) {
      const own = versionOfTag(place, tag)?.version;
      if (own === undefined || (highest !== undefined && compareSemver(own, highest) <= 0)) continue;
      if (await this.#isUsable(own)) highest = own;
    }
    return highest;
  }

  async #isUsable(version: string): Promise<boolean> {
    const fits = fitsPath(this.#reader.place.path, version) || (await this.#mayBeIncompatible(version));
    return fits && !(await this.#reader.isRetracted(version));
  }

  async #mayBeIncompatible(version: string): Promise<boolean> {
    const reader = this.#reader;
    if (!mayBeIncompatible(reader.place)) return false;
    if (await reader.hasGoMod(this.#found.hash, 'go.mod')) return false;
    // Older Go releases did not look into /vN; who asks for +incompatible by name still gets it.
    if (this.#asked !== undefined && isIncompatible(this.#asked)) return true;
    return !(await reader.hasGoMod(this.#found.hash, reader.majorGoMod(major(version) ?? '')));
  }

  /** The revision under that version, if the module's path and files allow it. */
  async #as(version: string): Promise<ResolvedRevision> {
    const { place } = this.#reader;
    const directory = await this.#reader.directory(this.#found.hash, version);
    const asked = this.#asked;
    const wanted = asked !== undefined && withoutIncompatible(asked) === version ? asked : version;
    const base = withoutIncompatible(wanted);
    const isAskedCanonical = asked !== undefined && asked === canonicalVersion(asked);
    let result = wanted;
    let fault: string | undefined;
    if (!fitsPath(place.path, base)) {
      if (await this.#mayBeIncompatible(base)) result = `${base}+incompatible`;
      else fault = this.#majorFault(base);
    } else if (wanted !== base) {
      fault = `${major(base) ?? base} fits the path, so +incompatible is not allowed`;
    }
    if (isAskedCanonical && withoutIncompatible(asked) !== base) {
      throw absent(place, asked, `it means ${result}, for ${withoutIncompatible(asked)} is not a tag`);
    }
    const checked = fault === undefined ? parseCanonicalVersion(place.path, result) : undefined;
    if (checked === undefined) {
      throw absent(place, asked ?? version, fault ?? `${result} is no version that its path can have`);
    }
    return {
      ...directory,
      version: checked,
      commit: this.#found.hash,
      time: timeOf(this.#found),
      ref: this.#found.ref,
    };
  }

  #majorFault(version: string): string {
    const { place } = this.#reader;
    if (place.pathMajor !== '')
      return `the path says ${place.pathMajor.slice(1)}, so the major version must be the same`;
    const path = `${place.prefix}/${major(version) ?? ''}`;
    return `it has a go.mod, so the module path must be that of its major version (${JSON.stringify(path)})`;
  }
}

function timeOf({ committedAtS }: GitCommit): string {
  return new Date(committedAtS * 1000).toISOString().replace('.000Z', 'Z');
}
