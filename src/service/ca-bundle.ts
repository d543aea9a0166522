/** A file of certificate authorities for programs that take one file in place of their own: git. */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';

/** The default authorities and those of `caFile`, in one file of `folder`; made anew when `caFile` changed. */
export class CaBundle {
  readonly #caFile: string;
  readonly #folder: string;
  #stamp = '';

  /** Both absolute. Writes nothing yet. */
  constructor(caFile: string, folder: string) {
    this.#caFile = caFile;
    this.#folder = folder;
  }

  /** Throws Node's own errors. */
  get file(): string {
    const file = join(this.#folder, 'ca.pem');
    const { mtimeMs, size, ino } = statSync(this.#caFile);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (stamp === this.#stamp) return file;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const text = [...getCACertificates('default'), readFileSync(this.#caFile, 'utf8')].join('\n');
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, text);
    renameSync(temporary, file);
    this.#stamp = stamp;
    return file;
  }
}
