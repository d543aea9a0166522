/**
 * Faults of a configuration: what is wrong, where, and what would be right. All faults of one load are told at
 * once, in the order of the file, then variables and flags.
 */
import { ModferryError } from '../lib/errors.ts';

/** Where a value stands. */
export interface Place {
  readonly layer: 'file' | 'env' | 'flag';
  /** File name, variable or flag. */
  readonly where: string;
  /** From 1; 0 when the layer has no lines. */
  readonly line: number;
  /** From 1; 0 when the layer has no lines. */
  readonly column: number;
}

/** A fault before its place is looked up. */
export interface PathFault {
  readonly path: readonly PropertyKey[];
  readonly wrong: string;
  readonly right: string;
  /** The key itself is wrong, not its value. Default false. */
  readonly atKey?: boolean;
}

export interface ConfigFault {
  /** File name, or the variable or flag that holds the value. */
  readonly file: string;
  /** From 1; 0 for variables and flags. */
  readonly line: number;
  readonly column: number;
  /** `upstreams[0].url`; empty when the fault is in the file as a whole. */
  readonly path: string;
  /** What is wrong. Never holds a secret. */
  readonly wrong: string;
  /** What to do. */
  readonly right: string;
}

/** The configuration cannot be used; `faults` has every reason. */
export class ConfigError extends ModferryError<'invalid_config'> {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super('invalid_config', formatFaults(faults));
    this.faults = faults;
  }
}

/** One line a fault: `modferry.yaml:12:5: upstreams[0].url: "htp://x" is not an http(s) URL; write e.g. …`. */
export function formatFaults(faults: readonly ConfigFault[]): string {
  return faults.map(formatFault).join('\n');
}

function formatFault(fault: ConfigFault): string {
  const place = fault.line > 0 ? `${fault.file}:${fault.line}:${fault.column}` : fault.file;
  const path = fault.path === '' || fault.path === fault.file ? '' : `${fault.path}: `;
  const line = `${place}: ${path}${fault.wrong}; ${fault.right}`;
  return line.replaceAll(/\s+/g, ' ');
}

/** A fault with its place filled in. */
export function faultAt(place: Place, path: string, wrong: string, right: string): ConfigFault {
  return { file: place.where, line: place.line, column: place.column, path, wrong, right };
}

/** By line and column, file first; equal places keep their order. */
export function inReadingOrder(faults: readonly ConfigFault[]): ConfigFault[] {
  return [...faults].sort((left, right) => {
    const byLayer = Number(left.line === 0) - Number(right.line === 0);
    return byLayer || left.line - right.line || left.column - right.column;
  });
}
