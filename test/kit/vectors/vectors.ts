/**
 * What Go's own packages say, as data: `vectors.json` is written by `main.go` beside it (see its header for how to
 * regenerate) and only typed here.
 */
import { readFileSync } from 'node:fs';

export interface Vectors {
  readonly paths: readonly {
    readonly path: string;
    readonly ok: boolean;
    readonly import: boolean;
    readonly escaped?: string;
    readonly split: readonly [string, string] | null;
  }[];
  readonly escapedPaths: readonly { readonly escaped: string; readonly path: string | null }[];
  readonly versions: readonly {
    readonly text: string;
    readonly valid: boolean;
    readonly canonical: string;
    readonly major: string;
    readonly majorMinor: string;
    readonly pre: string;
    readonly build: string;
    readonly moduleCanonical: string;
    readonly pseudo: boolean;
    readonly escaped: string | null;
    readonly rev?: string;
    readonly timeMs?: number;
  }[];
  readonly compare: readonly (readonly [string, string, number])[];
  readonly sorted: readonly { readonly list: readonly string[]; readonly sorted: readonly string[] }[];
  readonly escapedVers: readonly { readonly escaped: string; readonly text: string | null }[];
  readonly fits: readonly {
    readonly path: string;
    readonly version: string;
    readonly ok: boolean;
    readonly canonical: boolean;
  }[];
  readonly patterns: readonly {
    readonly targets: readonly string[];
    readonly cases: readonly { readonly globs: string; readonly hits: readonly number[] }[];
  }[];
  readonly goMods: readonly {
    readonly text: string;
    readonly scan: string;
    readonly ok: boolean;
    readonly module?: string;
    readonly go?: string;
    readonly requires?: readonly (readonly [string, string, boolean])[];
    readonly retracts?: readonly (readonly [string, string, string])[];
  }[];
  readonly latest: readonly {
    readonly versions: readonly string[];
    /** By version; `*` is for all others. */
    readonly goMods: Readonly<Record<string, string>>;
    readonly latest: string;
  }[];
  readonly infos: readonly { readonly text: string; readonly ok: boolean; readonly version: string }[];
}

export const vectors: Vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'));
