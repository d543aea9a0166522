/**
 * A text that must not be printed: logs, JSON, templates and inspection show `***`, or its harmless part; only
 * `reveal` gives the value.
 */
import { inspect } from 'node:util';

const mask = '***';

/** A value that must not be printed. `shown` may carry the harmless part, e.g. a URL without its credentials. */
export class Secret {
  readonly #value: string;
  readonly #shown: string;
  /** Where it came from, `env:NAME` or `file:PATH`; undefined: it stood there itself. May be shown. */
  readonly reference: string | undefined;

  constructor(value: string, shown: string = mask, reference?: string) {
    this.#value = value;
    this.#shown = shown;
    this.reference = reference;
  }

  /** The value itself. Call it where it goes on the wire and nowhere else. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}
