/** The refs of a repository at one moment, ready to be looked up. */
import type { GitRef } from '../types.ts';

const tagRefs = 'refs/tags/';
const headRefs = 'refs/heads/';

/** A name and the commit it means. */
export interface FoundRef {
  /** Full name. */
  readonly name: string;
  readonly commit: string;
}

const tables = new WeakMap<readonly GitRef[], RefTable>();

export class RefTable {
  /** Tag without `refs/tags/` → commit. */
  readonly tags = new Map<string, string>();
  readonly #heads = new Map<string, string>();
  readonly head: string | undefined;
  #tagsOf: Map<string, string[]> | undefined;

  /** The table of a listing: the same one as long as the listing is the same. */
  static of(refs: readonly GitRef[]): RefTable {
    let table = tables.get(refs);
    if (table === undefined) {
      table = new RefTable(refs);
      tables.set(refs, table);
    }
    return table;
  }

  private constructor(refs: readonly GitRef[]) {
    let head: string | undefined;
    for (const { name, commit } of refs) {
      if (name.startsWith(tagRefs)) this.tags.set(name.slice(tagRefs.length), commit);
      else if (name.startsWith(headRefs)) this.#heads.set(name.slice(headRefs.length), commit);
      else if (name === 'HEAD') head = commit;
    }
    this.head = head;
  }

  /** What `name` means as a tag, else as a branch, else as HEAD: Go's order. */
  find(name: string): FoundRef | undefined {
    const tag = this.tags.get(name);
    if (tag !== undefined) return { name: `${tagRefs}${name}`, commit: tag };
    const branch = this.#heads.get(name);
    if (branch !== undefined) return { name: `${headRefs}${name}`, commit: branch };
    return name === 'HEAD' && this.head !== undefined ? { name, commit: this.head } : undefined;
  }

  /** The tags on a commit, in the order of their bytes. */
  tagsOf(commit: string): readonly string[] {
    if (this.#tagsOf === undefined) {
      this.#tagsOf = new Map();
      for (const [tag, of] of this.tags) {
        const others = this.#tagsOf.get(of);
        if (others === undefined) this.#tagsOf.set(of, [tag]);
        else others.push(tag);
      }
    }
    const tags = this.#tagsOf.get(commit) ?? [];
    return tags.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}
