/**
 * The border of `upstream/`: what the rest of modferry may ask of an upstream, and what comes back. `health/` watches
 * upstreams through these types and gives each request its plan (`plan.ts`).
 */
import type { ModulePath } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { ParentFacts } from './parent-headers.ts';

/** What is fetched, for timeouts and limits: small text or a module zip. */
export type AnswerClass = 'meta' | 'zip';

export interface UpstreamRequest {
  /** Path under the upstream's base, already escaped by Go's rules and starting with `/`. */
  readonly target: string;
  readonly answerClass: AnswerClass;
  readonly signal: AbortSignal;
  /** Id of the client request this one serves; sent as `X-Request-Id`. */
  readonly requestId?: string;
  /**
   * Instance ids of the modferries this request has already passed through, oldest first. Without them a circle of
   * two would not be noticed. Ours is added when the request is sent.
   */
  readonly via?: readonly string[];
  /** Look-ahead and other background work yields to real requests. Default `normal`. */
  readonly priority?: 'normal' | 'low';
  /** The module asked about, so that failures on one module can be told from failures of the upstream. */
  readonly modulePath?: ModulePath;
  /**
   * Goes on from this byte of the file (`Range`), more than 0. The answer says by `offset` whether the upstream did:
   * one that sends the whole file instead has offset 0.
   */
  readonly fromByte?: number;
  /** Strong ETag of the bytes in hand: sent as `If-Range`, so that another file comes whole. */
  readonly ifRange?: string;
  /** Milliseconds that the asker still has; told to a parent modferry, which then gives up in time. */
  readonly remainingMs?: number;
}

/** A 200 answer (or 206 where `fromByte` was asked) whose body is still to be read. Exactly one of reading to the end or `cancel` must happen. */
export interface UpstreamAnswer {
  readonly upstream: string;
  /** Length of this body, where the upstream declared it. */
  readonly contentLength: number | undefined;
  /** Where in the file the body begins; 0 unless a range was asked and granted. Default 0. */
  readonly offset?: number;
  /** Length of the whole file, where known. Equals `contentLength` for a whole answer. */
  readonly totalBytes?: number | undefined;
  /** How long the body may bring no byte before it counts as stalled. Default: the reader's own limit. */
  readonly idleMs?: number;
  readonly contentType: string;
  /** Those that tell where it comes from, for evidence: few, and shortened. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Milliseconds from asking to the status line. */
  readonly firstByteMs: number;
  /** Bytes as sent (identity coding). Ends only when complete; throws UpstreamError when cut, stalled or too short. */
  readonly body: AsyncIterable<Buffer>;
  /** Drops the body. Idempotent. */
  cancel(): void;
  /** The bytes were no good, or came too slowly: tells whoever watches this upstream. Does not cancel. */
  blame?(code: UpstreamErrorCode, message: string): void;
}

export type UpstreamErrorCode =
  | 'absent' // 404
  | 'gone' // 410
  | 'dns'
  | 'connect' // TCP
  | 'tls'
  | 'proxy'
  | 'proxy_auth' // the outbound proxy wants other credentials (407)
  | 'timeout' // no first byte, or no progress, in time
  | 'reset'
  | 'truncated'
  | 'status' // any other status than 200, 404, 410
  | 'redirect' // too many, or one that is not allowed
  | 'protocol' // not HTTP, bad headers, content coding
  | 'busy' // its places and its queue are full: it was not asked
  | 'loop' // our own request came back (508)
  | 'refused' // content the caller rejected: HTML, failed verification
  | 'too_large' // over a limit of ours: no fault of the upstream
  | 'beaten' // another upstream answered first, so this one was no longer needed
  | 'skipped' // not asked: out, breaker open, resting, taken out by hand, offline
  | 'aborted'; // the caller's signal

/** Why one upstream did not give a good answer. Carries no secret. */
export class UpstreamError extends ModferryError<UpstreamErrorCode> {
  readonly upstream: string;
  /** Status received, when there was one. */
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  /** A parent modferry that is well itself but whose own sources failed (ruling 20): no fault of the parent. */
  readonly isSourcesFault: boolean;
  /** The absence that a parent modferry tells is not agreed by all of its sources. */
  readonly isPartial: boolean;

  constructor(
    upstream: string,
    code: UpstreamErrorCode,
    message: string,
    options: {
      status?: number;
      retryAfterMs?: number;
      isSourcesFault?: boolean;
      isPartial?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(code, message, { cause: options.cause, fields: { upstream } });
    this.upstream = upstream;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.isSourcesFault = options.isSourcesFault ?? false;
    this.isPartial = options.isPartial ?? false;
  }

  /** 404 and 410 are knowledge; everything else is a failure (design rule 1). */
  get isAbsence(): boolean {
    return this.code === 'absent' || this.code === 'gone';
  }
}

/** One GOPROXY server we fetch from. */
export interface Upstream {
  /** Short, unique, shown in texts, logs and metrics; never with credentials. */
  readonly name: string;
  /** Declared private: private module paths may be asked of it (ruling 3). */
  readonly isPrivate: boolean;
  /**
   * True where Go's own `,` rule is kept (ruling 2): an error stops the walk, and what it has is not asked further on.
   */
  readonly stopsOnError: boolean;
  /** Where this upstream differs from the general first-byte timeouts: after it the next source is started too. */
  readonly firstByteMs?: { readonly [Class in AnswerClass]?: number | undefined } | undefined;
  /** Set once it has answered as a modferry, and until it answers as something else. */
  readonly parent?: ParentFacts | undefined;
  /** Requests that wait for a place now, where it has a queue. */
  readonly queued?: number;
  /** Resolves at the status line of a 200; rejects with UpstreamError for everything else. */
  fetch(request: UpstreamRequest): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}

/** What one source said within one request: a line of the error body. */
export interface SourceOutcome {
  readonly source: string;
  readonly code: UpstreamErrorCode | 'ok';
  readonly message: string;
  readonly tookMs: number;
  readonly status?: number;
  /** An absence said by one that is out: it may not know (ruling 1), so it does not make a 404. */
  readonly isDoubtful?: boolean;
  /** An absence that a parent modferry's sources have not all agreed on. */
  readonly isPartial?: boolean;
  /** Not asked in this request, but it is well enough to know: an absence is not agreed without it. */
  readonly mayKnow?: boolean;
  /** It keeps Go's `,` rule: without its own 404 there is none (ruling 2). */
  readonly isStrict?: boolean;
  /** Not asked, because the askers had too little time left: tells nothing to those who ask later. */
  readonly isTooLate?: boolean;
}
