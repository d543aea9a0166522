/**
 * The module path of a go.mod by the rough rule of modfile.ModulePath, which the go command uses to find a module's
 * directory in a repository: the first line that looks like a module line, whatever else stands in the file.
 */
import { unquoteGo } from './go-quote.ts';

// Go's white space. JavaScript's trim() also takes a byte order mark, after which Go finds no module line.
const space = '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const leading = new RegExp(`^${space}+`);
const trailing = new RegExp(`(?<!${space})${space}+$`);

/**
 * Where a line may begin that has the word, a blank and something behind it; one character a byte, so that all of Go's
 * white space beyond ASCII is \x80 to \xff. Millions of other lines, as a hostile go.mod has them, cost one search.
 */
const candidate = /(?<![^\n])[\t\v\f\r \x80-\xff]*module[\t\v\f\r \x80-\xff]+(?!\/\/)[^\n\t\v\f\r ]/g;

/** The path, or '' when there is none that can be read. Linear time. */
export function moduleLinePath(goMod: Uint8Array): string {
  const bytes = Buffer.from(goMod.buffer, goMod.byteOffset, goMod.byteLength);
  for (const { index } of bytes.toString('latin1').matchAll(candidate)) {
    const newline = bytes.indexOf(0x0a, index);
    const path = pathOf(bytes.toString('utf8', index, newline < 0 ? bytes.length : newline));
    if (path !== undefined) return path;
  }
  return '';
}

function pathOf(line: string): string | undefined {
  const comment = line.indexOf('//');
  const text = trim(comment < 0 ? line : line.slice(0, comment));
  if (!text.startsWith('module')) return undefined;
  const rest = text.slice('module'.length);
  const path = rest.replace(leading, '');
  if (path === rest || path === '') return undefined;
  if (path.startsWith('"')) return unquoteGo(path) ?? '';
  if (!path.startsWith('`')) return path;
  const isWhole = path.length > 1 && path.indexOf('`', 1) === path.length - 1;
  return isWhole ? path.slice(1, -1).replaceAll('\r', '') : '';
}

function trim(text: string): string {
  return text.replace(leading, '').replace(trailing, '');
}
