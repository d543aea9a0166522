/**
 * A checksum database whose key is known here: what it is asked is answered from its client, which has proven it.
 * A lookup is composed of the proven record and the one known head (ruling 23), so that a client finds everything it
 * needs to check it among the tiles that are kept.
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { isCanonical } from '../gomod/version.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { LogError } from '../sumdb/log/log-error.ts';
import { parseTilePath } from '../sumdb/log/tile.ts';
import {
  type SumdbAsker,
  type SumdbDatabase,
  SumdbError,
  type SumdbHead,
  type TileWish,
} from '../sumdb/types.ts';
import { sumdbFailure } from './sumdb-failure.ts';
import { knownHead, SumdbHeads, type SumdbHeadsDeps } from './sumdb-heads.ts';
import type { AskedOperation } from './sumdb-operation.ts';
import { sumdbReply } from './sumdb-reply.ts';
import type { SumdbQuestion } from './sumdb-sources.ts';
import type { BytesReply, RequestContext } from './types.ts';
import { notStored } from './without-sources.ts';

export interface ProvenSumdbDeps extends SumdbHeadsDeps {
  /** True: nobody is asked. */
  isOffline(): boolean;
}

type Asked<Kind extends AskedOperation['kind']> = AskedOperation & { readonly kind: Kind };

/** A head younger than this is given as the latest without asking. */
const headFreshMs = 60_000;
/** `no-cache` has it asked for again at most once in this time (ruling 7). */
const headRevalidateMs = 5_000;
/** Tiles of another height are no part of what the `go` command asks. */
const tileHeight = 8;
const fullWidth = 2 ** tileHeight;

export class ProvenSumdb {
  readonly #deps: ProvenSumdbDeps;
  readonly #heads: SumdbHeads;

  constructor(deps: ProvenSumdbDeps) {
    this.#deps = deps;
    this.#heads = new SumdbHeads(deps);
  }

  /** Anything but tiles of records. Rejects with InvalidRequestError, SourcesFailure, or the abort reason. */
  async get(database: SumdbDatabase, question: SumdbQuestion, context: RequestContext): Promise<BytesReply> {
    const { operation, rest, text } = question;
    const isOffline = this.#deps.isOffline();
    const asker: SumdbAsker = {
      signal: context.signal,
      requestId: context.id,
      via: context.via,
      deadlineAtMs: context.deadlineAtMs,
      storedOnly: isOffline || context.storedOnly,
    };
    try {
      switch (operation.kind) {
        case 'latest': {
          const maxAgeMs = context.revalidate ? headRevalidateMs : headFreshMs;
          const given = await this.#heads.get(database, asker, maxAgeMs);
          if (given === undefined) throw this.#headless(database, rest, asker);
          const source = given.isKept ? 'store' : 'modferry';
          return sumdbReply({ body: given.head.note, source, isFinal: false });
        }
        case 'lookup':
          return await this.#lookup(database, operation, rest, asker);
        case 'tile':
          return await tile(database, operation, text, asker);
        default:
          return operation satisfies never;
      }
    } catch (error) {
      if (!(error instanceof SumdbError)) throw error;
      throw sumdbFailure(error, { name: database.name, rest, isOffline });
    }
  }

  async #lookup(
    database: SumdbDatabase,
    { path, version }: Asked<'lookup'>,
    rest: string,
    asker: SumdbAsker,
  ): Promise<BytesReply> {
    if (!isCanonical(version)) {
      throw new InvalidRequestError('invalid_version', 'a checksum database has canonical versions only');
    }
    // A record does not say where it came from: only while nothing at all was fetched is that sure.
    const fetchedBefore = database.figures.lookups.fetched;
    const { id, text } = await database.lookup(path, version, asker);
    const source = database.figures.lookups.fetched === fetchedBefore ? 'store' : 'modferry';
    const { note } = await this.#headOver(id, database, rest, asker);
    const body = Buffer.concat([Buffer.from(`${id}\n${text}\n`), note]);
    return sumdbReply({ body, source, isFinal: false });
  }

  /** The known head: a record is proven under it, so it covers the record, unless an operator has just reset it. */
  async #headOver(id: number, database: SumdbDatabase, rest: string, asker: SumdbAsker): Promise<SumdbHead> {
    const known = await knownHead(database, asker);
    if (known !== undefined && known.treeSize > id) return known;
    const asked = asker.storedOnly === true ? undefined : await database.head(asker, 0);
    if (asked !== undefined && asked.treeSize > id) return asked;
    throw this.#headless(database, rest, asker);
  }

  #headless({ name }: SumdbDatabase, rest: string, asker: SumdbAsker): SourcesFailure {
    if (asker.storedOnly === true) return notStored(`/sumdb/${rest}`, this.#deps.isOffline());
    return new SourcesFailure(
      'unavailable',
      `/sumdb/${rest}: no tree head of ${name} that covers it is known, and nobody gave one; ask again`,
    );
  }
}

async function tile(
  database: SumdbDatabase,
  operation: Asked<'tile'>,
  text: string,
  asker: SumdbAsker,
): Promise<BytesReply> {
  if (operation.height !== tileHeight) {
    throw new SourcesFailure('absent', `${database.name} is served with tiles of height ${tileHeight} only`);
  }
  const wish = tileWish(text);
  const { bytes, isProven, source } = await database.tile(wish, asker);
  return sumdbReply({ body: bytes, source, isFinal: isProven && wish.width === fullWidth, isHashes: true });
}

/** Throws InvalidRequestError for what is not exactly how Go writes the place of a tile. */
function tileWish(text: string): TileWish {
  try {
    const { level, n, width } = parseTilePath(text);
    return { level, n, width };
  } catch (error) {
    if (error instanceof LogError) throw new InvalidRequestError('invalid_request', error.message);
    throw error;
  }
}
