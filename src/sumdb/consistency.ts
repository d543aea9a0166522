/** Signed heads of one log, and whether two of them tell one history. */
import type { TreeHead } from './log/tree-head.ts';
import type { Tree } from './tree.ts';
import type { ForkEvidence, SumdbAsker } from './types.ts';

/** A head with a good signature. */
export interface SignedHead {
  readonly head: TreeHead;
  /** As received. */
  readonly note: Buffer;
}

export interface KnownHead extends SignedHead {
  readonly tree: Tree;
  /** When a source last gave this head or an older one, milliseconds since the epoch. */
  readonly confirmedAtMs: number;
  /** As in `HeadState`. */
  readonly beginning: string;
}

/**
 * What shows that one is no continuation of the other: the smaller head's hash follows differently from the proven
 * hashes of the larger tree. Undefined: they are consistent. Of two heads of one size no tile is needed. Rejects with
 * SumdbError when nothing can be told, or with the reason of the asker's signal.
 */
export async function contradiction(
  one: SignedHead & { readonly tree: Tree },
  other: SignedHead & { readonly tree: Tree },
  asker: SumdbAsker,
): Promise<Pick<ForkEvidence, 'proof' | 'computedHash'> | undefined> {
  const [smaller, larger] = one.head.size < other.head.size ? [one, other] : [other, one];
  const { hash, proof } =
    smaller.head.size === larger.head.size
      ? { hash: larger.head.hash, proof: [] }
      : await larger.tree.hashOf(smaller.head.size, asker);
  if (hash.equals(smaller.head.hash)) return undefined;
  return { proof: proof.map((part) => part.toString('base64')), computedHash: hash.toString('base64') };
}

export function isSameHead(one: SignedHead, other: SignedHead): boolean {
  return one.head.size === other.head.size && one.head.hash.equals(other.head.hash);
}
