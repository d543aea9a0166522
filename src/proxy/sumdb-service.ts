/**
 * `/sumdb/…`: which database is meant, what is asked of it, and who answers. A database whose key is known here
 * answers with proven things; others are passed through. Only the databases on the list are reachable, and only by
 * the shapes of the protocol, so that a name never becomes a host to dial.
 * @see https://go.dev/ref/mod#checksum-database
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import type { ModulePath } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { SumdbDatabase } from '../sumdb/types.ts';
import type { Upstream } from '../upstream/types.ts';
import { PassedSumdb, type PassedSumdbDeps } from './passed-sumdb.ts';
import { ProvenSumdb } from './proven-sumdb.ts';
import { parseSumdbOperation } from './sumdb-operation.ts';
import { sumdbReply } from './sumdb-reply.ts';
import type { SumdbQuestion } from './sumdb-sources.ts';
import type { BytesReply, RequestContext } from './types.ts';

/** One database that may be asked here. */
export interface SumdbEntry {
  /** As in `GOSUMDB`: a host, or `host/path`. */
  readonly name: string;
  /** The database's own addresses, asked last, in this order. */
  readonly direct: readonly Upstream[];
  /** Undefined: its key is not known, so it is passed through unproven. */
  readonly database: SumdbDatabase | undefined;
}

/** What a lookup of a private module is told: 404, or 403. The `go` command fails it either way. */
export type PrivateAnswer = 'not_found' | 'forbidden';

export interface SumdbDeps extends PassedSumdbDeps {
  databases(): readonly SumdbEntry[];
  isPrivate(path: ModulePath): boolean;
  /** Default: `not_found`. */
  privateAnswer?(): PrivateAnswer;
}

/** Longer than any name with the longest path and version that Go's rules let through here. */
const maxRestLength = 16_384;

export class SumdbService {
  readonly #deps: SumdbDeps;
  readonly #proven: ProvenSumdb;
  readonly #passed: PassedSumdb;

  constructor(deps: SumdbDeps) {
    this.#deps = deps;
    this.#proven = new ProvenSumdb(deps);
    this.#passed = new PassedSumdb(deps);
  }

  /** `rest` is what followed `/sumdb/`. Rejects with InvalidRequestError, SourcesFailure, or the abort reason. */
  async get(rest: string, context: RequestContext): Promise<BytesReply> {
    if (rest.length > maxRestLength) {
      throw new InvalidRequestError('invalid_request', `the path is longer than ${maxRestLength} characters`);
    }
    const { name, direct, database } = this.#entryOf(rest);
    const text = rest.slice(name.length + 1);
    const operation = parseSumdbOperation(text);
    if (operation.kind === 'lookup') this.#refusePrivate(operation.path);
    if (operation.kind === 'supported') {
      return sumdbReply({ body: Buffer.alloc(0), source: 'modferry', isFinal: false });
    }
    const question: SumdbQuestion = { name, direct, rest, text, operation };
    if (database === undefined) return this.#passed.get(question, context);
    // What a tile of records holds could be proven by the tiles of hashes, but no client asks for it.
    if (operation.kind === 'tile' && operation.isData) return this.#passed.getUnkept(question, context);
    return this.#proven.get(database, question, context);
  }

  /** Names may be `host/path`, so one may be the beginning of another: the longest wins. Throws SourcesFailure. */
  #entryOf(rest: string): SumdbEntry {
    const entries = this.#deps.databases();
    let found: SumdbEntry | undefined;
    for (const entry of entries) {
      if (!rest.startsWith(`${entry.name}/`)) continue;
      if (found === undefined || entry.name.length > found.name.length) found = entry;
    }
    if (found !== undefined) return found;
    throw new SourcesFailure(
      'absent',
      `this checksum database is not served here (allowed: ${entries.map(({ name }) => name).join(', ') || 'none'}); add it with --sumdb`,
    );
  }

  /** Before anything looks at the module: its name must not leave this machine. Throws SourcesFailure. */
  #refusePrivate(path: ModulePath): void {
    if (!this.#deps.isPrivate(path)) return;
    throw new SourcesFailure(
      this.#deps.privateAnswer?.() === 'forbidden' ? 'forbidden' : 'not_fetched',
      `${path} is private here, or not to be checked, and is never looked up in a checksum database; set GONOSUMDB for it`,
    );
  }
}
