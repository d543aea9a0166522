/**
 * Takes files of another program's folder into the store, each verified as if an upstream had sent it: nothing is
 * published that its structure, its own hash or the checksum database speaks against. What is bad goes to quarantine.
 */
import type { Expectation, Judge } from '../../checksums/types.ts';
import { ContentError } from '../../gomod/content-error.ts';
import { maxGoModBytes } from '../../gomod/go-mod-file.ts';
import { checkInfo, checkMod, maxInfoBytes } from '../../gomod/info-file.ts';
import type { ArtifactExt, ArtifactKey } from '../../gomod/types.ts';
import { goModHash } from '../../ingest/go-mod-hash.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { isEqualContent } from '../../store/equal-content.ts';
import type { SuspectBytes } from '../../store/quarantine.ts';
import type { ArtifactRecord, PublishResult, Store, Trust } from '../../store/store.ts';
import { StoreError } from '../../store/store-error.ts';
import type { ZipVerifier } from '../../zip/verify-pool.ts';
import { ZipError, type ZipFacts } from '../../zip/zip-types.ts';
import type { ImportVersion } from './import-source.ts';
import { copyInto, hashFile, readUpTo, sha256Of } from './source-files.ts';

export type RefusalCause =
  /** Differs from the checksum database or a trusted go.sum line. */
  | 'mismatch'
  /** Cannot be what it should be: no module zip, no JSON, another version. */
  | 'bad'
  /** Nothing could prove it. */
  | 'unproven'
  /** Another file is stored under this name; it stays. */
  | 'conflict'
  | 'unreadable';

export type Imported = { readonly ext: ArtifactExt } & (
  | { readonly outcome: 'imported'; readonly sizeBytes: number; readonly isProven: boolean }
  | { readonly outcome: 'present' }
  | ({ readonly outcome: 'refused' } & Refusal)
);

export interface Refusal {
  readonly why: RefusalCause;
  /** A sentence without its full stop. */
  readonly reason: string;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
  /** Id of the quarantine entry that keeps it. */
  readonly quarantine?: string | undefined;
}

export interface ImporterDeps {
  readonly store: Store;
  readonly judge: Judge;
  readonly zips: ZipVerifier;
  readonly clock: Clock;
  /** True: what nothing proves is published as unproven. */
  readonly allowUnproven: boolean;
  readonly signal: AbortSignal;
}

/** What a file was found to be, before it is published or refused. */
interface Suspect {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly h1?: string | undefined;
  readonly bytes: SuspectBytes;
}

class Refused extends Error {
  readonly refusal: Refusal;

  constructor(why: RefusalCause, reason: string, more: Partial<Refusal> = {}) {
    super(reason);
    this.refusal = { why, reason, ...more };
  }
}

export class Importer {
  readonly #deps: ImporterDeps;

  constructor(deps: ImporterDeps) {
    this.#deps = deps;
  }

  /**
   * One answer for each file. Rejects with the signal's reason, or with StoreError when the store takes nothing any
   * more (`disk_full`, `read_only`, `io`).
   */
  async *import({ path, version, files }: ImportVersion): AsyncGenerator<Imported> {
    const { signal } = this.#deps;
    // Asked at once, so that the answers are on their way while the files are read.
    const expected = new Map<ArtifactExt, Promise<Expectation>>();
    for (const ext of ['mod', 'zip'] as const) {
      if (files[ext] === undefined) continue;
      const expectation = this.#deps.judge.expect({ path, version, ext }, { signal });
      expectation.catch(() => {});
      expected.set(ext, expectation);
    }
    let modH1: string | undefined;
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const file = files[ext];
      if (file === undefined) continue;
      signal.throwIfAborted();
      try {
        if (ext === 'zip') {
          yield { ext, ...(await this.#zip({ path, version, ext }, file, expected.get(ext), modH1)) };
        } else {
          const small = await this.#small({ path, version, ext }, file, expected.get(ext));
          if (ext === 'mod') modH1 = small.h1;
          yield { ext, ...small.result };
        }
      } catch (error) {
        signal.throwIfAborted();
        yield { ext, outcome: 'refused', ...refusalOf(error) };
      }
    }
  }

  async #small(
    key: ArtifactKey,
    file: string,
    expectation: Promise<Expectation> | undefined,
  ): Promise<{ result: ImportedResult; h1: string | undefined }> {
    const limitBytes = key.ext === 'info' ? maxInfoBytes : maxGoModBytes;
    const body = await readUpTo(file, limitBytes);
    if (body === undefined) throw new Refused('bad', `it is larger than ${limitBytes} bytes`);
    const h1 = key.ext === 'mod' ? goModHash(body) : undefined;
    const suspect: Suspect = { sha256: sha256Of(body), sizeBytes: body.length, h1, bytes: { body } };
    const stored = await this.#stored(key);
    if (stored?.sha256 === suspect.sha256) return { result: { outcome: 'present' }, h1 };
    try {
      if (key.ext === 'info') checkInfo(key.path, key.version, body);
      else checkMod(body);
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      await this.#quarantine(key, suspect, 'bad', messageOf(error));
    }
    const trust =
      expectation === undefined
        ? ({ unproven: 'none' } as const)
        : await this.#trust(key, suspect, await expectation);
    const staged = await this.#deps.store.stage(key);
    try {
      await staged.write([body]);
      const facts = { sha256: suspect.sha256, source: 'import', ...trust, signal: this.#deps.signal };
      const published = await staged.publish(h1 === undefined ? facts : { ...facts, h1 });
      return { result: resultOf(published, suspect, trust), h1 };
    } finally {
      await staged.close();
    }
  }

  async #zip(
    key: ArtifactKey,
    file: string,
    expectation: Promise<Expectation> | undefined,
    modH1: string | undefined,
  ): Promise<ImportedResult> {
    const { store, signal } = this.#deps;
    const stored = await this.#stored(key);
    // Spares the copy when the same import runs again.
    if (stored !== undefined && stored.sha256 === (await hashFile(file, signal)))
      return { outcome: 'present' };
    const staged = await store.stage(key);
    try {
      const { sha256, sizeBytes } = await copyInto(staged, file, signal);
      const suspect: Suspect = { sha256, sizeBytes, bytes: { staged } };
      const facts = await this.#verify(key, staged.file, suspect);
      const hashed = { ...suspect, h1: facts.h1 };
      const trust = expectation === undefined ? {} : await this.#trust(key, hashed, await expectation);
      if (trust.proof === undefined) await this.#judgeUnproven(key, hashed, facts, modH1);
      if (stored !== undefined && !isEqualContent('zip', stored, hashed)) throw conflictWith(stored, hashed);
      const published = await staged.publish({ sha256, h1: facts.h1, source: 'import', ...trust, signal });
      return resultOf(published, hashed, trust);
    } finally {
      await staged.close();
    }
  }

  async #verify({ path, version, ext }: ArtifactKey, file: string, suspect: Suspect): Promise<ZipFacts> {
    try {
      const { zips, signal } = this.#deps;
      return await zips.verify({ file, path, version, extraRules: 'report', signal });
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      if (error.code.startsWith('verifier_')) throw new Refused('unreadable', messageOf(error));
      return await this.#quarantine({ path, version, ext }, suspect, 'bad', messageOf(error));
    }
  }

  /** By what it is proven, or why it may be published without. */
  async #trust(key: ArtifactKey, suspect: Suspect, expectation: Expectation): Promise<Trust> {
    if (expectation.kind === 'known') {
      if (expectation.h1 === suspect.h1) return { proof: expectation.proof };
      const { h1: expected, by } = expectation;
      const reason = `its hash is ${suspect.h1 ?? 'unknown'}, ${by} says ${expected}`;
      return await this.#quarantine(key, suspect, 'mismatch', reason, { expected, by });
    }
    if (expectation.kind === 'unproven' && expectation.why === 'off') return { unproven: 'off' };
    if (this.#deps.allowUnproven) return { unproven: 'unreachable' };
    throw new Refused('unproven', expectation.reason, { found: suspect.h1 });
  }

  /** Rules that hold only for what no log proves (rulings 11 and 12). */
  async #judgeUnproven(
    key: ArtifactKey,
    suspect: Suspect,
    facts: ZipFacts,
    modH1: string | undefined,
  ): Promise<void> {
    const [oddity] = facts.oddities;
    if (oddity !== undefined) await this.#quarantine(key, suspect, 'bad', oddity.message);
    if (modH1 !== undefined && facts.goModH1 !== undefined && facts.goModH1 !== modH1) {
      await this.#quarantine(key, suspect, 'bad', 'its go.mod is another one than the .mod beside it');
    }
  }

  /** Undefined also when our own copy is rotten: publishing decides then. */
  async #stored(key: ArtifactKey): Promise<ArtifactRecord | undefined> {
    try {
      const file = await this.#deps.store.open(key);
      await file?.close();
      return file?.record;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'rotten') return undefined;
      throw error;
    }
  }

  async #quarantine(
    key: ArtifactKey,
    suspect: Suspect,
    why: 'mismatch' | 'bad',
    reason: string,
    says: { expected?: string; by?: string } = {},
  ): Promise<never> {
    const { store, clock } = this.#deps;
    let id: string | undefined;
    try {
      const entry = await store.quarantine.add(
        {
          key,
          cause: 'import',
          source: 'import',
          reason,
          sha256: suspect.sha256,
          sizeBytes: suspect.sizeBytes,
          expectedH1: says.expected,
          foundH1: suspect.h1,
          expectedBy: says.by,
          atMs: clock.now(),
        },
        suspect.bytes,
      );
      id = entry.id;
    } catch (error) {
      // It is refused all the same; only the evidence is missing.
      if (!(error instanceof StoreError)) throw error;
    }
    throw new Refused(why, reason, { expected: says.expected, found: suspect.h1, quarantine: id });
  }
}

type ImportedResult =
  | { readonly outcome: 'imported'; readonly sizeBytes: number; readonly isProven: boolean }
  | { readonly outcome: 'present' };

function resultOf(published: PublishResult, suspect: Suspect, trust: Trust): ImportedResult {
  if (published.outcome === 'present') return { outcome: 'present' };
  if (published.outcome === 'conflict') throw conflictWith(published.record, suspect);
  return { outcome: 'imported', sizeBytes: suspect.sizeBytes, isProven: trust.proof !== undefined };
}

function conflictWith(stored: ArtifactRecord, { h1, sha256 }: Suspect): Refused {
  return new Refused('conflict', `another file is stored, from ${stored.source}; it stays`, {
    expected: stored.h1 ?? stored.sha256,
    found: h1 ?? sha256,
  });
}

/** Rethrows what ends the whole import. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal;
  if (!(error instanceof StoreError)) return { why: 'unreadable', reason: messageOf(error) };
  if (error.code === 'rotten' || error.code === 'purged') return { why: 'conflict', reason: error.message };
  throw error;
}
