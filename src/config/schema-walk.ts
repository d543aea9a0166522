/**
 * Walks the schema: sections and leaves with their paths. The environment layer, the reference page and the
 * effective view are loops over this list, so a new key needs no second place.
 */
import * as z from 'zod';
import { type FieldInfo, fieldRegistry } from './fields.ts';
import { configSchema } from './schema.ts';
import { upstreamServerSchema } from './upstream-schema.ts';

/** One key that holds a value. */
export interface Field {
  /** Keys from the root, e.g. `ingest`, `hold`. */
  readonly path: readonly string[];
  /** `ingest.hold`. */
  readonly name: string;
  /** The one rule: `MODFERRY_` and the path in capitals, joined by `_`. */
  readonly variable: string;
  readonly info: FieldInfo;
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
      fields.push({ path, name: nameOf(path), variable: variableOf(path), info });
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
/** Sections and leaves of one entry of `upstreams:`. */
export const upstreamWalk: SchemaWalk = walk(upstreamServerSchema);

/** The leaf at or above a path of the file, also inside an entry of `upstreams:`. */
export function fieldAt(path: readonly PropertyKey[]): Field | undefined {
  if (path[0] === 'upstreams' && path.length > 2) return longestPrefix(upstreamWalk.fields, path.slice(2));
  return longestPrefix(configWalk.fields, path);
}

/** The section at a path of the file, also inside an entry of `upstreams:`. */
export function sectionAt(path: readonly PropertyKey[]): Section | undefined {
  const inUpstream = path[0] === 'upstreams' && path.length > 1;
  const wanted = nameOf(inUpstream ? path.slice(2) : path);
  return (inUpstream ? upstreamWalk : configWalk).sections.find((section) => nameOf(section.path) === wanted);
}

function longestPrefix(fields: readonly Field[], path: readonly PropertyKey[]): Field | undefined {
  return fields.find((field) => field.path.every((key, index) => path[index] === key));
}
