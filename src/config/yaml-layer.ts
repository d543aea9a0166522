/**
 * The file layer: YAML text to plain values with the place of every key and value. It is read with limits,
 * because a broken or hostile file must end in a fault and nothing else: size, depth, number of nodes and
 * aliases are bounded, and a key such as `__proto__` never reaches an object.
 */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { messageOf } from '../lib/errors.ts';
import { type ConfigFault, faultAt, type Place } from './fault.ts';
import { nameOf } from './schema-walk.ts';

/** Largest configuration file that is read. */
export const maxFileBytes = 1024 ** 2;
const maxDepth = 50;
const maxAliases = 100;
const maxNodes = 20_000;
/** More syntax faults than this are mostly consequences of the first ones. */
const maxSyntaxFaults = 20;

export type Tree = Record<string, unknown>;

export interface FileLayer {
  /** The root mapping; empty for an empty file. Keys without a value are left out. */
  readonly values: Tree;
  /** Place of the value at a path name; of a key under its path name with `#key` behind it. */
  readonly places: ReadonlyMap<string, Place>;
  readonly faults: readonly ConfigFault[];
}

/** Parses a whole file. Never throws. */
export function parseYamlLayer(text: string, file: string): FileLayer {
  const parsed = parseYaml(text, { layer: 'file', where: file, line: 1, column: 1 });
  if (parsed.value === undefined || parsed.value === null) return { ...parsed, values: {} };
  if (isTree(parsed.value)) return { ...parsed, values: parsed.value };
  const place = parsed.places.get('') ?? { layer: 'file', where: file, line: 1, column: 1 };
  const fault = faultAt(
    place,
    '',
    'the file is not a mapping',
    'write lines such as "listen: localhost:8080"',
  );
  return { ...parsed, values: {}, faults: [...parsed.faults, fault] };
}

export interface YamlValue {
  readonly value: unknown;
  readonly places: ReadonlyMap<string, Place>;
  readonly faults: readonly ConfigFault[];
}

/** Parses any YAML text. With a `base` of line 0 every place is `base` itself (variables have no lines). */
export function parseYaml(text: string, base: Place): YamlValue {
  const lines = new LineCounter();
  const faults: ConfigFault[] = [];
  const places = new Map<string, Place>();
  function placeAt(offset: number | undefined): Place {
    if (base.line === 0 || offset === undefined) return base;
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { ...base, line: Math.max(line, 1), column: Math.max(col, 1) };
  }
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
    const problems = [...document.errors, ...document.warnings];
    // The parser's stack ran out; all it says besides is a consequence.
    const exhausted = problems.find((problem) => problem.code === 'RESOURCE_EXHAUSTION');
    if (exhausted !== undefined)
      return { value: undefined, places, faults: [tooDeep(placeAt(exhausted.pos[0]))] };
    for (const problem of problems.slice(0, maxSyntaxFaults)) {
      faults.push(
        faultAt(
          placeAt(problem.pos[0]),
          '',
          `not valid YAML: ${messageOf(problem)}`,
          adviceFor(problem.code),
        ),
      );
    }
    if (problems.length > 0) return { value: undefined, places, faults };
    const reader = new NodeReader(placeAt, places, faults, (node) =>
      isAlias(node) ? node.resolve(document) : node,
    );
    const value = reader.read(document.contents, [], 0);
    // Half a file would only add faults that are consequences of the one that matters.
    return { value: reader.gaveUp ? undefined : value, places, faults };
  } catch (error) {
    // The parser is recursive; text nested past its stack is a fault of the file, not of ours.
    if (error instanceof RangeError) return { value: undefined, places, faults: [tooDeep(base)] };
    const wrong = `not valid YAML: ${messageOf(error)}`;
    return { value: undefined, places, faults: [faultAt(base, '', wrong, adviceFor(''))] };
  }
}

function tooDeep(place: Place): ConfigFault {
  return faultAt(place, '', `nested deeper than ${maxDepth} levels`, 'write the file out plainly');
}

function adviceFor(code: string): string {
  if (code === 'DUPLICATE_KEY') return 'keep one of the two keys';
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (code === 'MULTIPLE_DOCS') return 'keep one document and remove the "---" lines between';
  if (code === 'TAG_RESOLVE_FAILED') return 'remove the "!" tag';
  if (code === 'NON_STRING_KEY') return 'write plain text as key';
  return 'correct the text at this place; strings with ": " or " #" need quotes';
}

/** Turns nodes into plain values once, within the limits. */
class NodeReader {
  readonly #placeAt: (offset: number | undefined) => Place;
  readonly #places: Map<string, Place>;
  readonly #faults: ConfigFault[];
  readonly #resolve: (node: Node) => Node | undefined;
  #nodes = 0;
  #aliases = 0;
  #gaveUp = false;

  constructor(
    placeAt: (offset: number | undefined) => Place,
    places: Map<string, Place>,
    faults: ConfigFault[],
    resolve: (node: Node) => Node | undefined,
  ) {
    this.#placeAt = placeAt;
    this.#places = places;
    this.#faults = faults;
    this.#resolve = resolve;
  }

  /** A limit was passed; a fault says which. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  read(written: unknown, path: readonly PropertyKey[], depth: number): unknown {
    if (!isNode(written) || this.#gaveUp) return undefined;
    let node: Node | undefined = written;
    const place = this.#placeAt(node.range?.[0]);
    this.#places.set(nameOf(path), place);
    this.#nodes += 1;
    if (isAlias(node)) {
      this.#aliases += 1;
      node = this.#resolve(node);
    }
    if (depth > maxDepth) return this.#giveUp(place, path, `nested deeper than ${maxDepth} levels`);
    if (this.#aliases > maxAliases) return this.#giveUp(place, path, `more than ${maxAliases} aliases`);
    if (this.#nodes > maxNodes) return this.#giveUp(place, path, `more than ${maxNodes} values`);
    if (isSeq(node))
      return node.items.map((item, index) => this.read(item, [...path, index], depth + 1) ?? null);
    if (isMap(node)) return this.#readMap(node.items, path, depth);
    return isScalar(node) ? node.value : undefined;
  }

  #readMap(
    pairs: readonly { readonly key: unknown; readonly value: unknown }[],
    path: readonly PropertyKey[],
    depth: number,
  ): Tree {
    const tree: Tree = {};
    for (const pair of pairs) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const keyPath = [...path, key];
      const keyPlace = this.#placeAt(isNode(pair.key) ? pair.key.range?.[0] : undefined);
      if (key === '__proto__') {
        this.#faults.push(faultAt(keyPlace, nameOf(keyPath), '"__proto__" is not a key', 'remove it'));
        continue;
      }
      this.#places.set(`${nameOf(keyPath)}#key`, keyPlace);
      const value = this.read(pair.value, keyPath, depth + 1);
      // A key without a value keeps its default, so that a section may be commented out below its name.
      if (value !== null && value !== undefined) tree[key] = value;
    }
    return tree;
  }

  #giveUp(place: Place, path: readonly PropertyKey[], wrong: string): undefined {
    this.#gaveUp = true;
    this.#faults.push(faultAt(place, nameOf(path.slice(0, 3)), wrong, 'write the file out plainly'));
    return undefined;
  }
}

/** True for a plain mapping. */
export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
