/**
 * Loads the configuration: file, environment and flags through the one schema into one snapshot. Every fault of
 * every layer is collected before it gives up, each with its place.
 */
import { errnoOf } from '../lib/errors.ts';
import type { Secret } from '../lib/secret.ts';
import { crossFaults, type PatternFault } from './checks.ts';
import {
  ConfigError,
  type ConfigFault,
  faultAt,
  inReadingOrder,
  type PathFault,
  type Place,
} from './fault.ts';
import { faultsOfIssues } from './issues.ts';
import { MergedLayers, type Origin, valueAt } from './origin.ts';
import { type Environment, envLayer, type FlagValues, flagLayer } from './override-layers.ts';
import { readTextFile } from './read-file.ts';
import { configSchema, type ParsedConfig } from './schema.ts';
import { configWalk, entryAt, entryLists, fieldAt, nameOf } from './schema-walk.ts';
import { resolveSecret, type SecretSources } from './secret.ts';
import { type ShownKey, shownKeys } from './show.ts';
import { type Config, toConfig } from './snapshot.ts';
import { type FileLayer, isTree, maxFileBytes, parseYamlLayer, type Tree } from './yaml-layer.ts';

export interface LoadOptions {
  /** Path of the file. Absent: no file, only environment, flags and defaults. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** By key name, see FlagValues. Default none. */
  readonly flags?: FlagValues;
  /** Reads the file, secret files and `*_FILE` values. Default: the file system. */
  readonly readFile?: (path: string, maxBytes: number) => Promise<string>;
  /** Judges patterns of `private`. Default: every pattern is right. */
  readonly patternFault?: PatternFault;
  /** `MODFERRY_*` variables that the caller reads itself. Default none. */
  readonly alsoKnownVariables?: readonly string[];
}

export interface LoadedConfig {
  readonly config: Config;
  readonly origin: Origin;
  /** Every key with its effective value as written, secrets masked, for `config show`. */
  readonly shown: readonly ShownKey[];
  readonly file: string | undefined;
}

/** @throws ConfigError with all faults. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, env, flags = {}, readFile = readTextFile, patternFault = () => undefined } = options;
  const [fileLayer, fromEnv] = await Promise.all([
    readFileLayer(file, readFile),
    envLayer(env, readFile, options.alsoKnownVariables),
  ]);
  const fromFlags = flagLayer(flags);
  const faults: ConfigFault[] = [...fileLayer.faults, ...fromEnv.faults, ...fromFlags.faults];
  const fallback: Place = { layer: 'file', where: file ?? 'modferry', line: 0, column: 0 };
  const merged = new MergedLayers(fileLayer, [...fromEnv.overrides, ...fromFlags.overrides], fallback);

  const judged = judge(merged.tree);
  const secrets = await resolveSecrets(merged.tree, { env, readFile });
  const cross = crossFaults(merged.tree, judged.parsed, patternFault).filter((fault) => {
    // A key that is wrong by itself is told once.
    return !judged.faults.some((other) => nameOf(other.path) === nameOf(fault.path));
  });
  for (const { path, wrong, right, atKey } of [...judged.faults, ...secrets.faults, ...cross]) {
    faults.push(faultAt(merged.placeOf(path, atKey), nameOf(path), wrong, right));
  }
  if (faults.length > 0) throw new ConfigError(inReadingOrder(faults));
  const config = toConfig(judged.parsed, secrets.byName);
  return { config, origin: merged, shown: shownKeys(merged), file };
}

async function readFileLayer(
  file: string | undefined,
  readFile: (path: string, maxBytes: number) => Promise<string>,
): Promise<FileLayer> {
  const empty: FileLayer = { values: {}, places: new Map(), faults: [] };
  if (file === undefined) return empty;
  try {
    return parseYamlLayer(await readFile(file, maxFileBytes), file);
  } catch (error) {
    const place: Place = { layer: 'file', where: file, line: 0, column: 0 };
    return { ...empty, faults: [faultAt(place, '', unreadable(error), 'name a YAML file of at most 1 MiB')] };
  }
}

function unreadable(error: unknown): string {
  const code = errnoOf(error);
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'too_large') return 'the file is larger than 1 MiB';
  return `the file cannot be read (${code ?? 'unknown error'})`;
}

/** Parses the tree; with faults, parses again without what was wrong, so that the checks across keys still run. */
function judge(tree: Tree): { readonly parsed: ParsedConfig; readonly faults: readonly PathFault[] } {
  const first = configSchema.safeParse(tree, { reportInput: true });
  if (first.success) return { parsed: first.data, faults: [] };
  const faults = faultsOfIssues(first.error.issues);
  const healed = structuredClone(tree);
  for (const { path } of faults) {
    // A list of mappings goes as a whole: what is left of it would be judged as if it were meant so.
    removeAt(healed, entryAt(path)?.list.field.path ?? fieldAt(path)?.path ?? path);
  }
  const second = configSchema.safeParse(healed);
  return { parsed: second.success ? second.data : configSchema.parse({}), faults };
}

function removeAt(tree: Tree, path: readonly PropertyKey[]): void {
  let current: unknown = tree;
  for (const key of path.slice(0, -1)) current = isTree(current) ? current[String(key)] : undefined;
  if (isTree(current)) delete current[String(path.at(-1))];
}

/** Resolves all secrets, also beside faults, so that a missing variable shows in the first round. */
async function resolveSecrets(
  tree: Tree,
  sources: SecretSources,
): Promise<{ readonly byName: ReadonlyMap<string, Secret>; readonly faults: readonly PathFault[] }> {
  const faults: PathFault[] = [];
  const byName = new Map<string, Secret>();
  for (const [path, text] of secretsIn(tree)) {
    const resolved = await resolveSecret(text, sources);
    if ('value' in resolved) byName.set(nameOf(path), resolved.value);
    else faults.push({ path, ...resolved });
  }
  return { byName, faults };
}

function* secretsIn(tree: Tree): Iterable<readonly [readonly PropertyKey[], string]> {
  for (const { path, info } of configWalk.fields) {
    const text = info.isSecret ? valueAt(tree, path) : undefined;
    if (typeof text === 'string' && text !== '') yield [path, text];
  }
  for (const { field, walk } of entryLists) {
    const entries = valueAt(tree, field.path);
    if (!Array.isArray(entries)) continue;
    for (const [index, entry] of (entries as unknown[]).entries()) {
      for (const { path, info } of walk.fields) {
        const text = info.isSecret ? valueAt(entry, path) : undefined;
        if (typeof text === 'string' && text !== '') yield [[...field.path, index, ...path], text];
      }
    }
  }
}
