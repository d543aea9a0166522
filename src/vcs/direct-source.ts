/**
 * Modules straight from their repositories, as one more upstream: it answers what a GOPROXY server would, so that the
 * walk, the checks and the store need not know of Git.
 * @see https://go.dev/ref/mod#goproxy-protocol
 */
import { join } from 'node:path';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { HostPlaces } from '../lib/host-places.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamRequest,
} from '../upstream/types.ts';
import { directError } from './direct-error.ts';
import { type SmallTarget, smallFile } from './direct-files.ts';
import { type DirectTarget, parseDirectTarget } from './direct-target.ts';
import { answersOf, type ModuleAnswers, noting, type OtherModules } from './module-answers.ts';
import { type KnownRepository, ModuleRegister } from './module-register.ts';
import { ownAnswers } from './own-answers.ts';
import type { PrivateRoutes } from './private-routes.ts';
import { type TemporaryZip, TemporaryZips } from './temporary-zips.ts';
import {
  type GitMirrors,
  type GitRepository,
  type ModuleRevision,
  type RepositoryFinder,
  type RepositoryModule,
  type RepositoryPlace,
  VcsError,
} from './types.ts';

/** A tag that points to another commit than before: its version keeps the content it was first stored with. */
export interface MovedTag {
  readonly url: string;
  readonly tag: string;
  /** Commits. */
  readonly from: string;
  readonly to: string;
}

export interface DirectEvents {
  moved_tag: MovedTag & { readonly paths: readonly ModulePath[] };
}

export interface DirectSourceDeps {
  readonly finder: RepositoryFinder;
  readonly mirrors: GitMirrors;
  moduleOf(repository: GitRepository, place: RepositoryPlace, path: ModulePath): RepositoryModule;
  /** The text of `.info`. */
  infoOf(revision: ModuleRevision, place: RepositoryPlace, path: ModulePath): string;
  /** Repositories that are not of Git. Undefined: they are refused, and the text names the setting. */
  readonly otherModules?: OtherModules | undefined;
  /** Undefined: nothing is private, and no go.mod is looked at. */
  readonly privateRoutes?: PrivateRoutes | undefined;
  /**
   * The commit that the stored `.info` of a version names, so that `.mod` and `.zip` are of the same one even if the tag
   * was moved in between. Undefined: none is stored, or it names none. Must not reject.
   */
  readonly storedCommit?: (path: ModulePath, version: Version) => Promise<string | undefined>;
  /** Setting that allows other version control systems, for that text. Default `direct.other_vcs`. */
  readonly otherVcsSetting?: string;
  /** Absolute path of a folder of its own, for zips that are being built and `modules.json`. */
  readonly folder: string;
  readonly clock: Clock;
  /** Default `direct`. */
  readonly name?: string;
  /** Requests at once, buildings of zips included. Default 64. */
  readonly maxConcurrent?: number;
  /** Of those, for modules of one host. Default 8. */
  readonly maxPerHost?: number;
  /** Requests that wait for a place; more are `busy`, and so are more than a quarter of them for one host. Default 1,024. */
  readonly maxQueued?: number;
  /** The longest that one request is worked on (ruling 19). Default 10 min. */
  readonly lastHopeMs?: number;
  /** How long it may be silent before another source is asked too. Default 60 s, for zips 5 min. */
  readonly firstByteMs?: { readonly meta: number; readonly zip: number };
}

export interface DirectSource extends Upstream {
  readonly events: EventBus<DirectEvents>;
  /** To be called once before the first request: reads the register, removes leftovers. Never rejects. */
  start(): Promise<void>;
  /** Repositories known by this address, whatever form a forge writes it in, and the modules asked of them. */
  repositoriesOf(url: string): readonly KnownRepository[];
  /** Module paths that were found in the repository with this address. */
  modulesOf(url: string): readonly ModulePath[];
  /** For `onTagMoved` of the mirrors. */
  tagMoved(moved: MovedTag): void;
}

/** Opens nothing yet. */
export function createDirectSource(deps: DirectSourceDeps): DirectSource {
  return new Direct(deps);
}

class Direct implements DirectSource {
  readonly name: string;
  readonly isPrivate = true;
  readonly stopsOnError = false;
  readonly firstByteMs: { readonly meta: number; readonly zip: number };
  readonly events = new EventBus<DirectEvents>();
  readonly #deps: DirectSourceDeps;
  readonly #places: HostPlaces;
  readonly #zips: TemporaryZips;
  readonly #register: ModuleRegister;
  readonly #closing = new AbortController();

  constructor(deps: DirectSourceDeps) {
    this.#deps = deps;
    this.name = deps.name ?? 'direct';
    this.firstByteMs = deps.firstByteMs ?? { meta: 60_000, zip: 300_000 };
    this.#places = new HostPlaces({
      inAll: deps.maxConcurrent ?? 64,
      perHost: deps.maxPerHost ?? 8,
      maxQueued: deps.maxQueued ?? 1024,
    });
    this.#zips = new TemporaryZips(join(deps.folder, 'zips'), deps.clock);
    this.#register = new ModuleRegister(join(deps.folder, 'modules.json'), deps.clock);
  }

  get queued(): number {
    return this.#places.queued;
  }

  async start(): Promise<void> {
    await Promise.all([this.#register.load(), this.#zips.removeLeftovers()]);
  }

  repositoriesOf(url: string): readonly KnownRepository[] {
    return this.#register.find(url);
  }

  modulesOf(url: string): readonly ModulePath[] {
    return [...new Set(this.#register.find(url).flatMap(({ paths }) => paths))];
  }

  tagMoved(moved: MovedTag): void {
    this.events.emit('moved_tag', { ...moved, paths: this.modulesOf(moved.url) });
  }

  async fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { clock, lastHopeMs = 600_000 } = this.#deps;
    const startedAtMs = clock.monotonic();
    const late = new AbortController();
    const timer = clock.setTimeout(() => {
      late.abort(new VcsError('timeout', `its repository gave no answer within ${lastHopeMs / 1000} s`));
    }, lastHopeMs);
    const signal = AbortSignal.any([request.signal, late.signal, this.#closing.signal]);
    try {
      signal.throwIfAborted();
      const target = parseDirectTarget(request.target);
      if (target === undefined) {
        throw new VcsError('absent', 'repositories have modules only, and these only in canonical versions');
      }
      const answer =
        target.kind === 'zip'
          ? this.#zipAnswer(await this.#zip(target, signal, request), request.signal)
          : await this.#smallAnswer(target, signal, request);
      return { ...answer, firstByteMs: clock.monotonic() - startedAtMs };
    } catch (error) {
      if (late.signal.aborted && !request.signal.aborted) {
        throw directError(late.signal.reason, this.name, request.signal);
      }
      throw directError(error, this.name, request.signal);
    } finally {
      timer.cancel();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new UpstreamError(this.name, 'aborted', 'this source was closed'));
    await Promise.all([this.#register.close(), this.#deps.otherModules?.close()]);
  }

  async #smallAnswer(target: SmallTarget, signal: AbortSignal, { priority }: UpstreamRequest) {
    const { bytes, contentType } = await this.#inPlace(target, signal, priority, async () => {
      return await smallFile(target, await this.#answers(target.path, signal), signal);
    });
    let isDropped = false;
    const { name } = this;
    async function* body(): AsyncGenerator<Buffer, void, void> {
      if (isDropped) throw new UpstreamError(name, 'aborted', 'the body was dropped');
      if (bytes.length > 0) yield bytes;
    }
    return {
      ...this.#head(bytes.length, contentType),
      body: body(),
      cancel: () => {
        isDropped = true;
      },
    };
  }

  /** One building for all who ask; it goes on while one of them waits. */
  #zip(
    target: Extract<DirectTarget, { kind: 'zip' }>,
    signal: AbortSignal,
    { priority }: UpstreamRequest,
  ): Promise<TemporaryZip> {
    const { path, version } = target;
    return this.#zips.get(
      `${path}@${version}`,
      (file, building) =>
        this.#inPlace(target, building, priority, async () => {
          const answers = await this.#answers(path, building);
          await answers.zip(version, file, building);
        }),
      signal,
    );
  }

  #zipAnswer(zip: TemporaryZip, signal: AbortSignal) {
    let isDropped = false;
    const { name } = this;
    const onAbort = (): void => zip.release();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) zip.release();
    async function* body(): AsyncGenerator<Buffer, void, void> {
      try {
        yield* zip.read();
      } catch (error) {
        if (isDropped) throw new UpstreamError(name, 'aborted', 'the body was dropped');
        throw directError(error, name, signal);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
    return {
      ...this.#head(zip.sizeBytes, 'application/zip'),
      body: body(),
      cancel: () => {
        isDropped = true;
        signal.removeEventListener('abort', onAbort);
        zip.release();
      },
    };
  }

  #head(sizeBytes: number, contentType: string) {
    return {
      upstream: this.name,
      contentLength: sizeBytes,
      // Always the whole file: nothing promises that a zip built another time has the same bytes.
      offset: 0,
      totalBytes: sizeBytes,
      contentType,
      etag: undefined,
      lastModified: undefined,
    };
  }

  async #answers(path: ModulePath, signal: AbortSignal): Promise<ModuleAnswers> {
    const { finder, mirrors } = this.#deps;
    const place = await finder.find(path, signal);
    const answers =
      place.vcs === 'git'
        ? answersOf(this.#deps.moduleOf(await mirrors.open(place, path, signal), place, path), (revision) =>
            this.#deps.infoOf(revision, place, path),
          )
        : this.#otherAnswers(place, path);
    const { privateRoutes } = this.#deps;
    const own = privateRoutes === undefined ? answers : ownAnswers(answers, path, privateRoutes);
    return noting(this.#sameCommit(own, path), () => this.#register.note(place, path));
  }

  #sameCommit(answers: ModuleAnswers, path: ModulePath): ModuleAnswers {
    const { storedCommit } = this.#deps;
    if (storedCommit === undefined) return answers;
    return {
      ...answers,
      goMod: async (version, signal) =>
        await answers.goMod(version, signal, await storedCommit(path, version)),
      zip: async (version, file, signal) =>
        await answers.zip(version, file, signal, await storedCommit(path, version)),
    };
  }

  #otherAnswers(place: RepositoryPlace, path: ModulePath): ModuleAnswers {
    const { otherModules, otherVcsSetting = 'direct.other_vcs' } = this.#deps;
    if (otherModules !== undefined) return otherModules.open(place, path);
    throw new VcsError(
      'refused',
      `${path} is in a repository of ${place.vcs}, which needs an installed go command; ${otherVcsSetting} allows it`,
    );
  }

  /** By the module's host: that of its repository is not known before somebody was asked for it. */
  async #inPlace<Result>(
    { path }: DirectTarget,
    signal: AbortSignal,
    priority: UpstreamRequest['priority'],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const release = await this.#places.acquire(path.split('/', 1)[0] ?? '', signal, priority);
    if (release === undefined) throw new VcsError('busy', 'too many requests to repositories are waiting');
    try {
      return await work();
    } finally {
      release();
    }
  }
}
