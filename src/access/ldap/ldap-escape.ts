/** Values inside LDAP filters (RFC 4515) and distinguished names (RFC 4514), and the names read back. */

/** A value for a filter: what means something there becomes `\XX`. */
export function escapeFilterValue(value: string): string {
  return value.replaceAll(/[\\*()\0]/g, hexOf);
}

/** A value for one attribute of a distinguished name. */
export function escapeDnValue(value: string): string {
  const escaped = value
    .replaceAll(/[\\,+"<>;=\0]/g, (found) => (found === '\0' ? hexOf(found) : `\\${found}`))
    .replace(/^[ #]/, (found) => `\\${found}`);
  // A single space was escaped as the first character already.
  return value.length > 1 && value.endsWith(' ') ? `${escaped.slice(0, -1)}\\ ` : escaped;
}

function hexOf(character: string): string {
  return `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** Puts values, escaped by `escape`, in the place of `{user}` and `{dn}`. Values are never read as templates again. */
export function fillTemplate(
  template: string,
  values: Readonly<Record<'user' | 'dn', string>>,
  escape: (value: string) => string,
): string {
  return template.replaceAll(/\{(user|dn)\}/g, (_, name: 'user' | 'dn') => escape(values[name]));
}

/** One step of a distinguished name: `cn=a+ou=b` has two pairs. Types in lower case, values without their escapes. */
export type RelativeName = readonly (readonly [type: string, value: string])[];

/** The steps of a distinguished name, the entry's own first. Undefined when it is not one. */
export function parseDn(text: string): readonly RelativeName[] | undefined {
  const names: [string, string][][] = [];
  let separator = ',';
  // Spaces around a value do not belong to it, unless they are escaped.
  const pairAt = / *([A-Za-z][\w-]*|\d+(?:\.\d+)*) *= *((?:[^\\,+;"]|\\[\dA-Fa-f]{2}|\\.)*)([,+;]?)/sy;
  while (pairAt.lastIndex < text.length || separator !== '') {
    const found = pairAt.exec(text);
    if (found === null) return undefined;
    const [, type = '', value = '', next = ''] = found;
    const read = unescapeDn(value);
    if (read === undefined) return undefined;
    const pair: [string, string] = [type.toLowerCase(), read];
    if (separator === '+') names.at(-1)?.push(pair);
    else names.push([pair]);
    separator = next;
    if (separator === '' && pairAt.lastIndex < text.length) return undefined;
  }
  return names;
}

/** True when the entry stands below `base` (or is it), whatever the case and the spaces of both. */
export function isBelow(dn: readonly RelativeName[], base: readonly RelativeName[]): boolean {
  if (dn.length < base.length) return false;
  const tail = dn.slice(dn.length - base.length);
  return tail.every((name, index) => sameName(name) === sameName(base[index] ?? []));
}

function sameName(name: RelativeName): string {
  const pairs = name.map(([type, value]) => [type, value.trim().replaceAll(/ +/g, ' ').toLowerCase()]);
  return JSON.stringify(pairs.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)));
}

function unescapeDn(value: string): string | undefined {
  if (value.startsWith('#')) return undefined;
  const trimmed = withoutTrailingSpaces(value);
  if (!trimmed.includes('\\')) return trimmed;
  const bytes: number[] = [];
  for (let at = 0; at < trimmed.length; ) {
    const hex = /^\\([\dA-Fa-f]{2})/.exec(trimmed.slice(at, at + 3))?.[1];
    if (hex !== undefined) {
      bytes.push(Number.parseInt(hex, 16));
      at += 3;
      continue;
    }
    if (trimmed[at] === '\\') at += 1;
    const character = String.fromCodePoint(trimmed.codePointAt(at) ?? 0);
    bytes.push(...Buffer.from(character));
    at += character.length;
  }
  return Buffer.from(bytes).toString('utf8');
}

/** But for one that is escaped: an odd number of backslashes stands before it. */
function withoutTrailingSpaces(value: string): string {
  let end = value.length;
  while (value[end - 1] === ' ') end -= 1;
  let escapes = 0;
  while (value[end - 1 - escapes] === '\\') escapes += 1;
  return value.slice(0, escapes % 2 === 1 ? end + 1 : end);
}
