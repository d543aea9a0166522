/**
 * What was published here, as one more source of the walk: `@v/list` and `@latest` from the store, and for a version that
 * was taken back `gone` with the reason. Artifacts need no answer here: what is stored is served before any source is
 * asked.
 */

import type { GoModFile } from '../gomod/go-mod-file.ts';
import { checkMod } from '../gomod/info-file.ts';
import { latestVersion } from '../gomod/latest.ts';
import { unescapePath } from '../gomod/module-path.ts';
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import { isPseudoVersion, parseCanonicalVersion, unescapeVersion } from '../gomod/version.ts';
import { formatList } from '../gomod/version-list.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Store } from '../store/store.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamRequest,
} from '../upstream/types.ts';
import { mayBePublished, publishedSource, storedArtifact } from './stored-version.ts';
import type { Registry, Tombstone } from './types.ts';

export interface PublishedSourceDeps {
  readonly store: Pick<Store, 'open' | 'completeVersions' | 'onPurge'>;
  readonly registry: Pick<Registry, 'tombstoneOf' | 'tombstones'>;
  readonly clock: Clock;
  /** Of how many versions it is remembered whether they were published here. Default 50,000. */
  readonly maxRemembered?: number | undefined;
}

const defaultMaxRemembered = 50_000;

type Target =
  | { readonly kind: 'list' | 'latest'; readonly path: ModulePath }
  | { readonly kind: 'version'; readonly path: ModulePath; readonly version: Version }
  | { readonly kind: 'other' };

export class PublishedSource implements Upstream {
  readonly name = publishedSource;
  readonly isPrivate = true;
  readonly stopsOnError = false;
  readonly #deps: PublishedSourceDeps;
  readonly #maxRemembered: number;
  /** `path@version` → published here. Oldest first; a version's source never changes while it is stored. */
  readonly #remembered = new Map<string, boolean>();
  readonly #unsubscribe: () => void;

  constructor(deps: PublishedSourceDeps) {
    this.#deps = deps;
    this.#maxRemembered = deps.maxRemembered ?? defaultMaxRemembered;
    this.#unsubscribe = deps.store.onPurge(({ path, version }) => {
      if (version !== undefined) this.#remembered.delete(`${path}@${version}`);
      // Versions may be purged by the module: rare, and cheap to find out again.
      else this.#remembered.clear();
    });
  }

  async fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    request.signal.throwIfAborted();
    const startedAtMs = this.#deps.clock.monotonic();
    const target = targetOf(request.target);
    const answer = (body: string | Buffer, contentType: string): UpstreamAnswer =>
      answerOf(Buffer.from(body), contentType, this.#deps.clock.monotonic() - startedAtMs);
    try {
      switch (target.kind) {
        case 'list':
          return answer(await this.#list(target.path), 'text/plain; charset=utf-8');
        case 'latest':
          return answer(await this.#latest(target.path), 'application/json');
        case 'version':
          throw this.#absenceOf(target.path, target.version);
        default:
          throw absent('only versions are published here, no branches or commits');
      }
    } catch (error) {
      if (error instanceof UpstreamError) throw error;
      throw new UpstreamError(this.name, 'refused', `the store cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  close(): Promise<void> {
    this.#unsubscribe();
    return Promise.resolve();
  }

  async #list(path: ModulePath): Promise<string> {
    const versions = await this.#versions(path);
    // With pseudo-versions alone the list is empty, and says that the module exists.
    if (versions.length > 0) return formatList(versions);
    throw this.#absenceOfModule(path);
  }

  async #latest(path: ModulePath): Promise<Buffer> {
    const versions = await this.#versions(path);
    const latest = await latestVersion(versions, { path, goModOf: (version) => this.#goMod(path, version) });
    const info = latest === undefined ? undefined : await this.#read(path, latest, 'info');
    if (info !== undefined) return info;
    throw versions.length > 0
      ? absent('every version that is published here is retracted')
      : this.#absenceOfModule(path);
  }

  /** Complete, published here, not taken back; pseudo-versions included. */
  async #versions(path: ModulePath): Promise<Version[]> {
    const { store, registry } = this.#deps;
    const found: Version[] = [];
    for (const version of await store.completeVersions(path)) {
      if (registry.tombstoneOf(path, version) !== undefined) continue;
      if (await this.#isPublished(path, version)) found.push(version);
    }
    return found;
  }

  async #isPublished(path: ModulePath, version: Version): Promise<boolean> {
    const name = `${path}@${version}`;
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const zip = await storedArtifact(this.#deps.store, path, version, 'zip');
    const isPublished = mayBePublished(zip);
    if (zip !== undefined && zip !== 'rotten') {
      if (this.#remembered.size >= this.#maxRemembered) {
        const [oldest] = this.#remembered.keys();
        if (oldest !== undefined) this.#remembered.delete(oldest);
      }
      this.#remembered.set(name, isPublished);
    }
    return isPublished;
  }

  async #goMod(path: ModulePath, version: Version): Promise<GoModFile | undefined> {
    const body = await this.#read(path, version, 'mod');
    return body === undefined ? undefined : checkMod(body);
  }

  async #read(path: ModulePath, version: Version, ext: ArtifactExt): Promise<Buffer | undefined> {
    const file = await this.#deps.store.open({ path, version, ext });
    if (file === undefined) return undefined;
    try {
      return await file.readAll();
    } finally {
      await file.close();
    }
  }

  #absenceOf(path: ModulePath, version: Version): UpstreamError {
    const tombstone = this.#deps.registry.tombstoneOf(path, version);
    return tombstone === undefined ? absent('not published here') : gone(tombstoneText(tombstone));
  }

  #absenceOfModule(path: ModulePath): UpstreamError {
    const tombstones = this.#deps.registry.tombstones(path);
    // A pseudo-version is in no list, so its tombstone says nothing of one.
    return tombstones.some(({ version }) => !isPseudoVersion(version))
      ? gone('every version that was published here was unpublished')
      : absent('not published here');
  }
}

/** What a client is told of a version that was taken back: one sentence without its full stop. */
export function tombstoneText({ atMs, reason }: Tombstone): string {
  return `unpublished on ${new Date(atMs).toISOString().slice(0, 10)}: ${reason}`;
}

function absent(text: string): UpstreamError {
  return new UpstreamError(publishedSource, 'absent', text, { status: 404 });
}

function gone(text: string): UpstreamError {
  return new UpstreamError(publishedSource, 'gone', text, { status: 410 });
}

/** Targets are ours, escaped by Go's rules; what is not is no version. */
function targetOf(target: string): Target {
  try {
    if (target.endsWith('/@latest')) {
      return { kind: 'latest', path: unescapePath(target.slice(1, -'/@latest'.length)) };
    }
    const at = target.indexOf('/@v/');
    if (at < 0) return { kind: 'other' };
    const path = unescapePath(target.slice(1, at));
    const file = target.slice(at + '/@v/'.length);
    if (file === 'list') return { kind: 'list', path };
    const text = /^(.+)\.(?:info|mod|zip)$/.exec(file)?.[1];
    const version = text === undefined ? undefined : parseCanonicalVersion(path, unescapeVersion(text));
    return version === undefined ? { kind: 'other' } : { kind: 'version', path, version };
  } catch {
    return { kind: 'other' };
  }
}

function answerOf(body: Buffer, contentType: string, firstByteMs: number): UpstreamAnswer {
  return {
    upstream: publishedSource,
    contentLength: body.length,
    contentType,
    etag: undefined,
    lastModified: undefined,
    firstByteMs,
    body: oneChunk(body),
    cancel: () => {},
  };
}

async function* oneChunk(body: Buffer): AsyncGenerator<Buffer> {
  // What a body is read as: in a turn of its own.
  await Promise.resolve();
  if (body.length > 0) yield body;
}
