/** The quarantine's face: errors of the system become the store's, and a folder that is only read takes nothing. */
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Evidence, Quarantine, QuarantineEntry, SuspectBytes } from '../quarantine.ts';
import { attempt } from '../store-error.ts';
import { keyText } from './layout.ts';
import type { QuarantineFolder } from './quarantine-folder.ts';
import type { QuarantineWriter } from './quarantine-writer.ts';

export class FsQuarantine implements Quarantine {
  readonly #folder: QuarantineFolder;
  readonly #writer: () => QuarantineWriter;

  /** `writer` throws StoreError where the folder is only read. */
  constructor(folder: QuarantineFolder, writer: () => QuarantineWriter) {
    this.#folder = folder;
    this.#writer = writer;
  }

  async add(evidence: Evidence, bytes: SuspectBytes): Promise<QuarantineEntry> {
    const writer = this.#writer();
    return await attempt(`quarantine ${keyText(evidence.key)}`, () => writer.add(evidence, bytes));
  }

  async list(): Promise<readonly QuarantineEntry[]> {
    return await attempt('list the quarantine', () => this.#folder.list());
  }

  async get(id: string): Promise<QuarantineEntry | undefined> {
    return await attempt('read the quarantine', () => this.#folder.get(id));
  }

  async of(key: ArtifactKey): Promise<readonly QuarantineEntry[]> {
    return await attempt(`look for suspects of ${keyText(key)}`, () => this.#folder.of(key));
  }

  async fileOf(id: string): Promise<string | undefined> {
    return (await this.get(id))?.hasBytes === true ? this.#folder.bytesFile(id) : undefined;
  }

  async drop(id: string): Promise<boolean> {
    const writer = this.#writer();
    return await attempt('drop from the quarantine', () => writer.drop(id));
  }
}
