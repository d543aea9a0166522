/**
 * Where everything lives in the data folder: pure functions from keys to paths, see docs/architecture.md. The part
 * under `download/` is the layout of Go's download cache, so that GOPROXY=file:// and nginx can serve it.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { escapeCase } from '../../gomod/escape.ts';
import { escapePath } from '../../gomod/module-path.ts';
import type { ArtifactExt, ArtifactKey, ModulePath } from '../../gomod/types.ts';
import { escapeVersion } from '../../gomod/version.ts';
import type { MutableName, SumdbState } from '../store.ts';

export const artifactExts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

const sumdbNameShape = /^[A-Za-z0-9._:~-]+(?:\/[A-Za-z0-9._:~-]+)*$/;
const sumdbOperationShape = /^(?:latest|(?:lookup|tile)(?:\/[a-z0-9!@._~+-]+)+)$/;

/** The data folder's paths. All are absolute when `data` is. */
export class Layout {
  readonly data: string;
  readonly download: string;
  readonly meta: string;
  readonly run: string;
  readonly format: string;
  readonly journal: string;
  readonly claims: string;
  /** Markers of what was published unproven and is to be proven later. */
  readonly awaiting: string;
  readonly quarantine: string;
  /** Held by whoever changes the quarantine. */
  readonly quarantineLock: string;

  constructor(data: string) {
    this.data = data;
    this.download = join(data, 'download');
    this.meta = join(data, 'meta');
    this.run = join(data, 'run');
    this.format = join(this.meta, 'format');
    this.journal = join(this.meta, 'journal');
    this.claims = join(this.meta, 'claims');
    this.awaiting = join(this.meta, 'unproven');
    this.quarantine = join(data, 'quarantine');
    this.quarantineLock = join(this.meta, 'quarantine.lock');
  }

  /** `download/{escaped module}/@v`. */
  versionsFolder(path: ModulePath): string {
    return join(this.download, escapePath(path), '@v');
  }

  artifact(key: ArtifactKey): string {
    return join(this.versionsFolder(key.path), fileName(key));
  }

  /** Go's `.ziphash` beside a zip: its `h1:` hash without a newline. */
  zipHash(key: ArtifactKey): string {
    return join(this.versionsFolder(key.path), `${escapeVersion(key.version)}.ziphash`);
  }

  list(path: ModulePath): string {
    return join(this.versionsFolder(path), 'list');
  }

  recordsFolder(path: ModulePath): string {
    return join(this.meta, 'records', escapePath(path), '@v');
  }

  record(key: ArtifactKey): string {
    return join(this.recordsFolder(key.path), `${fileName(key)}.json`);
  }

  /** `@m` cannot be an element of a module path, so modules below this one never meet it. */
  mutableFolder(path: ModulePath): string {
    return join(this.meta, 'mutable', escapePath(path), '@m');
  }

  /** Query names hold slashes and any length: they are named by hash, and the name is kept inside the file. */
  mutable(path: ModulePath, name: MutableName): string {
    const file = name.startsWith('query:') ? `query-${shortHash(name)}` : name;
    return join(this.mutableFolder(path), `${file}.json`);
  }

  /**
   * `meta/sumdb/{escaped name}/{operation}`. Undefined unless every part of both is a plain name: what clients ask for
   * must not lead out of the folder, nor meet itself in another case on a file system that folds case.
   */
  sumdb(name: string, operation: string): string | undefined {
    const folder = this.#sumdbFolder(name);
    if (folder === undefined || !sumdbOperationShape.test(operation) || hasDots(operation)) return undefined;
    return join(folder, operation);
  }

  /** `meta/sumdb/{escaped name}/lookup`: the folder below which answers to lookups are. Undefined as above. */
  sumdbLookups(name: string): string | undefined {
    const folder = this.#sumdbFolder(name);
    return folder === undefined ? undefined : join(folder, 'lookup');
  }

  /** `meta/sumdb/{escaped name}/head.json`, `fork.json`, …: no operation has such a name. Undefined as above. */
  sumdbState(name: string, state: SumdbState): string | undefined {
    const folder = this.#sumdbFolder(name);
    return folder === undefined ? undefined : join(folder, `${state}.json`);
  }

  #sumdbFolder(name: string): string | undefined {
    if (!sumdbNameShape.test(name) || hasDots(name)) return undefined;
    // `@` cannot stand in a database's name, so one that is the beginning of another never meets its files.
    return join(this.meta, 'sumdb', escapeCase(name).replaceAll('/', '@'));
  }

  /** `meta/unproven/{hash of the key}.json`; the key itself is inside. */
  awaitingProof(key: ArtifactKey): string {
    return join(this.awaiting, `${keyHash(key)}.json`);
  }

  claim(key: ArtifactKey): string {
    return join(this.claims, `${keyHash(key)}.json`);
  }
}

function hasDots(name: string): boolean {
  return name.split('/').some((part) => part === '.' || part === '..');
}

function fileName(key: ArtifactKey): string {
  return `${escapeVersion(key.version)}.${key.ext}`;
}

/** One text for one artifact, e.g. `golang.org/x/mod@v0.20.0.zip`: for maps, logs and messages. */
export function keyText(key: ArtifactKey): string {
  return `${key.path}@${key.version}.${key.ext}`;
}

/** 32 hex digits that name an artifact where its path would be too long or too deep. */
export function keyHash(key: ArtifactKey): string {
  return shortHash(keyText(key));
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Splits `v1.0.0.zip` into version and kind; undefined for any file that is not an artifact's. */
export function splitFileName(name: string): { version: string; ext: ArtifactExt } | undefined {
  const dot = name.lastIndexOf('.');
  const ext = artifactExts.find((known) => known === name.slice(dot + 1));
  return ext === undefined || dot <= 0 ? undefined : { version: name.slice(0, dot), ext };
}
