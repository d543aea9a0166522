/**
 * Reads a go.mod file of somebody else's module by lax rules: what it cannot use it passes over, and nothing makes
 * it throw but size. Where Go's own modfile.ParseLax would refuse the file, the result carries the `fault`.
 * See https://go.dev/ref/mod#go-mod-file.
 */
import { ContentError } from './content-error.ts';
import { type GoModLine, lexGoMod } from './go-mod-lexer.ts';
import { unquoteGo } from './go-quote.ts';
import { splitPathVersion } from './module-path.ts';
import { canonicalVersion, fitsPath } from './version.ts';

/** Go's own limit for a go.mod file: 16 MiB. */
export const maxGoModBytes = 16 * 1024 * 1024;

export interface GoModRequire {
  /** Unquoted as written; not checked by module.CheckPath, as in Go. */
  readonly path: string;
  readonly version: string;
  readonly indirect: boolean;
}

/** Both ends included. Versions as written. */
export interface RetractInterval {
  readonly low: string;
  readonly high: string;
  readonly rationale: string;
}

export interface GoModFile {
  /** False when there is no module line that names a path. */
  readonly declaresModule: boolean;
  readonly module: string | undefined;
  /** The `go` line's version, without a `v` or a suffix that lax rules cut off. */
  readonly go: string | undefined;
  readonly toolchain: string | undefined;
  readonly requires: readonly GoModRequire[];
  readonly retracts: readonly RetractInterval[];
  /** Exactly what Go writes for a version without a go.mod: one module line and nothing else. */
  readonly isBare: boolean;
  /** Why modfile.ParseLax refuses the file; undefined when it does not. What could be read is there all the same. */
  readonly fault: string | undefined;
}

/** Throws ContentError `bad_mod` above 16 MiB, and nothing else. Bytes that are not UTF-8 read as U+FFFD. */
export function parseGoModLax(data: Uint8Array | string): GoModFile {
  if ((typeof data === 'string' ? data.length : data.byteLength) > maxGoModBytes) {
    throw new ContentError('bad_mod', `the go.mod is larger than ${maxGoModBytes} bytes`);
  }
  const text =
    typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
  const reader = new Reader();
  for (const line of lexGoMod(text)) reader.line(line);
  return reader.finish(text);
}

/** An open `verb ( … )`, or undefined outside of one. `verb` is undefined where the block is passed over. */
interface Block {
  readonly verb: string | undefined;
  readonly comments: readonly string[];
}

class Reader {
  #module: string | undefined;
  #hasModule = false;
  #go: string | undefined;
  #toolchain: string | undefined;
  #fault: string | undefined;
  #block: Block | undefined;
  /** Whole-line comments that belong to the next line; '' keeps a blank line's place, as Go does. */
  #before: string[] = [];
  #isFirstInBlock = false;
  readonly #requires: GoModRequire[] = [];
  readonly #retracts: RetractInterval[] = [];

  line(line: GoModLine): void {
    if (line.fault !== undefined) this.#refuse(line.fault);
    if (line.tokens.length === 0) this.#noTokens(line);
    else if (line.fault !== undefined) this.#before = [];
    else if (this.#block === undefined) this.#statement(line);
    else this.#inBlock(line, this.#block);
  }

  finish(text: string): GoModFile {
    if (this.#block !== undefined) this.#refuse('a block without its closing parenthesis');
    const module = this.#module ?? (this.#fault === undefined ? undefined : findModuleLine(text));
    return {
      declaresModule: module !== undefined && module !== '',
      module,
      go: this.#go,
      toolchain: this.#toolchain,
      requires: this.#requires,
      retracts: this.#retracts,
      isBare: module !== undefined && text === `module ${module}\n`,
      fault: this.#fault,
    };
  }

  #refuse(fault: string): void {
    this.#fault ??= fault;
  }

  #noTokens(line: GoModLine): void {
    if (line.comment !== undefined) {
      this.#before.push(line.comment);
      return;
    }
    // A blank line parts a comment from a statement, but not from a line of a block.
    if (this.#block === undefined) this.#before = [];
    else if (this.#before.length === 0 ? !this.#isFirstInBlock : this.#before.at(-1) !== '')
      this.#before.push('');
  }

  #statement({ tokens, comment }: GoModLine): void {
    const before = this.#before;
    this.#before = [];
    const opens = tokens.length > 1 && tokens.at(-1) === '(';
    if (opens) {
      const verb = tokens.length === 2 ? tokens[0] : undefined;
      this.#block = { verb, comments: before.filter(isComment) };
      this.#isFirstInBlock = true;
      return;
    }
    const isEmptyBlock = tokens.length > 2 && tokens.at(-1) === ')' && tokens.at(-2) === '(';
    if (isEmptyBlock) return;
    this.#directive(tokens[0] ?? '', tokens.slice(1), { before, comment, block: undefined });
  }

  #inBlock({ tokens, comment }: GoModLine, block: Block): void {
    const before = this.#before;
    this.#before = [];
    if (tokens[0] === ')') {
      this.#block = undefined;
      if (tokens.length > 1) this.#refuse('text after a closing parenthesis');
      return;
    }
    this.#isFirstInBlock = false;
    // Go passes over blocks of verbs that have no block form (`go`, `toolchain`) and of unknown ones.
    if (block.verb !== undefined && blockVerbs.has(block.verb)) {
      this.#directive(block.verb, tokens, { before, comment, block });
    }
  }

  #directive(verb: string, args: readonly string[], comments: Comments): void {
    if (verb === 'module') this.#moduleLine(args);
    else if (verb === 'go') this.#goLine(args);
    else if (verb === 'toolchain') this.#toolchain ??= args.length === 1 ? args[0] : undefined;
    else if (verb === 'require') this.#requireLine(args, comments.comment);
    else if (verb === 'retract') this.#retractLine(args, comments);
    else if (verb === 'ignore' && (args.length !== 1 || unquoteToken(args[0] ?? '') === undefined)) {
      this.#refuse('an ignore line that is not one path');
    }
  }

  #moduleLine(args: readonly string[]): void {
    if (this.#hasModule) return this.#refuse('a second module line');
    this.#hasModule = true;
    const path = args.length === 1 ? unquoteToken(args[0] ?? '') : undefined;
    if (path === undefined) return this.#refuse('a module line that is not one path');
    this.#module = path;
  }

  #goLine(args: readonly string[]): void {
    if (this.#go !== undefined) return this.#refuse('a second go line');
    const text = args.length === 1 ? (args[0] ?? '') : '';
    this.#go = goVersion.test(text) ? text : laxGoVersion.exec(text)?.[1];
    if (this.#go === undefined) this.#refuse('a go line that is not one version');
  }

  #requireLine(args: readonly string[], comment: string | undefined): void {
    if (args.length !== 2) return this.#refuse('a require line that is not a path and a version');
    const path = unquoteToken(args[0] ?? '');
    const text = unquoteToken(args[1] ?? '');
    const version = text === undefined ? undefined : canonicalVersion(text);
    if (path === undefined || version === undefined)
      return this.#refuse('a require line that cannot be read');
    if (splitPathVersion(path) === undefined || !fitsPath(path, version)) {
      return this.#refuse('a require line whose version does not fit its path');
    }
    this.#requires.push({ path, version, indirect: isIndirect(comment) });
  }

  /** Retractions that cannot be read are passed over without a fault: Go keeps room for new forms here. */
  #retractLine(args: readonly string[], comments: Comments): void {
    const isInterval = args[0] === '[';
    if (isInterval && (args[2] !== ',' || args[4] !== ']')) return;
    const low = unquoteToken(args[isInterval ? 1 : 0] ?? '(');
    const high = isInterval ? unquoteToken(args[3] ?? '') : low;
    if (low === undefined || high === undefined || args.length === 0 || args[0] === '(') return;
    this.#retracts.push({ low, high, rationale: rationaleOf(comments) });
  }
}

interface Comments {
  readonly before: readonly string[];
  readonly comment: string | undefined;
  readonly block: Block | undefined;
}

const blockVerbs = new Set(['module', 'require', 'retract', 'ignore']);
const goVersion = /^[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?(?:[a-z]+[0-9]+)?$/;
/** Later Go releases may write more after the numbers; dependencies must stay readable. */
const laxGoVersion = /^v?([1-9][0-9]*\.(?:0|[1-9][0-9]*))[^0-9].*$/;

function unquoteToken(token: string): string | undefined {
  if (token.startsWith('"')) return unquoteGo(token);
  return /["'`]/.test(token) ? undefined : token;
}

function isComment(text: string): boolean {
  return text !== '';
}

function isIndirect(comment: string | undefined): boolean {
  const words = (comment ?? '').replace(/^\/\//, '').trim().split(/\s+/);
  return words.length === 1 ? words[0] === 'indirect' : words[0] === 'indirect;';
}

/** A block's comment stands for those of its lines that have none, nor a blank line above. */
function rationaleOf({ before, comment, block }: Comments): string {
  const own = comment === undefined ? before : [...before, comment];
  const texts = own.length === 0 && block !== undefined ? block.comments : own;
  return texts
    .filter(isComment)
    .map((text) => text.replace(/^\/\//, '').trim())
    .join('\n');
}

/** The first `module …` line of a file that cannot be parsed, by the rough rule of modfile.ModulePath. */
function findModuleLine(text: string): string | undefined {
  const line = /^[^\S\n]*module[^\S\n]+(?!\/\/)([^\s][^\n]*)$/mu.exec(text)?.[1];
  const path = line?.replace(/\/\/.*$/, '').trim();
  if (path === undefined || path === '') return undefined;
  if (path.startsWith('"')) return unquoteGo(path);
  return path.startsWith('`') && path.endsWith('`') && path.length > 1 ? path.slice(1, -1) : path;
}
