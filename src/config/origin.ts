/**
 * The layers merged into one tree, with the memory of which layer set what: flags over environment over file
 * over defaults. Faults and `config show` ask it where a value stands.
 */
import type { Place } from './fault.ts';
import type { Override } from './override-layers.ts';
import { configWalk, nameOf } from './schema-walk.ts';
import { type FileLayer, isTree, type Tree } from './yaml-layer.ts';

/** Who set a key: a place in a layer, or nobody. */
export type ConfigSource = Place | { readonly layer: 'default' };

export interface Origin {
  /** Which layer set the key of this name, e.g. `ingest.hold`. */
  sourceOf(name: string): ConfigSource;
}

/** One tree of what was written. */
export class MergedLayers implements Origin {
  /** What was written, without defaults. May hold secrets: never shown as it is. */
  readonly tree: Tree;
  readonly #file: FileLayer;
  readonly #fallback: Place;
  readonly #overrides = new Map<string, Place>();

  /** Later `overrides` win. `fallback` is the place of faults that stand nowhere. */
  constructor(file: FileLayer, overrides: readonly Override[], fallback: Place) {
    this.tree = structuredClone(file.values);
    this.#file = file;
    this.#fallback = fallback;
    for (const { field, value, place } of overrides) {
      if (setAt(this.tree, field.path, value)) this.#overrides.set(field.name, place);
    }
  }

  sourceOf(name: string): ConfigSource {
    const overridden = this.#overrides.get(name);
    if (overridden !== undefined) return overridden;
    const field = configWalk.fields.find((candidate) => candidate.name === name);
    const written = field === undefined ? undefined : valueAt(this.tree, field.path);
    const place = this.#file.places.get(name);
    return written === undefined || place === undefined ? { layer: 'default' } : place;
  }

  /** The nearest place to a path: the value, its key, or what holds it. */
  placeOf(path: readonly PropertyKey[], preferKey = false): Place {
    for (let length = path.length; length > 0; length -= 1) {
      const override = this.#overrides.get(nameOf(path.slice(0, length)));
      if (override !== undefined) return override;
    }
    for (let length = path.length; length >= 0; length -= 1) {
      const name = nameOf(path.slice(0, length));
      const key = this.#file.places.get(`${name}#key`);
      const place = (preferKey ? key : undefined) ?? this.#file.places.get(name) ?? key;
      if (place !== undefined) return place;
    }
    return this.#fallback;
  }
}

/** The value at a path, or undefined. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let current = tree;
  for (const key of path) {
    if (!isTree(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[String(key)];
  }
  return current;
}

/** False when something that is no mapping stands in the way; that is a fault of the file and told as such. */
function setAt(tree: Tree, path: readonly string[], value: unknown): boolean {
  let current = tree;
  for (const key of path.slice(0, -1)) {
    const next = (current[key] ??= {});
    if (!isTree(next)) return false;
    current = next;
  }
  const last = path.at(-1);
  if (last !== undefined) current[last] = value;
  return true;
}
