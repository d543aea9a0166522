/**
 * The Unicode simple folding by which golang.org/x/mod/zip finds names that would collide on a file system without
 * case.
 */
import { foldRuns } from './fold-table.ts';

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
