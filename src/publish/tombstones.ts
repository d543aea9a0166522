/**
 * Versions that were taken back, in a file that every process on the data folder appends to and reads: their names stay
 * taken for ever. One JSON line each, never rewritten.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { parseCanonicalVersion } from '../gomod/version.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { JsonLinesFile, JsonLinesReader } from '../lib/json-lines-file.ts';
import { LockFile } from '../lib/lock-file.ts';
import type { Tombstone } from './types.ts';

/** Some 100 MiB of memory at the very worst; real ones are a few hundred. */
const maxTombstones = 100_000;
/** What a Date can hold. */
const maxDateMs = 8.64e15;

export class Tombstones {
  readonly #file: string;
  readonly #lines: JsonLinesFile;
  readonly #reader: JsonLinesReader;
  readonly #lock: LockFile;
  readonly #byPath = new Map<string, Map<string, Tombstone>>();
  #count = 0;
  #damagedLines = 0;
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(file: string, clock: Clock) {
    this.#file = file;
    // It is the memory of names that must not come back: it is never turned over.
    this.#lines = new JsonLinesFile(file, { clock, maxBytes: Number.POSITIVE_INFINITY, keep: 1 });
    this.#reader = new JsonLinesReader(file, 0);
    this.#lock = new LockFile(`${file}.lock`, clock);
  }

  /** Reads what is there. Rejects with the system's error unless the file is merely absent. */
  static async open(file: string, clock: Clock): Promise<Tombstones> {
    const tombstones = new Tombstones(file, clock);
    await tombstones.refresh();
    return tombstones;
  }

  /** Lines that could not be read, and were passed over. */
  get damagedLines(): number {
    return this.#damagedLines;
  }

  of(path: ModulePath, version: Version): Tombstone | undefined {
    return this.#byPath.get(path)?.get(version);
  }

  ofModule(path: ModulePath): readonly Tombstone[] {
    return [...(this.#byPath.get(path)?.values() ?? [])];
  }

  /** All there are now. */
  all(): readonly Tombstone[] {
    return [...this.#byPath.values()].flatMap((versions) => [...versions.values()]);
  }

  /** Takes in what this or another process appended before this call. Rejects with the system's error. */
  refresh(): Promise<void> {
    // Of many calls at once, those that come while one waits share it.
    this.#next ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#reading = this.#reader.read((line) => this.#take(line));
        return this.#reading;
      });
    return this.#next;
  }

  /**
   * Writes one durably. Resolves to the one in force: the first of a version stays. Rejects with ModferryError
   * (`locked`, `tombstones_full`) or the system's error.
   */
  async add(tombstone: Tombstone): Promise<Tombstone> {
    await mkdir(dirname(this.#file), { recursive: true });
    return await this.#lock.run(async (lock) => {
      await this.refresh();
      const earlier = this.of(tombstone.path, tombstone.version);
      if (earlier !== undefined) return earlier;
      if (this.#count >= maxTombstones) {
        throw new ModferryError(
          'tombstones_full',
          `there are ${this.#count} tombstones already, the most there may be; move ${this.#file} away if they are not needed any more`,
        );
      }
      await lock.check();
      await this.#lines.append(`${JSON.stringify(tombstone)}\n`, { isDurable: true });
      await syncFolder(dirname(this.#file));
      await this.refresh();
      return this.of(tombstone.path, tombstone.version) ?? tombstone;
    });
  }

  #take(line: string): void {
    const tombstone = parseTombstone(line);
    if (tombstone === undefined) {
      this.#damagedLines += 1;
      return;
    }
    const versions = this.#byPath.get(tombstone.path) ?? new Map<string, Tombstone>();
    this.#byPath.set(tombstone.path, versions);
    if (versions.has(tombstone.version)) return;
    versions.set(tombstone.version, tombstone);
    this.#count += 1;
  }
}

/** The name of a new file is durable when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseTombstone(line: string): Tombstone | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    const { path, version, reason, who, atMs } = value as Readonly<Record<string, unknown>>;
    if (typeof path !== 'string' || typeof version !== 'string') return undefined;
    const modulePath = parseModulePath(path);
    const canonical = parseCanonicalVersion(modulePath, version);
    if (canonical === undefined) return undefined;
    return {
      path: modulePath,
      version: canonical,
      // What a damaged line still says for sure is that the name is taken.
      reason: typeof reason === 'string' ? reason : 'no reason is recorded',
      who: typeof who === 'string' ? who : 'unknown',
      atMs: typeof atMs === 'number' && Math.abs(atMs) <= maxDateMs ? atMs : 0,
    };
  } catch {
    return undefined;
  }
}
