/** The vectors that the Go program of this folder wrote, typed. See `main.go` for how to make them again. */
import { readFileSync } from 'node:fs';

/** A proof's hashes, that of the smallest subtree first. */
export interface ProofVector {
  readonly n: number;
  readonly proof: readonly Buffer[];
}

export interface SumdbVectors {
  readonly keys: readonly {
    readonly key: string;
    readonly ok: boolean;
    readonly name: string;
    readonly hash: number;
  }[];
  readonly notes: readonly {
    readonly about: string;
    readonly note: Buffer;
    readonly keys: readonly string[];
    readonly verdict: 'ok' | 'malformed' | 'unverified' | 'invalid signature' | 'ambiguous';
    readonly text: Buffer;
    readonly signedBy: readonly string[];
  }[];
  /** `size` as text, because it may be beyond what is counted exactly. */
  readonly treeTexts: readonly {
    readonly text: Buffer;
    readonly ok: boolean;
    readonly size: string;
    readonly hash: string;
  }[];
  /** What ParseRecord says; `id` as text. */
  readonly lookups: readonly {
    readonly body: Buffer;
    readonly ok: boolean;
    readonly id: string;
    readonly text: Buffer;
    readonly rest: Buffer;
  }[];
  /** What FormatRecord makes of them with the number 123456789012. */
  readonly recordTexts: readonly {
    readonly text: Buffer;
    readonly ok: boolean;
    readonly formatted: Buffer;
  }[];
  /** `level` -1 is `data`; `n` as text. */
  readonly tilePaths: readonly {
    readonly path: string;
    readonly ok: boolean;
    readonly height: number;
    readonly level: number;
    readonly n: string;
    readonly width: number;
  }[];
  /** Index, level, n. */
  readonly storedIndexes: readonly (readonly [number, number, number])[];
  /** Records, stored hashes. */
  readonly storedCounts: readonly (readonly [number, number])[];
  readonly tilesForIndex: readonly {
    readonly height: number;
    readonly index: number;
    readonly path: string;
  }[];
  /** Trees whose n-th record is `record n` and a line feed. */
  readonly trees: readonly {
    readonly size: number;
    readonly hash: Buffer;
    readonly treeProofs: readonly ProofVector[];
  }[];
  /** What TileHashReader gives of those trees, and the tiles that it holds proven, in its order. */
  readonly tileReads: readonly {
    readonly size: number;
    readonly height: number;
    readonly indexes: readonly number[];
    readonly hashes: readonly Buffer[];
    readonly tiles: readonly string[];
  }[];
}

type Raw<Vector> = Vector extends Buffer
  ? string | null
  : Vector extends readonly Buffer[]
    ? string
    : Vector extends object
      ? { readonly [Key in keyof Vector]: Raw<Vector[Key]> }
      : Vector;

/** Reads the vectors. */
export function sumdbVectors(): SumdbVectors {
  const raw: Raw<SumdbVectors> = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8'));
  return {
    ...raw,
    notes: raw.notes.map((vector) => ({ ...vector, note: bytes(vector.note), text: bytes(vector.text) })),
    treeTexts: raw.treeTexts.map((vector) => ({ ...vector, text: bytes(vector.text) })),
    lookups: raw.lookups.map((vector) => ({
      ...vector,
      body: bytes(vector.body),
      text: bytes(vector.text),
      rest: bytes(vector.rest),
    })),
    recordTexts: raw.recordTexts.map((vector) => ({
      ...vector,
      text: bytes(vector.text),
      formatted: bytes(vector.formatted),
    })),
    trees: raw.trees.map((vector) => ({
      size: vector.size,
      hash: bytes(vector.hash),
      treeProofs: vector.treeProofs.map(({ n, proof }) => ({ n, proof: hashes(proof) })),
    })),
    tileReads: raw.tileReads.map((vector) => ({ ...vector, hashes: hashes(vector.hashes) })),
  };
}

function bytes(base64: string | null): Buffer {
  return Buffer.from(base64 ?? '', 'base64');
}

/** Hashes that stand one behind the other. */
function hashes(base64: string): Buffer[] {
  const all = bytes(base64);
  return Array.from({ length: all.length / 32 }, (_, at) => all.subarray(at * 32, (at + 1) * 32));
}
