/** What the checksum database said it has no record of, for the hours in which it is not asked again. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';

/** A tag may be pushed, or a module made public, and nobody is in a hurry. */
const absentForMs = 6 * 3_600_000;
/** Some 15 MB. */
const defaultMaxKeys = 100_000;

export class Absences {
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** By name, the oldest first: until when, monotonic. */
  readonly #untilMs = new Map<string, number>();

  /** `maxKeys`: of more, the oldest are forgotten and asked for again. Default 100,000. */
  constructor(clock: Clock, maxKeys = defaultMaxKeys) {
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  has(key: ArtifactKey): boolean {
    const name = nameOf(key);
    const untilMs = this.#untilMs.get(name);
    if (untilMs === undefined) return false;
    if (this.#clock.monotonic() < untilMs) return true;
    this.#untilMs.delete(name);
    return false;
  }

  add(key: ArtifactKey): void {
    const name = nameOf(key);
    this.#untilMs.delete(name);
    this.#untilMs.set(name, this.#clock.monotonic() + absentForMs);
    if (this.#untilMs.size <= this.#maxKeys) return;
    for (const oldest of this.#untilMs.keys()) {
      this.#untilMs.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#untilMs.clear();
  }
}

function nameOf({ path, version, ext }: ArtifactKey): string {
  return `${path}@${version}.${ext}`;
}
