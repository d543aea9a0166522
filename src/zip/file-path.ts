/**
 * Names inside a module zip: module.CheckFilePath of golang.org/x/mod, and the Unicode simple folding by which
 * golang.org/x/mod/zip finds names that would collide on a file system without case.
 */
import { foldRuns } from './fold-table.ts';

const plainCharacters = /^[A-Za-z0-9!#$%&()+,\-.=@[\]^_{}~ ]*$/;
const allowedCharacters = /^[\p{L}A-Za-z0-9!#$%&()+,\-.=@[\]^_{}~ ]*$/u;
const onlyDots = /^\.+$/;
const windowsNames = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i;

/**
 * Why Go refuses a file path (module.CheckFilePath), or undefined when it does not. A path it accepts is also
 * clean in the sense of path.Clean. Letters follow the Unicode version of this Node, which may know more letters
 * than the oldest Go in use.
 */
export function filePathFault(path: string): string | undefined {
  if (path === '') return 'empty path';
  if (!path.isWellFormed()) return 'not UTF-8';
  for (const element of path.split('/')) {
    const fault = elementFault(element);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function elementFault(element: string): string | undefined {
  if (element === '') return 'empty path element';
  if (onlyDots.test(element)) return `path element ${JSON.stringify(element)}`;
  if (element.endsWith('.')) return 'trailing dot in a path element';
  if (!plainCharacters.test(element) && !allowedCharacters.test(element))
    return 'character that Go does not allow';
  const dot = element.indexOf('.');
  const stem = dot < 0 ? element : element.slice(0, dot);
  return windowsNames.test(stem) ? `${JSON.stringify(stem)} is reserved on Windows` : undefined;
}

/** Folds a name so that two names are equal under strings.EqualFold exactly when the results are equal. */
export function foldName(name: string): string {
  let isLowerAscii = true;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit >= 0x80 || (unit >= 0x41 && unit <= 0x5a)) {
      isLowerAscii = false;
      break;
    }
  }
  if (isLowerAscii) return name;
  let folded = '';
  for (const character of name) {
    const point = character.codePointAt(0) ?? 0;
    if (point >= 0x80) folded += String.fromCodePoint(foldPoint(point));
    else folded += point >= 0x41 && point <= 0x5a ? String.fromCharCode(point + 32) : character;
  }
  return folded;
}

function foldPoint(point: number): number {
  let low = 0;
  let high = foldRuns.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((foldRuns[middle]?.[0] ?? 0) <= point) low = middle + 1;
    else high = middle;
  }
  const run = foldRuns[low - 1];
  if (run === undefined) return point;
  const [first, count, stride, delta] = run;
  const distance = point - first;
  return distance < count * stride && distance % stride === 0 ? point + delta : point;
}
