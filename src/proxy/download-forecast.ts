/**
 * What `go mod download` asks next. It first reads the go.mod files of the whole build list, then asks .info and
 * .zip of one module after another in the order of their paths. So when a client that has asked many .mod files
 * begins to ask .info, the next ones in that order are known: of each path the highest version it has asked, which
 * is the one that minimal version selection takes.
 * @see https://go.dev/ref/mod#minimal-version-selection
 */
import { LRUCache } from 'lru-cache';
import type { ModulePath, Version } from '../gomod/types.ts';
import { compareVersions } from '../gomod/version.ts';

interface ClientGraph {
  readonly selected: Map<ModulePath, Version>;
  /** Paths in order; undefined when a path was added since it was sorted. */
  sorted: ModulePath[] | undefined;
}

const maxClients = 256;
const maxModulesPerClient = 5_000;
/** A graph is walked and downloaded in one go; what was asked long before belongs to another command. */
const forgetAfterMs = 10 * 60_000;

export class DownloadForecast {
  readonly #clients: LRUCache<string, ClientGraph>;

  constructor() {
    this.#clients = new LRUCache({ max: maxClients, ttl: forgetAfterMs, updateAgeOnGet: true });
  }

  /** A client (by address) asked this .mod. */
  askedMod(client: string, path: ModulePath, version: Version): void {
    let graph = this.#clients.get(client);
    if (graph === undefined) {
      graph = { selected: new Map(), sorted: undefined };
      this.#clients.set(client, graph);
    }
    const known = graph.selected.get(path);
    if (known === undefined) {
      if (graph.selected.size >= maxModulesPerClient) return;
      graph.sorted = undefined;
    } else if (compareVersions(known, version) >= 0) {
      return;
    }
    graph.selected.set(path, version);
  }

  /** The `count` versions that follow `path` in what the client will download. Empty when it has shown no graph. */
  after(client: string, path: ModulePath, count: number): { path: ModulePath; version: Version }[] {
    const graph = this.#clients.get(client);
    if (graph === undefined || !graph.selected.has(path)) return [];
    graph.sorted ??= [...graph.selected.keys()].sort();
    const { sorted, selected } = graph;
    const next: { path: ModulePath; version: Version }[] = [];
    for (const following of sorted.slice(indexAfter(sorted, path), indexAfter(sorted, path) + count)) {
      const version = selected.get(following);
      if (version !== undefined) next.push({ path: following, version });
    }
    return next;
  }
}

/** Index of the first path greater than the given one. */
function indexAfter(sorted: readonly string[], path: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) <= path) low = middle + 1;
    else high = middle;
  }
  return low;
}
