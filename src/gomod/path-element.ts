/**
 * Rules for the elements of a module, import or file path, shared by module paths, versions and the names in zips. A fault is a value
 * here (a short phrase), because the callers word the error. See golang.org/x/mod/module, CheckPath and following.
 */

/** Which alphabet an element may use. */
export type ElementKind = 'module' | 'import' | 'file';

const alphabets: Readonly<Record<ElementKind, RegExp>> = {
  module: /^[-._~0-9A-Za-z]*$/,
  import: /^[-._~+0-9A-Za-z]*$/,
  file: /^[-!#$%&()+,.=@[\]^_{}~ 0-9A-Za-z\p{L}]*$/u,
};

const windowsName = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i;

/**
 * What is wrong with one path element, or undefined when nothing is. Linear in the element's length.
 * `file` elements may hold any letter; the Unicode tables are those of the running Node, not of Go.
 */
export function elementFault(element: string, kind: ElementKind): string | undefined {
  if (element === '') return 'it has an empty element';
  if (!alphabets[kind].test(element)) return `it has a character that is not allowed in a ${kind} path`;
  if (/^\.+$/.test(element)) return 'it has an element of dots only';
  if (kind === 'module' && element.startsWith('.')) return 'an element begins with a dot';
  if (element.endsWith('.')) return 'an element ends with a dot';
  const dot = element.indexOf('.');
  const stem = dot < 0 ? element : element.slice(0, dot);
  if (windowsName.test(stem)) return `${stem} is a reserved file name on Windows`;
  // Windows gives long names a second, short one such as PROGRA~1; two paths could then be one folder.
  if (kind !== 'file' && endsInTildeAndDigits(stem)) return 'an element ends in a tilde and digits';
  return undefined;
}

function endsInTildeAndDigits(stem: string): boolean {
  const tilde = stem.lastIndexOf('~');
  return tilde >= 0 && /^[0-9]+$/.test(stem.slice(tilde + 1));
}

/**
 * What is wrong with a slash-separated path of such elements, or undefined. A path it accepts is also clean in the sense
 * of path.Clean.
 */
export function pathFault(path: string, kind: ElementKind): string | undefined {
  if (path === '') return 'it is empty';
  if (!path.isWellFormed()) return 'it is not valid UTF-8';
  if (kind !== 'file' && path.startsWith('-')) return 'it begins with a dash';
  for (const element of path.split('/')) {
    const fault = elementFault(element, kind);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
