/**
 * The effective configuration for `modferry config show`: every key with its value as it would stand in the
 * file and the layer it came from. Secrets are masked; references to secrets are shown.
 */
import { stringify } from 'yaml';
import type { FieldInfo } from './fields.ts';
import type { ConfigSource, MergedLayers } from './origin.ts';
import { valueAt } from './origin.ts';
import { configWalk, entryLists } from './schema-walk.ts';
import { redactUrls, shownSecret } from './secret.ts';
import { isTree } from './yaml-layer.ts';

/** One key as it may be shown. */
export interface ShownKey {
  readonly path: readonly string[];
  readonly name: string;
  /** As in the file; undefined when nothing is set and there is no default. */
  readonly value: unknown;
  readonly source: ConfigSource;
}

/** All keys in the order of the reference. */
export function shownKeys(layers: MergedLayers): ShownKey[] {
  return configWalk.fields.map(({ path, name, info }) => {
    const written = valueAt(layers.tree, path);
    const value = written === undefined ? info.defaultValue : shownValue(written, info);
    return { path, name, value, source: layers.sourceOf(name) };
  });
}

/** The file that would give this configuration, each value with its origin behind it. Keys without value are left out. */
export function renderConfigYaml(keys: readonly ShownKey[]): string {
  const lines: string[] = [];
  let open: readonly string[] = [];
  for (const { path, value, source } of keys) {
    if (value === undefined) continue;
    const parents = path.slice(0, -1);
    const shared = parents.findIndex((key, index) => open[index] !== key);
    if (shared >= 0) {
      for (const [index, key] of parents.entries())
        if (index >= shared) lines.push(`${'  '.repeat(index)}${key}:`);
    }
    open = parents;
    lines.push(...renderKey(path.at(-1) ?? '', value, '  '.repeat(parents.length), describeSource(source)));
  }
  return `${lines.join('\n')}\n`;
}

/** The same for scripts: an object by key name. Keys without value have `null`. */
export function renderConfigJson(keys: readonly ShownKey[]): string {
  const byName: Record<string, unknown> = {};
  for (const { name, value, source } of keys) {
    byName[name] = { value: value ?? null, layer: source.layer, from: describeSource(source) };
  }
  return `${JSON.stringify(byName, null, 2)}\n`;
}

/** `default`, `modferry.yaml:12:5`, `MODFERRY_INGEST_HOLD`, `--listen`. */
export function describeSource(source: ConfigSource): string {
  if (source.layer === 'default') return 'default';
  return source.line > 0 ? `${source.where}:${source.line}:${source.column}` : source.where;
}

function renderKey(key: string, value: unknown, indent: string, comment: string): string[] {
  const isBlock = (Array.isArray(value) && value.length > 0) || isTree(value);
  // JSON is YAML too, and keeps a value with line breaks on the line that carries the comment.
  const isLong = typeof value === 'string' && value.includes('\n');
  const text = isLong ? JSON.stringify(value) : stringify(value, { lineWidth: 0 }).trimEnd();
  if (!isBlock) return [`${indent}${key}: ${text} # ${comment}`];
  return [`${indent}${key}: # ${comment}`, ...text.split('\n').map((line) => `${indent}  ${line}`)];
}

/** Names of keys in lists of mappings whose literal value is never shown. */
const secretKeys: ReadonlySet<string> = new Set(
  entryLists.flatMap(({ walk }) =>
    walk.fields.filter(({ info }) => info.isSecret).map(({ path }) => path.at(-1) ?? ''),
  ),
);

function shownValue(written: unknown, info: FieldInfo): unknown {
  return info.isSecret ? shownSecret(String(written)) : masked(written, info.mayHoldCredentials);
}

function masked(value: unknown, mayHoldCredentials: boolean): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => masked(item, mayHoldCredentials));
  if (!isTree(value)) return mayHoldCredentials && typeof value === 'string' ? redactUrls(value) : value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      return [key, secretKeys.has(key) ? shownSecret(String(child)) : masked(child, mayHoldCredentials)];
    }),
  );
}
