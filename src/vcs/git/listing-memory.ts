/**
 * How much memory the listings of all mirrors take together: those that were not used for longest are let go, and asked
 * for anew when somebody wants them.
 */
import { listingBytes, type RefListing } from './ref-listing.ts';

const defaultMaxBytes = 128 * 2 ** 20;

/** Whoever has a listing. */
export interface ListingOwner {
  /** While false, its listing is in use and stays. */
  readonly isIdle: boolean;
  forgetListing(): void;
}

export class ListingMemory {
  readonly #maxBytes: number;
  /** Bytes by owner, the one used last at the end. */
  readonly #kept = new Map<ListingOwner, number>();
  #bytes = 0;

  /** Default 128 MiB. */
  constructor(maxBytes: number = defaultMaxBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Counts this listing in place of the owner's last one, and makes room for it. */
  keep(owner: ListingOwner, listing: RefListing): void {
    this.drop(owner);
    const bytes = listingBytes(listing);
    this.#kept.set(owner, bytes);
    this.#bytes += bytes;
    for (const other of this.#kept.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      if (other === owner || !other.isIdle) continue;
      this.drop(other);
      other.forgetListing();
    }
  }

  /** It is let go later than all others. */
  used(owner: ListingOwner): void {
    const bytes = this.#kept.get(owner);
    if (bytes === undefined) return;
    this.#kept.delete(owner);
    this.#kept.set(owner, bytes);
  }

  /** Does not tell the owner. */
  drop(owner: ListingOwner): void {
    this.#bytes -= this.#kept.get(owner) ?? 0;
    this.#kept.delete(owner);
  }
}
