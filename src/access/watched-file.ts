/**
 * A small file that several processes change and this one must know: looked at every 2 s, and read again when it
 * differs. What it says is given to `onText` as a whole.
 */
import { open } from 'node:fs/promises';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoOf, ModferryError } from '../lib/errors.ts';

const lookEveryMs = 2_000;
/** A change within the same tick of the file system's clock may not show in its times: look again until it is older. */
const youngMs = 2_000;

export interface WatchedFileOptions {
  readonly maxBytes: number;
  /** Called with another text than before, undefined where there is no file; also the first time, and after a failure. */
  readonly onText: (text: string | undefined) => void;
  /** Called when a look fails, each time; what was read last has not changed. */
  readonly onFailure: (error: unknown) => void;
}

export class WatchedFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #options: WatchedFileOptions;
  #seen: string | undefined;
  #text: string | undefined;
  #isKnown = false;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(file: string, clock: Clock, options: WatchedFileOptions) {
    this.#file = file;
    this.#clock = clock;
    this.#options = options;
  }

  /** Reads it for the first time, and keeps an eye on it until `close`. Never rejects. */
  async open(): Promise<void> {
    await this.reread();
    this.#arm();
  }

  /** Looks now. What was written before the call is known when it resolves. Never rejects. */
  async reread(): Promise<void> {
    // A look under way may have read before the change.
    await this.#looking;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.setTimeout(() => {
      void this.reread().finally(() => this.#arm());
    }, lookEveryMs);
  }

  async #look(): Promise<void> {
    try {
      const found = await this.#readIfChanged();
      if (found === undefined || this.#isClosed) return;
      this.#seen = found.seen;
      if (this.#isKnown && found.text === this.#text) return;
      this.#text = found.text;
      this.#isKnown = true;
      this.#options.onText(found.text);
    } catch (error) {
      this.#seen = undefined;
      this.#isKnown = false;
      if (this.#isClosed) return;
      this.#options.onFailure(error);
    }
  }

  /** Undefined: it is as it was. */
  async #readIfChanged(): Promise<{ seen: string | undefined; text: string | undefined } | undefined> {
    const handle = await open(this.#file, 'r').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (handle === undefined) return { seen: undefined, text: undefined };
    try {
      const facts = await handle.stat({ bigint: true });
      const seen = `${facts.ino} ${facts.mtimeNs} ${facts.ctimeNs} ${facts.size}`;
      if (seen === this.#seen) return undefined;
      const { maxBytes } = this.#options;
      if (facts.size > maxBytes) {
        throw new ModferryError('too_large', `${this.#file} is larger than ${maxBytes} bytes`);
      }
      // One byte more than it should have shows that it grew meanwhile.
      const buffer = Buffer.alloc(Number(facts.size) + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
        length += bytesRead;
        if (bytesRead === 0 || length === buffer.length) break;
      }
      const isYoung = Number(facts.mtimeMs) > this.#clock.now() - youngMs;
      const isWhole = length === Number(facts.size);
      return { seen: isYoung || !isWhole ? undefined : seen, text: buffer.toString('utf8', 0, length) };
    } finally {
      await handle.close();
    }
  }
}
