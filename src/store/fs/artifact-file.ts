/** A published artifact, open for reading by positioned reads. */

import type { ArtifactFile, ArtifactRecord } from '../store.ts';
import { toStoreError } from '../store-error.ts';
import type { OpenFile } from './files.ts';

export class FsArtifactFile implements ArtifactFile {
  readonly record: ArtifactRecord;
  readonly #file: OpenFile;

  constructor(file: OpenFile, record: ArtifactRecord) {
    this.#file = file;
    this.record = record;
  }

  async readAt(target: Buffer, length: number, position: number): Promise<number> {
    try {
      return await this.#file.readAt(target, length, position);
    } catch (error) {
      throw toStoreError(error, `read ${this.#file.path}`);
    }
  }

  async readAll(): Promise<Buffer> {
    const whole = Buffer.allocUnsafeSlow(this.record.sizeBytes);
    let filled = 0;
    while (filled < whole.byteLength) {
      const count = await this.readAt(whole.subarray(filled), whole.byteLength - filled, filled);
      if (count === 0)
        throw toStoreError(new Error('the file is shorter than it was'), `read ${this.#file.path}`);
      filled += count;
    }
    return whole;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
