/**
 * Modules made in memory: .info, .mod and a .zip that is right by Go's rules, with the hashes a go.sum would hold.
 * The same options give the same bytes on every machine. `test/kit/zip-bytes.ts` writes the archive.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { type ZipOptions, zipBytes } from './zip-bytes.ts';

export interface FakeModuleOptions {
  /** Module path, unescaped. */
  readonly path: string;
  /** Canonical version. Default `v1.0.0`. */
  readonly version?: string;
  /** More files of the module, by their name inside it; they win over the generated LICENSE and .go file. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Requirements: module path → version. */
  readonly requires?: Readonly<Record<string, string>>;
  /** The `go` directive. Default `1.20`. */
  readonly goVersion?: string;
  /** Arguments of `retract` lines, e.g. `v1.0.0` or `[v1.0.0, v1.1.0]`. */
  readonly retract?: readonly string[];
  /** Commit time in the .info file, RFC 3339. Default `2024-01-02T03:04:05Z`. */
  readonly time?: string;
  /** False: no go.mod in the zip and the .mod is the one line Go makes up (`+incompatible` modules). Default true. */
  readonly hasGoMod?: boolean;
  /** Adds `padding.bin` with so many incompressible bytes, to make the zip at least that large. Default 0. */
  readonly paddingBytes?: number;
  /** How the archive is written. Default: as Go does. */
  readonly zip?: ZipOptions;
}

export interface FakeModule {
  readonly path: string;
  readonly version: string;
  readonly info: Buffer;
  readonly mod: Buffer;
  readonly zip: Buffer;
  /** `h1:` hash of the zip's tree. */
  readonly zipH1: string;
  /** `h1:` hash of go.mod. */
  readonly modH1: string;
  /** The two go.sum lines, with line ends. */
  readonly goSum: string;
}

/** Builds one module. */
export function fakeModule(options: FakeModuleOptions): FakeModule {
  const { path, version = 'v1.0.0', time = '2024-01-02T03:04:05Z', hasGoMod = true } = options;
  const mod = Buffer.from(hasGoMod ? goModText(options) : `module ${path}\n`);
  const name = packageName(path);
  const files: Record<string, string | Uint8Array> = {
    LICENSE: 'Free for tests.\n',
    [`${name}.go`]: `// Package ${name} is made up.\npackage ${name}\n\nconst Version = "${version}"\n`,
    ...options.files,
  };
  if (hasGoMod) files['go.mod'] = mod;
  if (options.paddingBytes) files['padding.bin'] = incompressible(`${path}@${version}`, options.paddingBytes);
  const entries = Object.entries(files).map(([file, content]) => ({
    name: `${path}@${version}/${file}`,
    content: Buffer.from(content),
  }));
  const zipH1 = hash1(entries);
  const modH1 = hash1([{ name: 'go.mod', content: mod }]);
  return {
    path,
    version,
    info: Buffer.from(JSON.stringify({ Version: version, Time: time })),
    mod,
    zip: zipBytes(entries, options.zip),
    zipH1,
    modH1,
    goSum: `${path} ${version} ${zipH1}\n${path} ${version}/go.mod ${modH1}\n`,
  };
}

export interface FakeGraphOptions {
  /** How many modules in all. */
  readonly modules: number;
  /** How many levels of requirements; the first one holds the roots. Default 4. */
  readonly levels?: number;
  /** How many modules of the next level each one requires. Default 3. */
  readonly fanOut?: number;
  /** First part of all module paths. Default `graph.test`. */
  readonly host?: string;
  /** `go` directive. Default `1.16`: below 1.17 the graph is not pruned and `go` walks every level. */
  readonly goVersion?: string;
}

export interface FakeGraph {
  readonly modules: readonly FakeModule[];
  /** By level; `levels[0]` are the roots. Together they reach every module. */
  readonly levels: readonly (readonly FakeModule[])[];
}

/**
 * Generates a graph of modules, `{host}/l{level}/m{number}`. Every module below the roots is required by at least
 * one of the level above it.
 */
export function fakeGraph(options: FakeGraphOptions): FakeGraph {
  const { levels: levelCount = 4, fanOut = 3, host = 'graph.test', goVersion = '1.16' } = options;
  const depth = Math.max(1, Math.min(levelCount, options.modules));
  const counts = Array.from(
    { length: depth },
    (_, level) => Math.floor(options.modules / depth) + (level < options.modules % depth ? 1 : 0),
  );
  const pathOf = (level: number, number: number): string => `${host}/l${level}/m${number}`;
  const levels = counts.map((count, level) =>
    Array.from({ length: count }, (_, number) => {
      const below = counts[level + 1] ?? 0;
      const requires: Record<string, string> = {};
      // Counts never grow from level to level, so number % below covers the whole next level.
      for (let step = 0; step < Math.min(fanOut, below); step += 1) {
        requires[pathOf(level + 1, (number + step) % below)] = 'v1.0.0';
      }
      return fakeModule({ path: pathOf(level, number), requires, goVersion });
    }),
  );
  return { modules: levels.flat(), levels };
}

/**
 * Go's Hash1 over file contents: SHA-256 of the sorted lines `{hex SHA-256}  {name}`, see
 * https://go.dev/ref/mod#go-sum-files.
 */
export function hash1(files: readonly { name: string; content: Uint8Array }[]): string {
  const lines = files
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    .map(({ name, content }) => `${createHash('sha256').update(content).digest('hex')}  ${name}\n`);
  return `h1:${createHash('sha256').update(lines.join('')).digest('base64')}`;
}

function goModText(options: FakeModuleOptions): string {
  const requires = Object.entries(options.requires ?? {}).map(
    ([path, version]) => `require ${path} ${version}\n`,
  );
  const retracts = (options.retract ?? []).map((what) => `retract ${what}\n`);
  return [`module ${options.path}\n\ngo ${options.goVersion ?? '1.20'}\n`, ...requires, ...retracts].join('');
}

function packageName(path: string): string {
  const last =
    path
      .replace(/\/v\d+$/, '')
      .split('/')
      .at(-1) ?? 'x';
  return last
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .replace(/^(?=\d|$)/, 'p');
}

/** A cipher's key stream: the same for the same seed, quick to make, and no compressor finds anything in it. */
function incompressible(seed: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}
