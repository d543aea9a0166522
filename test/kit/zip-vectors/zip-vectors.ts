/** The vectors that the Go program of this folder wrote, typed. See `main.go` for how to make them again. */
import { readFileSync } from 'node:fs';

export interface ZipVector {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  readonly zip: Buffer;
  /** True when both CheckZip and HashZip were content. */
  readonly isAccepted: boolean;
  /** What HashZip gave. */
  readonly h1: string;
}

export interface ZipVectors {
  readonly zips: readonly ZipVector[];
  readonly filePaths: readonly { readonly path: string; readonly ok: boolean }[];
  /** A string and its folded form. */
  readonly folds: readonly (readonly [string, string])[];
}

interface RawVectors extends Omit<ZipVectors, 'zips'> {
  readonly zips: readonly {
    readonly name: string;
    readonly path: string;
    readonly version: string;
    readonly zip: string | null;
    readonly check: string;
    readonly hash: string;
    readonly hashError: string;
  }[];
}

/** Reads the vectors. */
export function zipVectors(): ZipVectors {
  const raw: RawVectors = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8'));
  return {
    filePaths: raw.filePaths,
    folds: raw.folds,
    zips: raw.zips.map(({ name, path, version, zip, check, hash, hashError }) => ({
      name,
      path,
      version,
      zip: Buffer.from(zip ?? '', 'base64'),
      isAccepted: check === '' && hashError === '',
      h1: hash,
    })),
  };
}
