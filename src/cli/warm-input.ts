/**
 * Reads what `modferry warm` is given: go.sum, go.mod, the output of `go list -m all`, or lines of
 * `MODULE@VERSION`. The kind is told by the name, else by the content, so that standard input works too.
 */

import { parseGoModLax } from '../gomod/go-mod-file.ts';
import { lexGoMod } from '../gomod/go-mod-lexer.ts';
import { parseGoSum } from '../gomod/go-sum.ts';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ArtifactExt, ModulePath } from '../gomod/types.ts';
import { fitsPath, isCanonical, parseVersionQuery } from '../gomod/version.ts';
import { CliError } from './cli-error.ts';

/** One version to have in the store. */
export interface WarmItem {
  readonly path: ModulePath;
  /** A canonical version, or a query (`latest`, a branch …) that the server resolves. */
  readonly version: string;
  readonly isQuery: boolean;
  /** What is asked for; a version whose go.mod alone is needed has only `mod`. */
  readonly exts: readonly ArtifactExt[];
}

type InputKind = 'go.sum' | 'go.mod' | 'list';

const wholeVersion: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

/** Collects items of several inputs; a version named twice is one item with all that is asked of it. */
export class WarmInput {
  readonly #items = new Map<string, WarmItem>();

  /** `name` is for messages and may tell the kind. Throws CliError `usage` with the line at fault. */
  add(name: string, text: string): void {
    const kind = kindOf(name, text);
    if (kind === 'go.mod') this.#addGoMod(name, text);
    else if (kind === 'go.sum') this.#addGoSum(name, text);
    else this.#addList(name, text);
  }

  get items(): readonly WarmItem[] {
    return [...this.#items.values()];
  }

  #addList(name: string, text: string): void {
    for (const [index, line] of text.split('\n').entries()) {
      const bare = line.replace(/^\uFEFF/, '').trim();
      if (bare === '' || bare.startsWith('#') || bare.startsWith('//')) continue;
      this.#addListLine(`${name}:${index + 1}`, bare);
    }
  }

  #addGoSum(name: string, text: string): void {
    const { lines, faults } = parseGoSum(text);
    const fault = faults.find((each) => !/^(?:#|\/\/)/.test(each.text));
    if (fault !== undefined) {
      throw new CliError(
        'usage',
        `${name}:${fault.lineNumber}: not a line of go.sum: ${fault.reason}; expected MODULE VERSION h1:HASH`,
      );
    }
    for (const { path, version, ext } of lines) {
      this.#add({ path, version, isQuery: false, exts: ext === 'mod' ? ['mod'] : wholeVersion });
    }
  }

  /** `MODULE@VERSION`, or a line of `go list -m all`: `MODULE VERSION [=> MODULE VERSION]`. */
  #addListLine(place: string, line: string): void {
    const [left = '', right] = line.split(/\s+=>\s+/);
    const words = (right ?? left).split(/\s+/);
    const [first = '', second, ...more] = words;
    const isLocal = /^(?:\.{0,2}\/|[A-Za-z]:)/.test(first);
    if (isLocal) return;
    const at = first.lastIndexOf('@');
    if (at > 0 && second === undefined) this.#put(place, first.slice(0, at), first.slice(at + 1));
    else if (at < 0 && second !== undefined && more.length === 0) this.#put(place, first, second);
    else if (at < 0 && second === undefined && right === undefined && isMainModule(place, line)) return;
    else
      throw new CliError(
        'usage',
        `${place}: "${line.slice(0, 100)}" names no version; expected MODULE@VERSION`,
      );
  }

  #addGoMod(name: string, text: string): void {
    const file = parseGoModLax(text);
    if (file.fault !== undefined) throw new CliError('usage', `${name}: not a go.mod file: ${file.fault}`);
    const replaced = readReplacements(text);
    for (const { path, version } of file.requires) {
      const target = replaced.get(`${path}@${version}`) ?? replaced.get(path) ?? { path, version };
      // A folder of this machine: nothing to fetch.
      if (target.version !== undefined) this.#put(name, target.path, target.version);
    }
  }

  #put(place: string, pathText: string, version: string): void {
    try {
      const path = parseModulePath(pathText);
      const isQuery = !(isCanonical(version) && fitsPath(path, version));
      if (isQuery) parseVersionQuery(version);
      this.#add({ path, version, isQuery, exts: wholeVersion });
    } catch (error) {
      if (!(error instanceof InvalidRequestError)) throw error;
      throw new CliError('usage', `${place}: ${error.message}`, { cause: error });
    }
  }

  #add(item: WarmItem): void {
    const key = `${item.path}@${item.version}`;
    const known = this.#items.get(key)?.exts ?? [];
    const exts = wholeVersion.filter((ext) => known.includes(ext) || item.exts.includes(ext));
    this.#items.set(key, { ...item, exts });
  }
}

/** The first line of `go list -m all` is the main module, which has no version. */
function isMainModule(place: string, line: string): boolean {
  return place.endsWith(':1') && !line.includes('@');
}

function kindOf(name: string, text: string): InputKind {
  if (/(?:^|[/\\.])go\.sum$/.test(name)) return 'go.sum';
  if (/(?:^|[/\\.])go\.mod$/.test(name)) return 'go.mod';
  const firstLine = text.split('\n', 200).find((line) => /^\s*[^\s#/]/.test(line)) ?? '';
  if (/\sh1:[A-Za-z0-9+/]{43}=\s*$/.test(firstLine)) return 'go.sum';
  return /^\s*module\s+[("`A-Za-z0-9]/m.test(text) && !firstLine.includes('@') ? 'go.mod' : 'list';
}

interface Replacement {
  readonly path: string;
  /** Undefined for a folder. */
  readonly version: string | undefined;
}

/** `replace A [V] => B [V]`, by `A@V` or `A`. */
function readReplacements(text: string): Map<string, Replacement> {
  const found = new Map<string, Replacement>();
  let isInBlock = false;
  for (const { tokens } of lexGoMod(text)) {
    if (tokens[0] === 'replace' && tokens[1] === '(') isInBlock = true;
    else if (isInBlock && tokens[0] === ')') isInBlock = false;
    else if (isInBlock || tokens[0] === 'replace') {
      const words = (isInBlock ? tokens : tokens.slice(1)).map((token) =>
        token.replaceAll(/^["`]|["`]$/g, ''),
      );
      const arrow = words.indexOf('=>');
      const [from, fromVersion] = words.slice(0, Math.max(0, arrow));
      const [to, toVersion] = words.slice(arrow + 1);
      if (arrow < 1 || from === undefined || to === undefined) continue;
      found.set(fromVersion === undefined ? from : `${from}@${fromVersion}`, {
        path: to,
        version: toVersion,
      });
    }
  }
  return found;
}
