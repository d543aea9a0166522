/**
 * A checksum database for tests: a transparency log with its own key, a real server on 127.0.0.1, and lies to order
 * (`sumdb-log-lies.ts`). It shares no code with the client under test, so that a mistake of the one is not hidden by
 * the same mistake in the other; the real `go` command judges it in `sumdb-log.test.ts`.
 */
import type { FakeModule } from './fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { captivePortal, delay, type Fault, stall, truncate } from './faults.ts';
import { unescapeName } from './go-names.ts';
import { hashesOf, type ModuleHashes } from './module-hashes.ts';
import { bytesReply, type Reply, textReply } from './reply.ts';
import { applies, type Lie, SHARED_TILE_SIZE } from './sumdb-log-lies.ts';
import { noteSigner, signatureLine, signedNote, treeText } from './sumdb-log-note.ts';
import {
  forkOf,
  type LogRecords,
  logRecords,
  madeUpH1,
  recordText,
  SumdbLogError,
} from './sumdb-log-records.ts';
import { leafHash, parseTileName, type TileName } from './sumdb-log-tree.ts';
import type { SumdbHandler, SumdbReply } from './sumdb-remote.ts';

export type { Lie } from './sumdb-log-lies.ts';

export interface SumdbLogOptions {
  /** Default `sum.test.example`. */
  readonly name?: string;
  /** Made-up records before those of `modules`. Default 0. */
  readonly pad?: number;
  /** Recorded from the start. */
  readonly modules?: readonly FakeModule[];
  /** Seed of the signing key. Default: the name, so that the key is the same in every run. */
  readonly key?: string;
}

/** One question, by either way in. */
export interface SumdbRequest {
  /** Unescaped, without the database's name: `/lookup/example.com/Azure@v1.0.0`, `/tile/8/0/000.p/3`, `/latest`. */
  readonly path: string;
  /** `url`: at its own address; `handler`: through an upstream. */
  readonly via: 'url' | 'handler';
}

/** A string matches the end of the path, a RegExp anywhere in it. */
export type SumdbRequestMatch = string | RegExp | ((request: SumdbRequest) => boolean);

export interface SumdbLog extends AsyncDisposable {
  readonly name: string;
  /** `NAME+HASH+KEY`, for GOSUMDB and the configuration. */
  readonly verifierKey: string;
  /** Its own address, without a slash at the end; `/lookup/…`, `/tile/…` and `/latest` are below it. */
  readonly url: string;
  /** The server at `url`: for faults, sockets, and to be away (`refuse`, `listenAgain`). */
  readonly server: FakeUpstream;
  /** For `FakeUpstreamOptions.sumdb`: answers `NAME/supported`, `NAME/lookup/…` and so on. */
  readonly handler: SumdbHandler;
  /** How many records there are. */
  readonly size: number;
  /**
   * Appends a record and returns its number; the number of the one that is there already when the hashes are the same.
   * Those of a FakeModule are computed from its zip and .mod. Throws SumdbLogError `other_record`.
   */
  add(module: FakeModule | ModuleHashes): number;
  /** Appends made-up records (`paddingModule` of sumdb-log-records.ts names them). */
  pad(count: number): void;
  /** Who knows the modules that are recorded when they are first looked up, as the real database does. Default: nobody. */
  onDemand(
    find: ((path: string, version: string) => FakeModule | ModuleHashes | undefined) | undefined,
  ): void;
  /** From now on lies; undefined: tells the truth again. One lie at a time. Throws SumdbLogError `wrong_size`. */
  lie(lie: Lie | undefined): void;
  /** The signed head of the first `size` records. Default: of all. */
  head(size?: number): string;
  readonly requests: readonly SumdbRequest[];
  count(match: SumdbRequestMatch): number;
  /** Forgets requests, and the faults of `server`; records and the lie stay. */
  reset(): void;
  /** Destroys all sockets and stops. Idempotent; usable detached. */
  readonly close: () => Promise<void>;
}

/** What an answer is made from: the truth, or a second history. */
interface View {
  readonly records: LogRecords;
  readonly headSize: number;
}

export async function startSumdbLog(options: SumdbLogOptions = {}): Promise<SumdbLog> {
  const { name = 'sum.test.example', key = name } = options;
  const signer = noteSigner(name, key);
  const stranger = noteSigner(name, `not ${key}`);
  const truth = logRecords();
  const requests: SumdbRequest[] = [];
  let find: (path: string, version: string) => FakeModule | ModuleHashes | undefined = () => undefined;
  let lie: Lie | undefined;
  let fork: ReturnType<typeof forkOf> | undefined;
  /** The forged leaf of `forged_shared_tiles`. */
  let forged: { readonly id: number; readonly leaf: Buffer } | undefined;

  const add = (module: FakeModule | ModuleHashes): number => truth.add(hashes(module));
  truth.pad(options.pad ?? 0);
  for (const module of options.modules ?? []) add(module);

  function setLie(next: Lie | undefined): void {
    const altered = next?.kind === 'fork' ? (next.altered ?? []).map(hashes) : [];
    if (next?.kind === 'stale_head' && next.size > truth.tree.size) {
      throw new SumdbLogError(
        'wrong_size',
        `no head of ${next.size}: the log has ${truth.tree.size} records`,
      );
    }
    if (next?.kind === 'forged_shared_tiles') truth.pad(Math.max(0, SHARED_TILE_SIZE - truth.tree.size));
    lie = next;
    fork = next?.kind === 'fork' ? forkOf(truth, next.fromSize, altered) : undefined;
    forged = undefined;
  }

  /** As seen by who is told `told`. */
  function viewOf(told: Lie | undefined): View {
    if (told?.kind === 'fork' && fork) {
      fork.follow();
      return { records: fork.records, headSize: fork.records.tree.size };
    }
    if (told?.kind === 'stale_head') return { records: truth, headSize: told.size };
    if (told?.kind === 'forged_shared_tiles') return { records: truth, headSize: SHARED_TILE_SIZE };
    return { records: truth, headSize: truth.tree.size };
  }

  function head({ records, headSize }: View, told: Lie | undefined, moreLines = ''): string {
    const isHuge = told?.kind === 'huge_numbers' && told.what !== 'record';
    const text = treeText(isHuge ? hugeSize(told) : headSize, records.tree.root(headSize)) + moreLines;
    if (told?.kind === 'unsigned') return signedNote(text);
    if (told?.kind === 'wrong_key') return signedNote(text, stranger);
    if (told?.kind === 'forged_signature') {
      return `${text}\n${signatureLine(signer, stranger.sign(text))}`;
    }
    return signedNote(text, signer);
  }

  function lookup(path: string, version: string, told: Lie | undefined): Reply {
    if (truth.find(path, version) === undefined) {
      const made = find(path, version);
      if (made) add(made);
    }
    const id = truth.find(path, version);
    if (id === undefined) return textReply(404, `not found: ${path}@${version}: unknown revision\n`);
    let answered = id;
    let moreLines = '';
    if (told?.kind === 'no_line' || told?.kind === 'line_in_note') {
      if (truth.tree.size === 1) truth.pad(1);
      answered = id === 0 ? 1 : id - 1;
      if (told.kind === 'line_in_note') moreLines = withZipH1(truth.text(id), path, version, told.zipH1);
    }
    const view = viewOf(told);
    let text = view.records.text(answered);
    if (told?.kind === 'wrong_hash' || told?.kind === 'forged_shared_tiles') {
      text = withZipH1(text, path, version, told.zipH1);
    }
    if (told?.kind === 'forged_shared_tiles') {
      if (id >= SHARED_TILE_SIZE)
        return textReply(500, `test kit: ${path} is not among the first 768 records\n`);
      forged = { id, leaf: leafHash(text) };
    }
    const isHuge = told?.kind === 'huge_numbers' && told.what !== 'tree';
    return textReply(200, `${isHuge ? hugeNumber(told) : answered}\n${text}\n${head(view, told, moreLines)}`);
  }

  function tile(wish: TileName, told: Lie | undefined): Reply {
    const { records } = viewOf(told);
    if (wish.level === 'data') return dataTile(records, wish);
    const bytes =
      told?.kind === 'missing_tile' ? undefined : records.tree.tile(wish.level, wish.n, wish.width);
    if (!bytes) return textReply(404, 'not found: no such tile\n');
    return bytesReply('application/octet-stream', told ? liedTile(bytes, wish, told) : bytes);
  }

  function liedTile(bytes: Buffer, wish: TileName, told: Lie): Buffer {
    if (told.kind === 'wrong_tile') {
      const at = Math.min(told.atByte ?? 0, bytes.length - 1);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    }
    if (told.kind === 'short_tile')
      return bytes.subarray(0, Math.max(0, bytes.length - (told.cutBytes ?? 32)));
    if (told.kind === 'long_tile') return Buffer.concat([bytes, Buffer.alloc(32, 1)]);
    if (told.kind === 'forged_shared_tiles' && forged && wish.level === 0) {
      const place = forged.id - wish.n * 256;
      if (place >= 0 && place < wish.width) bytes.set(forged.leaf, place * 32);
    }
    return bytes;
  }

  /** Answers `lookup/…`, `tile/…`, `latest` and `supported`; `path` still escaped. */
  function answer(path: string, via: SumdbRequest['via']): SumdbReply {
    const asked = `/${unescapeName(path)}`;
    requests.push({ path: asked, via });
    const module = /^lookup\/([^@]+)@(v\d+\.\d+\.\d+[^@/]*)$/.exec(path);
    const modulePath = module && unescapeName(module[1] ?? '');
    const told = lie && applies(lie, { path: asked, module: modulePath ?? undefined }) ? lie : undefined;
    if (told?.kind === 'garbage') return textReply(200, told.text);
    if (told?.kind === 'status') return textReply(told.status, `${told.status}: the test database says no\n`);
    if (told?.kind === 'html') return { ...textReply(200, ''), faults: [captivePortal()] };
    const wish = parseTileName(path);
    let reply: Reply;
    if (path === 'supported') reply = textReply(200, '');
    else if (path === 'latest') reply = textReply(200, head(viewOf(told), told));
    else if (wish) reply = tile(wish, told);
    else if (modulePath) reply = lookup(modulePath, unescapeName(module[2] ?? ''), told);
    else reply = textReply(400, `bad request: ${path}\n`);
    return { ...reply, faults: wireFaults(told, reply) };
  }

  const server = await startFakeUpstream({ answer: (path) => answer(path.slice(1), 'url') });
  return {
    name,
    verifierKey: signer.verifierKey,
    url: server.url,
    server,
    handler: (path) =>
      path.startsWith(`${name}/`)
        ? answer(path.slice(name.length + 1), 'handler')
        : textReply(404, `no such checksum database: ${path}\n`),
    get size() {
      return truth.tree.size;
    },
    add,
    pad: (count) => truth.pad(count),
    onDemand(next) {
      find = next ?? (() => undefined);
    },
    lie: setLie,
    head: (size = truth.tree.size) => head({ records: truth, headSize: size }, undefined),
    requests,
    count: (match) => requests.filter((request) => matches(match, request)).length,
    reset() {
      requests.length = 0;
      server.reset();
    },
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  };
}

function hashes(module: FakeModule | ModuleHashes): ModuleHashes {
  return 'zip' in module ? hashesOf(module) : module;
}

function hugeNumber(lie: { readonly number?: string }): string {
  return lie.number ?? '9007199254740993';
}

/** With room for the huge record in it. */
function hugeSize(lie: { readonly number?: string; readonly what?: 'record' | 'tree' }): string {
  return lie.what === 'tree' ? hugeNumber(lie) : String(BigInt(hugeNumber(lie)) + 2n);
}

/** The record's lines of the module with another zip hash. */
function withZipH1(text: string, path: string, version: string, zipH1: string | undefined): string {
  const modH1 = /\/go\.mod (h1:\S+)\n/.exec(text)?.[1] ?? madeUpH1('');
  return recordText({ path, version, zipH1: zipH1 ?? madeUpH1(`not ${path}@${version}`), modH1 });
}

/** Concatenated records, each followed by an empty line, without their numbers. */
function dataTile(records: LogRecords, { n, width }: TileName): Reply {
  const start = n * 256;
  if (start + width > records.tree.size) return textReply(404, 'not found: no such tile\n');
  const texts = Array.from({ length: width }, (_, index) => `${records.text(start + index)}\n`);
  return textReply(200, texts.join(''));
}

function wireFaults(told: Lie | undefined, reply: Reply): readonly Fault[] {
  if (told?.kind === 'slow') return [delay(told.ms)];
  if (told?.kind === 'hang') return [stall()];
  if (told?.kind === 'cut') return [truncate(Math.floor(reply.body.sizeBytes / 2))];
  return [];
}

function matches(match: SumdbRequestMatch, request: SumdbRequest): boolean {
  if (typeof match === 'function') return match(request);
  // `search` and not `test`: a global expression keeps a position between calls.
  return typeof match === 'string' ? request.path.endsWith(match) : request.path.search(match) !== -1;
}
