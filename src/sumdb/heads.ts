/**
 * The known head of a log: it is replaced only by one of which the signature is good and of which the tree was shown
 * to continue its own. Heads that contradict each other are a fork: evidence is kept, and nothing moves any more. All
 * processes on one store share the head, and each shows for itself that what another has kept is consistent.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { Semaphore } from '../lib/semaphore.ts';
import type { Store } from '../store/store.ts';
import { contradiction, type KnownHead, type SignedHead } from './consistency.ts';
import { forkedError, unlikeKeptError } from './failure-text.ts';
import { ForkFile } from './fork-file.ts';
import { HeadFile, type HeadLook } from './head-file.ts';
import { beginningOf } from './head-state.ts';
import { lacksKept } from './kept-sample.ts';
import type { Verifier } from './log/note.ts';
import type { Overlay, Tiles } from './tiles.ts';
import { Tree } from './tree.ts';
import { type ForkEvidence, type SumdbAsker, SumdbError, type SumdbEvents } from './types.ts';

export interface HeadsDeps {
  /** The database's name. */
  readonly name: string;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly store: Pick<Store, 'keptSumdb' | 'keptLookups' | 'readSumdbState' | 'swapSumdbState'>;
  readonly tiles: Tiles;
  readonly events: EventBus<SumdbEvents>;
  /** Nothing that was proven counts any more. */
  onForgotten(): void;
}

/** What other processes have written is looked at this often, where nothing asks for it sooner. */
const rereadMs = 10_000;
/** Others who move the head at the same moment, in a row. */
const maxRounds = 4;
/** Heads unlike what is kept that are remembered. */
const maxUnlike = 100;

export class Heads {
  readonly #deps: HeadsDeps;
  readonly #headFile: HeadFile;
  readonly #fork: ForkFile;
  /** One move at a time. */
  readonly #moving = new Semaphore(1);
  #known: KnownHead | undefined;
  /** Monotonic. */
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** The known head is not in the store: it did not take it. */
  #isUnsaved = false;
  /** There was a known head, and the disk has lost it: the next one must have what is kept. */
  #isTrustLost = false;
  /** Size and hash of heads that had not. */
  readonly #unlike = new LRUCache<string, true>({ max: maxUnlike });

  constructor(deps: HeadsDeps) {
    this.#deps = deps;
    this.#headFile = new HeadFile(deps.store, deps.name, deps.verifier);
    this.#fork = new ForkFile(deps);
  }

  get known(): KnownHead | undefined {
    return this.#known;
  }

  get fork(): ForkEvidence | undefined {
    return this.#fork.evidence;
  }

  /**
   * Looks at what is in the store, if that was more than `maxAgeMs` ago. Rejects with SumdbError `unreachable` when it
   * could never be read: to begin without the known head would be to trust the next one at sight.
   */
  async refresh(asker: SumdbAsker, maxAgeMs = rereadMs): Promise<void> {
    const hasBegun = this.#readAtMs !== Number.NEGATIVE_INFINITY;
    if (hasBegun && this.#deps.clock.monotonic() - this.#readAtMs < maxAgeMs) return;
    // Whoever moves the head has just looked; what is known already need not wait for it.
    const release = hasBegun ? this.#moving.tryAcquire() : await this.#moving.acquire(asker.signal);
    if (release === undefined) return;
    try {
      if (this.#deps.clock.monotonic() - this.#readAtMs >= maxAgeMs) await this.#read(asker);
    } catch (error) {
      // A fork found now stops new records only; it is noted, and whoever wants one will hear of it.
      if (!(error instanceof SumdbError && error.code === 'forked')) throw error;
    } finally {
      release();
    }
  }

  /**
   * Makes `candidate` the known head if it is newer; else shows it consistent. Resolves at once when the known tree has
   * record `covering` by then. Rejects with SumdbError: `forked` when they contradict each other, otherwise nothing is
   * known of it yet.
   */
  async advance(candidate: SignedHead, source: string, asker: SumdbAsker, covering?: number): Promise<void> {
    await this.#locked(asker, async () => {
      await this.#read(asker);
      for (let round = 0; round < maxRounds; round += 1) {
        if (this.fork !== undefined) throw forkedError(this.#deps.name, this.fork);
        const known = this.#known;
        if (known !== undefined && covering !== undefined && covering < known.head.size) return;
        const overlay: Overlay = new Map();
        const tree = new Tree({ head: candidate.head, tiles: this.#deps.tiles, overlay });
        if (known !== undefined) await this.#assertConsistent(known, candidate, tree, source, asker);
        else if (this.#isTrustLost) await this.#assertLikeKept(candidate, tree, source, asker);
        if (known !== undefined && candidate.head.size <= known.head.size) return;
        if (await this.#move(known, candidate, tree, overlay, asker)) return;
      }
      throw new SumdbError(
        'unreachable',
        `the known head of ${this.#deps.name} is moved by others all the time; try again in some seconds`,
      );
    });
  }

  /** Shows that a signed head and the known one do not contradict each other. Rejects as `advance`. */
  async compare(other: SignedHead, source: string, asker: SumdbAsker): Promise<void> {
    const known = this.#known;
    if (known === undefined || other.head.size > known.head.size) {
      await this.advance(other, source, asker);
      return;
    }
    await this.#assertConsistent(known, other, undefined, source, asker);
  }

  /** A source has just given the known head or an older one. */
  confirm(): void {
    if (this.#known === undefined) return;
    this.#known = { ...this.#known, confirmedAtMs: this.#deps.clock.now() };
  }

  /** Forgets head and fork, in the store too. Rejects with StoreError. */
  async reset(): Promise<void> {
    const asker = { signal: new AbortController().signal };
    await this.#locked(asker, async () => {
      // The head first: if this ends half-way, the evidence still holds.
      await this.#headFile.remove();
      await this.#fork.remove();
      this.#forget();
    });
  }

  async #locked<Result>(asker: SumdbAsker, work: () => Promise<Result>): Promise<Result> {
    const release = await this.#moving.acquire(asker.signal);
    try {
      return await work();
    } finally {
      release?.();
    }
  }

  async #read(asker: SumdbAsker): Promise<void> {
    const { clock, name } = this.#deps;
    const isFirst = this.#readAtMs === Number.NEGATIVE_INFINITY;
    try {
      await this.#fork.look();
      const head = await this.#headFile.look();
      if (head !== undefined) await this.#changed(head, asker);
      this.#readAtMs = clock.monotonic();
    } catch (error) {
      if (asker.signal.aborted || (error instanceof SumdbError && error.code === 'forked')) throw error;
      // Who has begun goes on with what it knows.
      if (!isFirst) {
        this.#readAtMs = clock.monotonic();
        return;
      }
      throw new SumdbError(
        'unreachable',
        `what is known of the checksum database ${name} cannot be read (${messageOf(error)}); look at the disk of the data folder`,
        [],
        { cause: error },
      );
    }
    if (this.#isUnsaved) await this.#saveAgain();
  }

  /** The state in the store is another one than at the last look. */
  async #changed(look: HeadLook, asker: SumdbAsker): Promise<void> {
    const { name, events, tiles } = this.#deps;
    const { state, isDamaged, wasThere } = look;
    const known = this.#known;
    if (isDamaged) {
      // Without a state nothing signed says what was known; operators hear of it by the event.
      const isTrustLost = known === undefined && state === undefined;
      events.emit('rotten', { database: name, what: 'head', isTrustLost });
      this.#isTrustLost = isTrustLost;
    }
    if (state === undefined || (isDamaged && known !== undefined)) {
      if (!isDamaged && wasThere) this.#forget();
      this.#isUnsaved = this.#known !== undefined;
      await this.#headFile.seen(look);
      return;
    }
    if (state.edges === undefined)
      events.emit('rotten', { database: name, what: 'head tiles', isTrustLost: false });
    // Another beginning: an operator has reset what was known, and some process has begun anew.
    const isReset = wasThere && known !== undefined && known.beginning !== state.beginning;
    if (known !== undefined && !isReset) {
      if (this.fork !== undefined) return;
      const overlay: Overlay = new Map();
      const theirs = new Tree({ head: state.head, tiles, edges: state.edges, overlay });
      await this.#assertConsistent(known, state, theirs, 'store', asker);
      await tiles.adopt(overlay);
      if (state.head.size < known.head.size) {
        this.#isUnsaved = true;
        await this.#headFile.seen(look);
        return;
      }
    }
    if (isReset) this.#forget();
    const { head, note, confirmedAtMs, beginning } = state;
    const tree = new Tree({ head, tiles, edges: state.edges });
    this.#known = { head, note, tree, confirmedAtMs, beginning };
    this.#isUnsaved = isDamaged || state.edges === undefined;
    this.#isTrustLost = false;
    await this.#headFile.seen(look);
  }

  /** False: another process was first, and its state was read. */
  async #move(
    known: KnownHead | undefined,
    { head, note }: SignedHead,
    tree: Tree,
    overlay: Overlay,
    asker: SumdbAsker,
  ): Promise<boolean> {
    const { clock, tiles, name, events } = this.#deps;
    const edges = await tree.edges(asker);
    // What is kept must be provable under the new head before it is the known one (ruling 23).
    await tiles.adopt(overlay);
    const confirmedAtMs = clock.now();
    const beginning = known?.beginning ?? beginningOf({ note }, confirmedAtMs);
    const state = { head, note, edges, confirmedAtMs, beginning };
    const saved = await this.#headFile.save(state);
    if (saved === 'lost') {
      await this.#read(asker);
      return false;
    }
    // A disk that does not take it is no reason to know less.
    this.#isUnsaved = saved === 'failed';
    this.#isTrustLost = false;
    this.#known = { head, note, tree: new Tree({ head, tiles, edges }), confirmedAtMs, beginning };
    events.emit('head', { database: name, from: known?.head.size ?? 0, to: head.size });
    return true;
  }

  async #saveAgain(): Promise<void> {
    const known = this.#known;
    const edges = known?.tree.edgesInHand;
    if (known === undefined || edges === undefined) return;
    if ((await this.#headFile.save({ ...known, edges })) === 'saved') this.#isUnsaved = false;
  }

  /** `otherTree`: of the other head, needed when that is the larger one. */
  async #assertConsistent(
    known: KnownHead,
    other: SignedHead,
    otherTree: Tree | undefined,
    source: string,
    asker: SumdbAsker,
  ): Promise<void> {
    const { name: database, clock, tiles } = this.#deps;
    const tree = otherTree ?? new Tree({ head: other.head, tiles, overlay: new Map() });
    const found = await contradiction(known, { ...other, tree }, asker);
    if (found === undefined) return;
    const evidence: ForkEvidence = {
      database,
      atMs: clock.now(),
      source,
      known: known.note.toString('utf8'),
      other: other.note.toString('utf8'),
      ...found,
    };
    await this.#fork.declare(evidence);
    throw forkedError(database, this.fork ?? evidence);
  }

  /** Rejects with SumdbError `unreachable` when the head lacks what was proven here before the known one was lost. */
  async #assertLikeKept({ head }: SignedHead, tree: Tree, source: string, asker: SumdbAsker): Promise<void> {
    const { name, store, events } = this.#deps;
    const key = `${head.size} ${head.hash.toString('base64')}`;
    if (!this.#unlike.has(key)) {
      if (!(await lacksKept(tree, name, store, asker))) return;
      this.#unlike.set(key, true);
      const { message: reason } = unlikeKeptError(name);
      events.emit('refused', { database: name, source, what: `head of ${head.size} records`, reason });
    }
    throw unlikeKeptError(name);
  }

  #forget(): void {
    this.#known = undefined;
    this.#isUnsaved = false;
    this.#isTrustLost = false;
    this.#unlike.clear();
    this.#deps.onForgotten();
  }
}
