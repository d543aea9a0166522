/** One asker of a zip's fill: reads what may be read of it, whole or while it arrives. */
import type { FollowerState, GrowingBody, OpenBody } from './growing-body.ts';

/** Leave it exactly once. */
export class Follower {
  readonly #body: GrowingBody;
  readonly #onLeave: () => void;
  readonly #state: FollowerState = { era: 0, promisedBytes: undefined, isHeld: true };
  #left = false;

  constructor(body: GrowingBody, onLeave: () => void) {
    this.#body = body;
    this.#onLeave = onLeave;
  }

  /**
   * Resolves when the zip is verified, or the hold time is over and bytes may flow. `wholeOnly` waits for
   * verification however long it takes. Without `hold` bytes flow as soon as there are any, their tail held all the
   * same (ruling 20). Rejects with SourcesFailure, or the signal's reason.
   */
  async open(wholeOnly: boolean, signal: AbortSignal, hold = true): Promise<OpenBody | 'stored'> {
    this.#state.isHeld = hold;
    const body = await this.#body.waitOpen({ wholeOnly, hold }, signal);
    if (body !== 'stored') {
      this.#state.era = body.era;
      this.#state.promisedBytes = body.sizeBytes;
    }
    return body;
  }

  /** Waits until bytes at `position` may be sent. 0 means the verified end. Rejects when the transfer must break. */
  readAt(target: Buffer, length: number, position: number, signal: AbortSignal): Promise<number> {
    return this.#body.read(this.#state, target, length, position, signal);
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#onLeave();
  }
}
