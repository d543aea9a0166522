/** Answers for one go.sum line: is it stored, and is what is stored what the line says? */
import type { Judge } from '../checksums/types.ts';
import type { GoSumLine } from '../gomod/go-sum.ts';
import { goModHash } from '../ingest/go-mod-hash.ts';
import { messageOf } from '../lib/errors.ts';
import type { Layout } from '../store/fs/layout.ts';
import type { ArtifactFile, Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipError } from '../zip/zip-types.ts';

export interface GoSumQuestion {
  readonly line: GoSumLine;
  /** `FILE:LINE`. */
  readonly place: string;
}

export interface GoSumVerdict {
  readonly question: GoSumQuestion;
  readonly verdict: 'present' | 'missing' | 'mismatched';
  /** The hash of what is stored, where it has one. */
  readonly found?: string | undefined;
  /** What is wrong, as a sentence without its full stop. */
  readonly detail?: string | undefined;
  /** Why nothing but this go.sum vouches for it. */
  readonly unproven?: string | undefined;
}

export interface GoSumCheckDeps {
  readonly store: Store;
  readonly layout: Layout;
  readonly zips: ZipVerifier;
  /** Undefined: the checksum database is not asked. */
  readonly judge: Judge | undefined;
  /** True: the records are believed. */
  readonly isQuick: boolean;
  readonly signal: AbortSignal;
}

export class GoSumCheck {
  readonly #deps: GoSumCheckDeps;

  constructor(deps: GoSumCheckDeps) {
    this.#deps = deps;
  }

  /** Rejects with the signal's reason. */
  async check(question: GoSumQuestion): Promise<GoSumVerdict> {
    const { line } = question;
    this.#deps.signal.throwIfAborted();
    let file: ArtifactFile | undefined;
    try {
      file = await this.#deps.store.open(line);
      if (file === undefined) return { question, verdict: 'missing' };
      const found = await this.#hash(line, file);
      if (found !== line.h1) {
        const detail = `stored is ${found ?? 'something without a hash'}, go.sum says ${line.h1}`;
        return { question, verdict: 'mismatched', found, detail };
      }
      return await this.#prove(question, file);
    } catch (error) {
      if (!(error instanceof StoreError || error instanceof ZipError)) throw error;
      return { question, verdict: 'mismatched', detail: messageOf(error) };
    } finally {
      await file?.close();
    }
  }

  async #hash(line: GoSumLine, file: ArtifactFile): Promise<string | undefined> {
    const { zips, layout, isQuick, signal } = this.#deps;
    if (isQuick && file.record.h1 !== undefined) return file.record.h1;
    if (line.ext === 'mod') return goModHash(await file.readAll());
    const { path, version } = line;
    const request = { file: layout.artifact(line), path, version, extraRules: 'report', signal } as const;
    return (await zips.verify(request)).h1;
  }

  async #prove(question: GoSumQuestion, { record }: ArtifactFile): Promise<GoSumVerdict> {
    const { judge, signal } = this.#deps;
    const { line } = question;
    const found = line.h1;
    if (judge === undefined) {
      const unproven =
        record.proof === undefined ? `its record has no proof (${record.unproven ?? 'unknown'})` : undefined;
      return { question, verdict: 'present', found, unproven };
    }
    const expectation = await judge.expect(line, { signal });
    if (expectation.kind !== 'known') {
      return { question, verdict: 'present', found, unproven: expectation.reason };
    }
    if (expectation.h1 === line.h1) return { question, verdict: 'present', found };
    const detail = `go.sum and the store say ${line.h1}, ${expectation.by} says ${expectation.h1}`;
    return { question, verdict: 'mismatched', found, detail };
  }
}
