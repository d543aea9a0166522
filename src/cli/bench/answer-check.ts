/**
 * Is what a mirror sent what was asked for? Small answers are read in memory; a zip goes to a file while it arrives
 * and is checked and hashed in a thread, so that neither memory nor the measuring of others suffers.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { ContentError } from '../../gomod/content-error.ts';
import { maxGoModBytes } from '../../gomod/go-mod-file.ts';
import { checkMod, maxInfoBytes, parseInfo } from '../../gomod/info-file.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { isCanonical } from '../../gomod/version.ts';
import { maxListBytes, readList } from '../../gomod/version-list.ts';
import { ZipVerifier } from '../../zip/verify-pool.ts';
import { defaultZipLimits, ZipError } from '../../zip/zip-types.ts';
import type { BenchFault, BenchKind } from './bench-types.ts';

/** What was asked for. */
export interface Asked {
  readonly kind: BenchKind;
  readonly path: ModulePath;
  /** Set for info, mod and zip. */
  readonly version: Version | undefined;
}

export interface Checked {
  /** See `Sample.identity`. */
  readonly identity: string | null;
  /** What `latest` is. */
  readonly version: Version | undefined;
  readonly fault: BenchFault | null;
}

/** Takes one body and judges it. */
export interface AnswerCheck {
  readonly maxBytes: number;
  write(chunk: Buffer): Promise<void> | void;
  /** For a body that came whole. Rejects with the signal's reason. */
  finish(signal: AbortSignal): Promise<Checked>;
  /** Must be called in any case. Never rejects. */
  discard(): Promise<void>;
}

const maxBytesOf: Readonly<Record<BenchKind, number>> = {
  latest: maxInfoBytes,
  list: maxListBytes,
  info: maxInfoBytes,
  mod: maxGoModBytes,
  zip: defaultZipLimits.zipBytes,
};

export class AnswerChecks {
  readonly #verifier = new ZipVerifier({ threads: 1 });
  /** What the same bytes were found to be: a zip is checked once, not in every round. */
  readonly #known = new LRUCache<string, Checked>({ max: 1000 });
  #folder: Promise<string> | undefined;

  start(asked: Asked): AnswerCheck {
    return asked.kind === 'zip' ? new ZipCheck(asked, this) : new SmallCheck(asked);
  }

  /** A path for a file in a folder of its own. Rejects when there is no place for temporary files. */
  async newFile(): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'modferry-bench-'));
    return join(await this.#folder, randomUUID());
  }

  async checkZip(file: string, sha256: string, asked: Asked, signal: AbortSignal): Promise<Checked> {
    const { path, version } = asked;
    if (version === undefined) return wrong('no version');
    const key = `${path}@${version} ${sha256}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    let checked: Checked;
    try {
      const { h1 } = await this.#verifier.verify({ file, path, version, extraRules: 'report', signal });
      checked = { identity: h1, version, fault: null };
    } catch (error) {
      // A thread of ours that died is no fault of the zip.
      if (!(error instanceof ZipError) || error.code.startsWith('verifier_')) throw error;
      checked = wrong(`no module zip: ${error.message}`);
    }
    this.#known.set(key, checked);
    return checked;
  }

  /** Stops the thread and removes the files. */
  async close(): Promise<void> {
    await this.#verifier.close();
    const folder = await this.#folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

class SmallCheck implements AnswerCheck {
  readonly maxBytes: number;
  readonly #asked: Asked;
  readonly #chunks: Buffer[] = [];

  constructor(asked: Asked) {
    this.#asked = asked;
    this.maxBytes = maxBytesOf[asked.kind];
  }

  write(chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  finish(): Promise<Checked> {
    try {
      return Promise.resolve(judge(Buffer.concat(this.#chunks), this.#asked));
    } catch (error) {
      if (error instanceof ContentError) return Promise.resolve(wrong(error.message));
      return Promise.reject(error);
    }
  }

  discard(): Promise<void> {
    this.#chunks.length = 0;
    return Promise.resolve();
  }
}

/** Throws ContentError. */
function judge(body: Buffer, { kind, version }: Asked): Checked {
  if (kind === 'list') {
    readList(body);
    return { identity: null, version: undefined, fault: null };
  }
  if (kind === 'mod') {
    checkMod(body);
    const sha256 = createHash('sha256').update(body).digest('hex');
    return { identity: `sha256:${sha256}`, version, fault: null };
  }
  const info = parseInfo(body);
  if (kind === 'latest') {
    if (!isCanonical(info.version)) return wrong('@latest names no canonical version');
    return { identity: null, version: info.version, fault: null };
  }
  if (info.version !== version) return wrong(`the .info is of another version than ${version ?? ''}`);
  return { identity: null, version, fault: null };
}

class ZipCheck implements AnswerCheck {
  readonly maxBytes = maxBytesOf.zip;
  readonly #asked: Asked;
  readonly #checks: AnswerChecks;
  readonly #sha256 = createHash('sha256');
  #file: string | undefined;
  #handle: FileHandle | undefined;

  constructor(asked: Asked, checks: AnswerChecks) {
    this.#asked = asked;
    this.#checks = checks;
  }

  async write(chunk: Buffer): Promise<void> {
    this.#sha256.update(chunk);
    this.#file ??= await this.#checks.newFile();
    this.#handle ??= await open(this.#file, 'wx', 0o600);
    await this.#handle.writeFile(chunk);
  }

  async finish(signal: AbortSignal): Promise<Checked> {
    await this.#handle?.close();
    this.#handle = undefined;
    if (this.#file === undefined) return wrong('no module zip: the body is empty');
    return await this.#checks.checkZip(this.#file, this.#sha256.digest('hex'), this.#asked, signal);
  }

  async discard(): Promise<void> {
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
    if (this.#file !== undefined) await rm(this.#file, { force: true }).catch(() => {});
  }
}

function wrong(message: string): Checked {
  return { identity: null, version: undefined, fault: { kind: 'content', message: message.slice(0, 300) } };
}
