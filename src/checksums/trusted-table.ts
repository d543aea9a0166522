/**
 * Trusted go.sum lines in memory: a hash table of fixed-size entries in one buffer, some 90 bytes a line, because a
 * million lines as objects would take hundreds of megabytes.
 */
import { hash } from 'node:crypto';

/** SHA-256 of `path version[/go.mod]`, the 32 bytes of the h1 hash, the label's number. */
const keyBytes = 32;
const h1Bytes = 32;
const entryBytes = keyBytes + h1Bytes + 4;
const firstCapacity = 256;

export interface TrustedEntry {
  readonly h1: string;
  readonly label: string;
}

export class TrustedTable {
  #entries: Buffer;
  /** Number of an entry plus one; 0 is free. */
  #slots: Int32Array;
  #count = 0;
  readonly #labels: string[] = [];
  readonly #labelNumbers = new Map<string, number>();

  /** `expected`: room for so many is made at once, because growing holds up the event loop. More fit all the same. */
  constructor(expected = 0) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(firstCapacity, expected)));
    this.#entries = Buffer.alloc(capacity * entryBytes);
    this.#slots = new Int32Array(capacity * 2);
  }

  get size(): number {
    return this.#count;
  }

  /** What it holds in memory, but for the labels. */
  get allocatedBytes(): number {
    return this.#entries.length + this.#slots.byteLength;
  }

  /** `name` is the line without its hash; `h1` must be one. The first entry of a name stays. */
  add(name: string, h1: string, label: string): void {
    if ((this.#count + 1) * entryBytes > this.#entries.length) this.#grow();
    const key = hash('sha256', name, 'buffer');
    const slot = this.#slotOf(key);
    if (this.#slots[slot] !== 0) return;
    const at = this.#count * entryBytes;
    key.copy(this.#entries, at);
    this.#entries.write(h1.slice('h1:'.length), at + keyBytes, h1Bytes, 'base64');
    this.#entries.writeUInt32LE(this.#labelNumber(label), at + keyBytes + h1Bytes);
    this.#count += 1;
    this.#slots[slot] = this.#count;
  }

  find(name: string): TrustedEntry | undefined {
    if (this.#count === 0) return undefined;
    const number = this.#slots[this.#slotOf(hash('sha256', name, 'buffer'))] ?? 0;
    if (number === 0) return undefined;
    const at = (number - 1) * entryBytes + keyBytes;
    const h1 = `h1:${this.#entries.toString('base64', at, at + h1Bytes)}`;
    return { h1, label: this.#labels[this.#entries.readUInt32LE(at + h1Bytes)] ?? '' };
  }

  /** The slot of a key, or the free one where it belongs. */
  #slotOf(key: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let slot = key.readUInt32LE(0) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? 0;
      if (number === 0) return slot;
      const at = (number - 1) * entryBytes;
      if (key.compare(this.#entries, at, at + keyBytes) === 0) return slot;
    }
  }

  #grow(): void {
    const entries = Buffer.alloc(this.#entries.length * 2);
    this.#entries.copy(entries);
    this.#entries = entries;
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let number = 1; number <= this.#count; number += 1) {
      const at = (number - 1) * entryBytes;
      this.#slots[this.#slotOf(entries.subarray(at, at + keyBytes))] = number;
    }
  }

  #labelNumber(label: string): number {
    const known = this.#labelNumbers.get(label);
    if (known !== undefined) return known;
    this.#labels.push(label);
    this.#labelNumbers.set(label, this.#labels.length - 1);
    return this.#labels.length - 1;
  }
}
