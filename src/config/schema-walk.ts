/**
 * Walks the schema: sections and leaves with their paths. The environment layer, the reference page and the
 * effective view are loops over this list, so a new key needs no second place.
 */
import * as z from 'zod';
import { entrySchemas, type FieldInfo, fieldRegistry } from './fields.ts';
import { configSchema } from './schema.ts';

/** One key that holds a value. */
export interface Field {
  /** Keys from the root, e.g. `ingest`, `hold`. */
  readonly path: readonly string[];
  /** `ingest.hold`. */
  readonly name: string;
  /** The one rule: `MODFERRY_` and the path in capitals, joined by `_`. */
  readonly variable: string;
  readonly info: FieldInfo;
  /** Of a list of mappings: what one of them holds. */
  readonly entry: z.ZodObject | undefined;
}

/** A mapping of the file. */
export interface Section {
  readonly path: readonly string[];
  readonly about: string;
  readonly keys: readonly string[];
}

export interface SchemaWalk {
  readonly fields: readonly Field[];
  readonly sections: readonly Section[];
}

/** `MODFERRY_INGEST_HOLD` for `['ingest', 'hold']`. */
function variableOf(path: readonly string[]): string {
  return `MODFERRY_${path.join('_').toUpperCase()}`;
}

/** `upstreams[0].url` for `['upstreams', 0, 'url']`. */
export function nameOf(path: readonly PropertyKey[]): string {
  let name = '';
  for (const key of path) {
    if (typeof key === 'number') name += `[${key}]`;
    else name += name === '' ? String(key) : `.${String(key)}`;
  }
  return name;
}

function walk(root: z.ZodObject): SchemaWalk {
  const fields: Field[] = [];
  const sections: Section[] = [];
  function visit(schema: z.core.$ZodType, path: readonly string[], about: string): void {
    const info = fieldRegistry.get(schema);
    if (info !== undefined) {
      fields.push({
        path,
        name: nameOf(path),
        variable: variableOf(path),
        info,
        entry: entrySchemas.get(schema),
      });
    } else if (schema instanceof z.ZodPrefault) {
      visit(schema.unwrap(), path, schema.description ?? '');
    } else if (schema instanceof z.ZodObject) {
      sections.push({ path, about, keys: Object.keys(schema.shape) });
      for (const [key, child] of Object.entries(schema.shape)) visit(child, [...path, key], '');
    }
  }
  visit(root, [], '');
  return { fields, sections };
}

/** Sections and leaves of the file, in its order. */
export const configWalk: SchemaWalk = walk(configSchema);

/** A list of mappings, and what one of them holds. */
export interface EntryList {
  readonly field: Field;
  readonly walk: SchemaWalk;
}

/** All lists of mappings, in the order of the file. */
export const entryLists: readonly EntryList[] = configWalk.fields.flatMap((field) =>
  field.entry === undefined ? [] : [{ field, walk: walk(field.entry) }],
);

/** The leaf at or above a path of the file, also inside an entry of a list. */
export function fieldAt(path: readonly PropertyKey[]): Field | undefined {
  const entry = entryAt(path);
  if (entry !== undefined && entry.rest.length > 0) return longestPrefix(entry.list.walk.fields, entry.rest);
  return longestPrefix(configWalk.fields, path);
}

/** The section at a path of the file, also inside an entry of a list. */
export function sectionAt(path: readonly PropertyKey[]): Section | undefined {
  const entry = entryAt(path);
  const wanted = nameOf(entry?.rest ?? path);
  return (entry?.list.walk ?? configWalk).sections.find((section) => nameOf(section.path) === wanted);
}

/** The list that the path leads into, and what of the path is left within the entry. */
export function entryAt(
  path: readonly PropertyKey[],
): { readonly list: EntryList; readonly rest: readonly PropertyKey[] } | undefined {
  for (const list of entryLists) {
    const own = list.field.path;
    if (path.length <= own.length || !own.every((key, index) => path[index] === key)) continue;
    return { list, rest: path.slice(own.length + 1) };
  }
  return undefined;
}

function longestPrefix(fields: readonly Field[], path: readonly PropertyKey[]): Field | undefined {
  return fields.find((field) => field.path.every((key, index) => path[index] === key));
}
