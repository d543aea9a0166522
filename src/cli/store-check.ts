/**
 * Re-hashes stored artifacts against what was recorded when they were published: size, SHA-256, the `h1:` hash of
 * zip and go.mod, and Go's `.ziphash`. Reads in blocks; a zip is never in memory as a whole.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ArtifactExt, ArtifactKey } from '../gomod/types.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { ArtifactRecord, VersionEntry } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import { hash1 } from '../zip/module-tree.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipError } from '../zip/zip-types.ts';
import type { ReadStore } from './read-store.ts';

const blockBytes = 1024 * 1024;

export type FaultKind =
  /** Bytes differ from the recorded size or SHA-256. */
  | 'changed'
  /** The `h1:` hash of the content differs from the recorded one. */
  | 'h1'
  /** `.ziphash` is missing or names another hash. */
  | 'ziphash'
  /** No module zip by Go's rules. */
  | 'zip'
  /** Could not be read. */
  | 'unreadable'
  /** The content is not what the checksum database or a trusted go.sum line says. */
  | 'mismatch';

export interface StoreFault {
  readonly module: string;
  readonly version: string;
  readonly artifact: ArtifactExt;
  readonly kind: FaultKind;
  /** A sentence. */
  readonly detail: string;
}

export interface CheckedArtifact {
  readonly key: ArtifactKey;
  readonly record: ArtifactRecord;
  readonly sizeBytes: number;
  /** Of the bytes that are there, in hex; undefined when they could not be read. */
  readonly sha256: string | undefined;
  /** `h1:` hash of the content that is there; undefined for .info, and for what has none. */
  readonly h1: string | undefined;
  readonly faults: readonly StoreFault[];
}

export class StoreCheck {
  readonly #read: ReadStore;
  readonly #zips: ZipVerifier;
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);

  constructor(read: ReadStore, zips: ZipVerifier) {
    this.#read = read;
    this.#zips = zips;
  }

  /** One answer for each artifact that is still there. One call at a time. Rejects only with foreign errors. */
  async *check({ path, version, artifacts }: VersionEntry): AsyncGenerator<CheckedArtifact> {
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const record = artifacts[ext];
      if (record === undefined) continue;
      const checked = await this.#checkArtifact({ path, version, ext }, record);
      if (checked !== undefined) yield checked;
    }
  }

  async #checkArtifact(key: ArtifactKey, record: ArtifactRecord): Promise<CheckedArtifact | undefined> {
    const faults: StoreFault[] = [];
    const add = (kind: FaultKind, detail: string): void => {
      faults.push({ module: key.path, version: key.version, artifact: key.ext, kind, detail });
    };
    let sizeBytes = 0;
    let sha256: string | undefined;
    let h1: string | undefined;
    try {
      const hashed = await this.#hash(key);
      // Purged since the walk saw it.
      if (hashed === undefined) return undefined;
      sizeBytes = hashed.sizeBytes;
      sha256 = hashed.sha256;
      if (hashed.sizeBytes !== record.sizeBytes) {
        add('changed', `it has ${hashed.sizeBytes} bytes, recorded are ${record.sizeBytes}`);
      } else if (hashed.sha256 !== record.sha256) {
        add('changed', `its SHA-256 is ${hashed.sha256}, recorded is ${record.sha256}`);
      } else {
        h1 = await this.#checkTree(key, record, hashed.sha256, add);
      }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'rotten') {
        add('changed', 'its bytes are not what was recorded');
        const found = error.fields['foundSha256'];
        if (typeof found === 'string') sha256 = found;
      } else if (error instanceof StoreError) add('unreadable', error.message);
      else throw error;
    }
    return { key, record, sizeBytes, sha256, h1, faults };
  }

  async #hash(key: ArtifactKey): Promise<{ sizeBytes: number; sha256: string } | undefined> {
    const file = await this.#read.store.open(key);
    if (file === undefined) return undefined;
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for (;;) {
        const count = await file.readAt(this.#block, blockBytes, sizeBytes);
        if (count === 0) return { sizeBytes, sha256: hash.digest('hex') };
        hash.update(this.#block.subarray(0, count));
        sizeBytes += count;
      }
    } finally {
      await file.close();
    }
  }

  /** Bytes are as recorded; now the record against the content, in case the record itself was changed. */
  async #checkTree(
    key: ArtifactKey,
    record: ArtifactRecord,
    sha256: string,
    add: (kind: FaultKind, detail: string) => void,
  ): Promise<string | undefined> {
    if (key.ext === 'info') return undefined;
    if (key.ext === 'mod') {
      const h1 = hash1([{ name: 'go.mod', sha256 }]);
      if (record.h1 !== undefined && record.h1 !== h1)
        add('h1', `its hash is ${h1}, recorded is ${record.h1}`);
      return h1;
    }
    const h1 = await this.#zipHash(key, add);
    if (h1 === undefined) return undefined;
    if (record.h1 !== undefined && record.h1 !== h1) add('h1', `its hash is ${h1}, recorded is ${record.h1}`);
    const named = await readTextIfAny(this.#read.layout.zipHash(key));
    if (named === undefined) add('ziphash', 'it has no .ziphash beside it');
    else if (named.trim() !== h1)
      add('ziphash', `its hash is ${h1}, .ziphash says ${named.trim().slice(0, 100)}`);
    return h1;
  }

  async #zipHash(
    key: ArtifactKey,
    add: (kind: FaultKind, detail: string) => void,
  ): Promise<string | undefined> {
    try {
      const file = this.#read.layout.artifact(key);
      // Our extra rules are for what nobody proves; what was published once passed whatever held then.
      const facts = await this.#zips.verify({
        file,
        path: key.path,
        version: key.version,
        extraRules: 'report',
      });
      return facts.h1;
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      add(error.code === 'verifier_failed' ? 'unreadable' : 'zip', messageOf(error));
      return undefined;
    }
  }
}

async function readTextIfAny(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
