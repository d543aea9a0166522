/**
 * Tiles of a log: in memory, kept on disk, else fetched. A full tile is what its parent says it is, wherever its bytes
 * come from: every use compares it with the hash expected there, so neither the disk nor a source is trusted.
 */
import { LRUCache } from 'lru-cache';
import type { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import type { Sources, Way } from './ask.ts';
import { offlineError } from './failure-text.ts';
import { hashBytes } from './log/hash.ts';
import { LogError } from './log/log-error.ts';
import { assertTileData, type Tile, type TileData, tileHash, tilePath } from './log/tile.ts';
import { checkFullTile, checkHeadTiles, headTiles } from './log/tile-reader.ts';
import type { TreeHead } from './log/tree-head.ts';
import { SharedAsks } from './shared-asks.ts';
import { type SumdbAsker, SumdbError, type SumdbEvents } from './types.ts';

/** Of every tile that is asked for here. */
export const tileHeight = 8;
/** Hashes in a full tile. */
export const fullWidth: number = 2 ** tileHeight;

const memoryBytes = 32 * 1024 * 1024;
/** Where a tile is at most 8 KiB: what is longer is not read to its end. */
const limitBytes = 64 * 1024;

export interface GotTile {
  readonly data: Buffer;
  /** `store`, or `upstream:NAME`. */
  readonly source: string;
}

/** Full tiles of a head that is not the known one yet, by path: kept only when it becomes it. */
export type Overlay = Map<string, Buffer>;

interface InMemory {
  readonly data: Buffer;
  /** What it makes. */
  readonly hash: Buffer;
  isKept: boolean;
}

export interface TilesDeps {
  /** The database's name. */
  readonly name: string;
  readonly sources: Sources;
  readonly store: Pick<Store, 'keptSumdb' | 'keepSumdb'>;
  readonly events: EventBus<SumdbEvents>;
  isOffline(): boolean;
}

export class Tiles {
  readonly #deps: TilesDeps;
  readonly #memory = new LRUCache<string, InMemory>({
    maxSize: memoryBytes,
    sizeCalculation: ({ data }) => data.length + 300,
  });
  readonly #asks = new SharedAsks<GotTile>();
  #fetched = 0;

  constructor(deps: TilesDeps) {
    this.#deps = deps;
  }

  /** Tiles that came from sources since the start. */
  get fetched(): number {
    return this.#fetched;
  }

  /**
   * The full tile that makes `expected`. With an overlay it is put there, and neither kept nor remembered; without one
   * it is of the known tree, and kept. Rejects with SumdbError, or the reason of the asker's signal.
   */
  async full(tile: Tile, expected: Buffer, asker: SumdbAsker, overlay?: Overlay): Promise<GotTile> {
    const path = tilePath(tile);
    const inMemory = this.#memory.get(path);
    if (inMemory !== undefined && inMemory.hash.equals(expected)) {
      if (!inMemory.isKept) {
        if (overlay === undefined) await this.#keep(path, inMemory);
        else overlay.set(path, inMemory.data);
      }
      return { data: inMemory.data, source: 'store' };
    }
    const isKnownTree = overlay === undefined;
    const inOverlay = overlay?.get(path);
    if (inOverlay !== undefined) return { data: inOverlay, source: 'store' };
    const got = this.#mayAsk(asker)
      ? await this.#asks.join(`${path} ${expected.toString('base64')} ${isKnownTree}`, asker, (all) =>
          this.#find(tile, expected, isKnownTree, all),
        )
      : await this.#kept(tile, expected, isKnownTree);
    if (got === undefined) throw offlineError(this.#deps.name, path);
    if (overlay !== undefined) {
      if (got.source !== 'store') overlay.set(path, got.data);
    } else if (this.#memory.peek(path)?.hash.equals(expected) !== true) {
      const entry = { data: got.data, hash: expected, isKept: got.source === 'store' };
      this.#memory.set(path, entry);
      if (!entry.isKept) await this.#keep(path, entry);
    }
    return got;
  }

  /** Keeps what was verified beside the known tree, which it now belongs to. A disk that takes none of it is no failure. */
  async adopt(overlay: Overlay): Promise<void> {
    for (const [path, data] of overlay) {
      const entry = { data, hash: tileHash(data), isKept: false };
      this.#memory.set(path, entry);
      await this.#keep(path, entry);
    }
  }

  /** Head tiles of a signed head, verified against it. Rejects with SumdbError, or the reason of the asker's signal. */
  ofHead(head: TreeHead, asker: SumdbAsker): Promise<readonly TileData[]> {
    return existing(this.#ofHead(head, asker));
  }

  /** A tile as a source has it, of the right length and otherwise unproven; the beginning of the full one if need be. */
  async unproven(tile: Tile, asker: SumdbAsker): Promise<GotTile> {
    if (!this.#mayAsk(asker)) throw offlineError(this.#deps.name, tilePath(tile));
    const { data, source } = await this.#partial(tile, asker);
    return { data, source: `upstream:${source}` };
  }

  #mayAsk(asker: SumdbAsker): boolean {
    return asker.storedOnly !== true && !this.#deps.isOffline();
  }

  async #ofHead(head: TreeHead, asker: SumdbAsker): Promise<readonly TileData[]> {
    const wanted = headTiles(head, tileHeight);
    const [only] = wanted;
    if (only === undefined) {
      checkHeadTiles(head, tileHeight, []);
      return [];
    }
    if (!this.#mayAsk(asker)) throw offlineError(this.#deps.name, tilePath(only));
    if (wanted.length === 1) return this.#fromOne(head, wanted, asker);
    const tiles = await Promise.all(wanted.map((tile) => this.#partial(tile, asker)));
    try {
      checkHeadTiles(head, tileHeight, tiles);
      return tiles;
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
    }
    // They can only be checked together: whoever is asked for all of them alone can be told from the others.
    let failure: SumdbError | undefined;
    for (const way of this.#deps.sources.alone()) {
      try {
        return await this.#fromOne(head, wanted, asker, [way]);
      } catch (error) {
        if (!(error instanceof SumdbError)) throw error;
        // That one lied tells more than that another has nothing.
        if (failure?.code !== 'refused') failure = error;
      }
    }
    throw (
      failure ?? new SumdbError('unreachable', `nobody is left to ask for the tiles of ${this.#deps.name}`)
    );
  }

  /** All but one are fetched first; the judge of the last sees all. */
  async #fromOne(
    head: TreeHead,
    wanted: readonly Tile[],
    asker: SumdbAsker,
    ways?: readonly Way[],
  ): Promise<readonly TileData[]> {
    const [last, ...others] = wanted;
    if (last === undefined) return [];
    const before = await Promise.all(others.map((tile) => this.#partial(tile, asker, ways)));
    const one = await this.#partial(last, asker, ways, (data) => {
      checkHeadTiles(head, tileHeight, [...before, { tile: last, data }]);
    });
    return [one, ...before];
  }

  /** A tile of any width, or the beginning of the full one where nobody has that width. */
  async #partial(
    tile: Tile,
    asker: SumdbAsker,
    ways?: readonly Way[],
    check: (data: Buffer) => void = () => {},
  ): Promise<TileData & { readonly source: string }> {
    const fetch = async (wide: Tile) => {
      const { value, source } = await this.#deps.sources.ask(
        {
          operation: tilePath(wide),
          limitBytes,
          judge(body) {
            assertTileData({ tile: wide, data: body });
            const data = Buffer.from(body.subarray(0, tile.width * hashBytes));
            check(data);
            return data;
          },
        },
        asker,
        ways,
      );
      this.#fetched += 1;
      return { tile, data: value, source };
    };
    try {
      return await fetch(tile);
    } catch (error) {
      const isAbsent = error instanceof SumdbError && error.code === 'absent';
      if (!isAbsent || tile.width === fullWidth) throw error;
      return fetch({ ...tile, width: fullWidth });
    }
  }

  async #find(tile: Tile, expected: Buffer, isKnownTree: boolean, asker: SumdbAsker): Promise<GotTile> {
    const kept = await this.#kept(tile, expected, isKnownTree);
    if (kept !== undefined) return kept;
    const { value, source } = await existing(
      this.#deps.sources.ask(
        {
          operation: tilePath(tile),
          limitBytes,
          judge(body) {
            checkFullTile({ tile, data: body }, expected);
            // A copy: what was read is a part of a larger buffer.
            return Buffer.from(body);
          },
        },
        asker,
      ),
    );
    this.#fetched += 1;
    return { data: value, source: `upstream:${source}` };
  }

  /** From disk, if it is what it should be. Only of the known tree it can be told that the disk is wrong. */
  async #kept(tile: Tile, expected: Buffer, isKnownTree: boolean): Promise<GotTile | undefined> {
    const { name, store, events } = this.#deps;
    const path = tilePath(tile);
    const kept = await store.keptSumdb(name, path).catch(() => undefined);
    if (kept === undefined) return undefined;
    const data = kept.body;
    try {
      checkFullTile({ tile, data }, expected);
      return { data, source: 'store' };
    } catch {
      if (isKnownTree) events.emit('rotten', { database: name, what: path, isTrustLost: false });
      return undefined;
    }
  }

  async #keep(path: string, entry: InMemory): Promise<void> {
    const { name, store } = this.#deps;
    // What the disk does not take is tried again when it is needed next.
    entry.isKept = await store.keepSumdb(name, path, entry.data).catch(() => false);
  }
}

/** A signed tree has the tile: that nobody who was asked has it is no absence. */
async function existing<Result>(asked: Promise<Result>): Promise<Result> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof SumdbError) || error.code !== 'absent') throw error;
    throw new SumdbError('unreachable', error.message, error.outcomes, { cause: error });
  }
}
