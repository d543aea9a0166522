/** Signed heads of one log, and whether two of them tell one history. */
import { checkTree } from './log/proof.ts';
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
 * What shows that one is no continuation of the other: the hash that the smaller head must have by the larger tree, with
 * its proof. Undefined: they are consistent. Of two heads of one size no tile is needed. Rejects with SumdbError when
 * nothing can be told, or with the reason of the asker's signal.
 */
export async function contradiction(
  one: SignedHead & { readonly tree: Tree },
  other: SignedHead & { readonly tree: Tree },
  asker: SumdbAsker,
): Promise<Pick<ForkEvidence, 'proof' | 'computedHash'> | undefined> {
  const [smaller, larger] = one.head.size < other.head.size ? [one, other] : [other, one];
  const { size } = smaller.head;
  const isOfOneSize = size === larger.head.size;
  const hash = isOfOneSize ? larger.head.hash : await larger.tree.hashOf(size, asker);
  if (hash.equals(smaller.head.hash)) return undefined;
  const proof = isOfOneSize || size === 0 ? [] : await proofFor(larger, { size, hash }, asker);
  return { proof: proof.map((part) => part.toString('base64')), computedHash: hash.toString('base64') };
}

/** Tiles that are withheld now must not hide the contradiction, which is seen already: empty then. Never rejects. */
async function proofFor(
  { head, tree }: SignedHead & { readonly tree: Tree },
  beginning: TreeHead,
  asker: SumdbAsker,
): Promise<readonly Buffer[]> {
  try {
    const proof = await tree.proofOf(beginning.size, asker);
    // The evidence must convince whoever reads it elsewhere.
    checkTree(proof, head.size, head.hash, beginning.size, beginning.hash);
    return proof;
  } catch {
    return [];
  }
}

export function isSameHead(one: SignedHead, other: SignedHead): boolean {
  return one.head.size === other.head.size && one.head.hash.equals(other.head.hash);
}
