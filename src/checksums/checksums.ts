/**
 * What a module's bytes must be: asks the checksum database, then the go.sum lines that operators imported, and says
 * by the mode of the module what follows when neither knows.
 * @see https://go.dev/ref/mod#authenticating
 */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { type ProvenRecord, type SumdbDatabase, SumdbError } from '../sumdb/types.ts';
import type { ChecksumMode, Expectation, HashedKey, Judge, Judging } from './types.ts';

export interface ChecksumEvents {
  /** An imported go.sum line and the checksum database contradict each other; the database is believed. */
  contradiction: { key: HashedKey; label: string; trustedH1: string; database: string; databaseH1: string };
}

/** A go.sum line that an operator imported. */
export interface TrustedLine {
  readonly h1: string;
  readonly label: string;
}

export interface ChecksumsDeps {
  readonly clock: Clock;
  readonly events: EventBus<ChecksumEvents>;
  trusted(path: ModulePath, version: Version, ext: HashedKey['ext']): TrustedLine | undefined;
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

export class Checksums implements Judge {
  readonly #deps: ChecksumsDeps;

  constructor(deps: ChecksumsDeps) {
    this.#deps = deps;
  }

  /** Rejects only with the signal's reason. */
  async expect(key: HashedKey, asker: Judging): Promise<Expectation> {
    const { path, version, ext } = key;
    const trusted = this.#deps.trusted(path, version, ext);
    const isToolchain = path === toolchainPath;
    const mode = isToolchain ? 'require' : this.#deps.mode(path);
    const database = isToolchain ? this.#deps.toolchainDatabase() : this.#deps.database();
    if (mode === 'off' || database === undefined) {
      if (trusted !== undefined) return this.#byGoSum(trusted);
      const reason = mode === 'off' ? 'checksums are off for this module' : 'GOSUMDB is off';
      return { kind: 'unproven', why: 'off', reason };
    }
    try {
      const record = await this.#lookup(database, key, asker, trusted !== undefined);
      const h1 = ext === 'zip' ? record?.zipH1 : record?.modH1;
      if (record !== undefined && h1 !== undefined) {
        if (trusted !== undefined && trusted.h1 !== h1) this.#tellContradiction(key, trusted, database, h1);
        return this.#byDatabase(database, record, h1);
      }
      if (trusted !== undefined) return this.#byGoSum(trusted);
      return without(mode, `${database.name} has a record of it without a line for its ${ext}`);
    } catch (error) {
      if (asker.signal.aborted) throw error;
      if (trusted !== undefined) return this.#byGoSum(trusted);
      return without(mode, reasonOf(error, database.name));
    }
  }

  /** Undefined: it takes longer than somebody waits who has another proof. */
  async #lookup(
    database: SumdbDatabase,
    { path, version }: HashedKey,
    asker: Judging,
    hasOther: boolean,
  ): Promise<ProvenRecord | undefined> {
    const lookup = database.lookup(path, version, asker);
    if (!hasOther) return lookup;
    const late = Promise.withResolvers<undefined>();
    const timer = this.#deps.clock.setTimeout(() => late.resolve(undefined), patienceMs);
    try {
      return await Promise.race([lookup, late.promise]);
    } finally {
      timer.cancel();
      // It goes on for whoever asks next.
      lookup.catch(() => {});
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

function without(mode: 'require' | 'prefer', reason: string): Expectation {
  if (mode === 'prefer') return { kind: 'unproven', why: 'unreachable', reason };
  return { kind: 'blocked', reason: `not proven, so not published: ${reason}` };
}

function reasonOf(error: unknown, database: string): string {
  if (!(error instanceof SumdbError)) return `${database}: ${messageOf(error)}`;
  if (error.code !== 'absent') return messageOf(error);
  return `${messageOf(error)}; if the module is private, name it in \`private:\``;
}
