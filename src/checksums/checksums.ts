/**
 * What a module's bytes must be: asks the checksum database, then the go.sum lines that operators imported, and says
 * by the mode of the module what follows when neither knows.
 * @see https://go.dev/ref/mod#authenticating
 */
import type { ModulePath, Version } from '../gomod/types.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { type ProvenRecord, type SumdbDatabase, SumdbError } from '../sumdb/types.ts';
import type { ChecksumMode, Expectation, HashedKey, Judge, Judging, NoProof } from './types.ts';

export interface ChecksumEvents {
  /** An imported go.sum line and the checksum database contradict each other; the database is believed. */
  contradiction: { key: HashedKey; label: string; trustedH1: string; database: string; databaseH1: string };
  /** The trusted go.sum lines cannot be read: until they are, nothing is proven. */
  linesUnread: { reason: string };
  /** Lines of the file that nobody can understand; they hold for nothing, and stay where they are. */
  linesDamaged: { file: string; lines: number };
}

/** A go.sum line that an operator imported. */
export interface TrustedLine {
  readonly h1: string;
  readonly label: string;
}

export interface ChecksumsDeps {
  readonly clock: Clock;
  readonly events: EventBus<ChecksumEvents>;
  /** Rejects when nobody knows, because the lines cannot be read. */
  trusted(path: ModulePath, version: Version, ext: HashedKey['ext']): Promise<TrustedLine | undefined>;
  /** Undefined: switched off (GOSUMDB=off). */
  database(): SumdbDatabase | undefined;
  /** The one that proves toolchains, whatever is switched off (ruling 22). */
  toolchainDatabase(): SumdbDatabase;
  /** Private modules are `off`. */
  mode(path: ModulePath): ChecksumMode;
}

/** Modules that Go switches toolchains with; always proven. */
export const toolchainPath = 'golang.org/toolchain';
/** How long the database may take while a trusted go.sum line is at hand. */
const patienceMs = 2_000;
/** The same where there is none: the official one fetches what it does not know yet. */
const longestMs = 30_000;

export class Checksums implements Judge {
  readonly #deps: ChecksumsDeps;

  constructor(deps: ChecksumsDeps) {
    this.#deps = deps;
  }

  /** Rejects only with the signal's reason. */
  async expect(key: HashedKey, asker: Judging): Promise<Expectation> {
    const { path, ext } = key;
    const isToolchain = path === toolchainPath;
    const mode = isToolchain ? 'require' : this.#deps.mode(path);
    const database = isToolchain ? this.#deps.toolchainDatabase() : this.#deps.database();
    const isOff = mode === 'off' || database === undefined;
    // Begun before the lines are there: just after the start they may take seconds.
    const lookup = isOff ? undefined : database.lookup(path, key.version, asker);
    lookup?.catch(() => {});
    const found = await this.#trusted(key, asker.signal);
    if (found.fault !== undefined) return blocked(found.fault, 'unread');
    const { line: trusted } = found;
    if (isOff || lookup === undefined) {
      if (trusted !== undefined) return this.#byGoSum(trusted);
      const reason = mode === 'off' ? 'checksums are off for this module' : 'GOSUMDB is off';
      return { kind: 'unproven', why: 'off', reason };
    }
    try {
      const withinMs = trusted === undefined ? longestMs : patienceMs;
      const record = await this.#within(withinMs, lookup);
      const h1 = ext === 'zip' ? record?.zipH1 : record?.modH1;
      if (record !== undefined && h1 !== undefined) {
        if (trusted !== undefined && trusted.h1 !== h1) this.#tellContradiction(key, trusted, database, h1);
        return this.#byDatabase(database, record, h1);
      }
      if (trusted !== undefined) return this.#byGoSum(trusted);
      if (record !== undefined) {
        return blocked(`${database.name} has a record of it without a line for its ${ext}`);
      }
      return without(mode, `${database.name} has not answered within ${withinMs / 1000} s`);
    } catch (error) {
      if (asker.signal.aborted) throw error;
      if (trusted !== undefined) return this.#byGoSum(trusted);
      const reason = reasonOf(error, database.name);
      // That it could not be asked is no sign of anything; that it was lied about is.
      return isLie(error) ? blocked(reason) : without(mode, reason, isAbsence(error) ? 'absent' : undefined);
    }
  }

  /** Rejects with the signal's reason only. */
  async #trusted(
    { path, version, ext }: HashedKey,
    signal: AbortSignal,
  ): Promise<{ readonly line: TrustedLine | undefined; readonly fault?: string }> {
    try {
      return { line: await raceAbort(this.#deps.trusted(path, version, ext), signal) };
    } catch (error) {
      signal.throwIfAborted();
      return { line: undefined, fault: messageOf(error) };
    }
  }

  /** Undefined: it takes longer than is waited for; it goes on for whoever asks next. */
  async #within(withinMs: number, lookup: Promise<ProvenRecord>): Promise<ProvenRecord | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.#deps.clock.setTimeout(() => late.resolve(undefined), withinMs);
    try {
      return await Promise.race([lookup, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #byDatabase(database: SumdbDatabase, record: ProvenRecord, h1: string): Expectation {
    return {
      kind: 'known',
      h1,
      by: `${database.name} #${record.id}`,
      proof: {
        by: 'sumdb',
        database: database.name,
        recordId: record.id,
        treeSize: record.treeSize,
        atMs: this.#deps.clock.now(),
      },
    };
  }

  #byGoSum({ h1, label }: TrustedLine): Expectation {
    const proof = { by: 'go.sum', label, atMs: this.#deps.clock.now() } as const;
    return { kind: 'known', h1, by: `go.sum ${label}`, proof };
  }

  #tellContradiction(
    key: HashedKey,
    { label, h1: trustedH1 }: TrustedLine,
    { name: database }: SumdbDatabase,
    databaseH1: string,
  ): void {
    this.#deps.events.emit('contradiction', { key, label, trustedH1, database, databaseH1 });
  }
}

function without(mode: 'require' | 'prefer', reason: string, cause?: NoProof): Expectation {
  if (mode === 'prefer') return { kind: 'unproven', why: 'unreachable', reason, ...(cause && { cause }) };
  return blocked(reason, cause);
}

function blocked(reason: string, cause?: NoProof): Expectation {
  return { kind: 'blocked', reason: `not proven, so not published: ${reason}`, ...(cause && { cause }) };
}

function isAbsence(error: unknown): boolean {
  return error instanceof SumdbError && error.code === 'absent';
}

/** All that came failed its verification, or the log contradicts itself: then not even `prefer` goes without. */
function isLie(error: unknown): boolean {
  return error instanceof SumdbError && (error.code === 'refused' || error.code === 'forked');
}

function reasonOf(error: unknown, database: string): string {
  return error instanceof SumdbError ? messageOf(error) : `${database}: ${messageOf(error)}`;
}
