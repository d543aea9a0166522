/**
 * Go's interpreted string literals, as they stand in go.mod files. See https://go.dev/ref/spec#String_literals and
 * strconv.Unquote.
 */

const simple: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '"': 34,
};
const escape = /\\(?:([abfnrtv\\"])|x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/y;
const plain = /[^"\\\n]+/y;

/** The text of a literal with its double quotes, or undefined when it is no valid one. Linear time. */
export function unquoteGo(literal: string): string | undefined {
  if (literal.length < 2 || !literal.startsWith('"') || !literal.endsWith('"')) return undefined;
  const end = literal.length - 1;
  // \xHH and \ooo stand for bytes, which together may make a character: collect bytes, decode once.
  const parts: Buffer[] = [];
  for (let at = 1; at < end; ) {
    plain.lastIndex = at;
    escape.lastIndex = at;
    const text = plain.exec(literal)?.[0];
    const found = text === undefined ? escape.exec(literal) : null;
    const part = text === undefined ? (found === null ? undefined : bytesOf(found)) : Buffer.from(text);
    if (part === undefined) return undefined;
    parts.push(part);
    at += text?.length ?? found?.[0].length ?? 0;
    if (at > end) return undefined;
  }
  return Buffer.concat(parts).toString();
}

function bytesOf(found: RegExpExecArray): Buffer | undefined {
  const [, letter, hex, octal, short, long] = found;
  if (letter !== undefined) return Buffer.of(simple[letter] ?? 0);
  if (hex !== undefined) return Buffer.of(Number.parseInt(hex, 16));
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    return value > 255 ? undefined : Buffer.of(value);
  }
  const code = Number.parseInt(short ?? long ?? '', 16);
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return code > 0x10ffff || isSurrogate ? undefined : Buffer.from(String.fromCodePoint(code));
}
