/**
 * The lines of a go.mod file as tokens and comments, by the lexical rules of golang.org/x/mod/modfile. A fault
 * spoils its own line only: reading goes on at the next one, because a mirror must not refuse what it need not
 * understand. See https://go.dev/ref/mod#go-mod-file-lexical.
 */

export interface GoModLine {
  /** Identifiers, punctuation and quoted strings (quotes kept), without the comment. */
  readonly tokens: readonly string[];
  /** With its `//`, without its line end. */
  readonly comment: string | undefined;
  /** What Go's lexer would refuse in this line; then the other fields may be cut short. */
  readonly fault: string | undefined;
}

const blankLine: GoModLine = { tokens: [], comment: undefined, fault: undefined };
const punctuation = new Set(['(', ')', '[', ']', '{', '}', ',']);
/** Printable by Go's unicode.IsPrint, and neither a space nor punctuation of the format. */
const identifier = /[^\s()[\]{},\p{C}\p{Z}]+/uy;
const blanks = /[ \t\r]*/y;

/** Yields each line, the last one also without a line end. Linear time; never throws. */
export function* lexGoMod(text: string): Generator<GoModLine, undefined> {
  let at = 0;
  while (at < text.length) {
    // 16 MiB of line ends are 16 million lines: they must cost next to nothing.
    if (text[at] === '\n') {
      at += 1;
      yield blankLine;
      continue;
    }
    const line = lexLine(text, at);
    at = line.next;
    yield line;
  }
}

function lexLine(text: string, start: number): GoModLine & { next: number } {
  const tokens: string[] = [];
  let at = start;
  for (;;) {
    at = skipBlanks(text, at);
    const character = text[at];
    if (character === undefined || character === '\n') {
      return { tokens, comment: undefined, fault: undefined, next: at + 1 };
    }
    if (text.startsWith('//', at)) {
      const end = endOfLine(text, at);
      const comment = text.slice(at, end).replace(/\r$/, '');
      // The carriage return belongs to the line end only if there is one.
      return {
        tokens,
        comment: end < text.length ? comment : text.slice(at),
        fault: undefined,
        next: end + 1,
      };
    }
    const token = readToken(text, at, character);
    if (token.fault !== undefined) {
      return { tokens, comment: undefined, fault: token.fault, next: endOfLine(text, token.end) + 1 };
    }
    tokens.push(text.slice(at, token.end));
    at = token.end;
  }
}

interface TokenEnd {
  readonly end: number;
  readonly fault?: string;
}

function readToken(text: string, at: number, character: string): TokenEnd {
  if (punctuation.has(character)) return { end: at + 1 };
  if (character === '"' || character === '`') return readString(text, at, character);
  if (text.startsWith('/*', at)) return { end: at, fault: 'comments of go.mod begin with //' };
  identifier.lastIndex = at;
  const word = identifier.exec(text)?.[0];
  if (word === undefined) return { end: at, fault: 'a character that is not printable' };
  const comment = word.search(/\/[/*]/);
  if (comment < 0) return { end: at + word.length };
  return word[comment + 1] === '*'
    ? { end: at + comment, fault: 'comments of go.mod begin with //' }
    : { end: at + comment };
}

function readString(text: string, start: number, quote: string): TokenEnd {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === quote) return { end: at + 1 };
    if (character === '\n') return { end: at, fault: 'a line end within a quoted string' };
    // Go skips whatever follows a backslash, a line end too, and refuses it only when the string is unquoted.
    if (character === '\\' && quote === '"') at += 1;
  }
  return { end: text.length, fault: 'a quoted string without its end' };
}

function skipBlanks(text: string, at: number): number {
  blanks.lastIndex = at;
  return at + (blanks.exec(text)?.[0].length ?? 0);
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}
