/**
 * What the use cases are given and what they answer. A reply says where its bytes are and how long they may be
 * kept; `http/` turns it into status, headers and a body.
 */

import type { Follower } from '../ingest/follower.ts';
import type { OpenBody } from '../ingest/growing-body.ts';
import type { PassThrough } from '../ingest/pass-through.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { ArtifactFile, Trust } from '../store/store.ts';

/** All in milliseconds (ruling 7). */
export interface FreshnessOptions {
  readonly listMs: number;
  readonly queryMs: number;
  readonly privateMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly negativeMs: number;
  readonly negativeListMs: number;
  /** An absence agreed by some while another source failed. */
  readonly partialMs: number;
}

export interface LookAheadOptions {
  readonly enabled: boolean;
  readonly concurrency: number;
  /** How many levels of requirements below an asked .mod are fetched. */
  readonly depth: number;
  readonly maxZipBytes: number;
  /** Zips being fetched ahead at once, in bytes. */
  readonly bytesInFlight: number;
  /** Artifacts fetched ahead because of one client request. */
  readonly perRequest: number;
}

/** One client request as the use cases see it. */
export interface RequestContext {
  readonly id: string;
  /** Who asks, by address: what one client asks tells what it will ask next. */
  readonly client: string;
  readonly signal: AbortSignal;
  /** Until when the first byte is waited for; `signal` fires then. None once the reply is there. Default: none. */
  readonly deadlineAtMs?: Deadline | undefined;
  /** `Disable-Module-Fetch: true`: only what is stored. */
  readonly storedOnly: boolean;
  /** `Cache-Control: no-cache`. */
  readonly revalidate: boolean;
  /** The client cannot take a body that may still break, or needs it whole: HEAD, Range, HTTP/1.0. */
  readonly wholeOnly: boolean;
  /** A child modferry that verifies by itself (ruling 20): bytes need not be held until they are verified here. */
  readonly noHold: boolean;
  /** Modferries this request has passed through, oldest first; sent on so that a circle is noticed. */
  readonly via: readonly string[];
}

export type ContentType = 'text' | 'json' | 'zip' | 'octets';

export type CachePolicy =
  | { readonly kind: 'immutable' }
  | {
      readonly kind: 'brief';
      readonly freshUntilMs: number;
      readonly staleUntilMs: number;
      readonly maxAgeS: number;
      /** Set when served although sources failed: seconds since a source confirmed it. */
      readonly ageS?: number;
    }
  | { readonly kind: 'none' };

/** Where an artifact came from, and by what it is proven. */
export interface Provenance extends Trust {
  /** Upstream name, `import`, or `unknown`. */
  readonly origin: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

interface ReplyFacts {
  readonly contentType: ContentType;
  /** Of artifacts, once they are verified. */
  readonly provenance?: Provenance | undefined;
  readonly cache: CachePolicy;
  /** `store`, `upstream:NAME`, `modferry`. For the access log. */
  readonly source: string;
}

/** Ready bytes. `sha256` hex makes the strong ETag. */
export interface BytesReply extends ReplyFacts {
  readonly kind: 'bytes';
  readonly body: Buffer;
  readonly sha256: string;
  readonly lastModifiedMs: number | undefined;
  /** May be kept by URL and answered again without asking the use case. */
  readonly keep: boolean;
  /** Called once when a kept brief reply is served stale: starts the refresh behind it. */
  readonly refresh?: () => void;
}

/** A stored file to be read and closed by the caller. */
export interface FileReply extends ReplyFacts {
  readonly kind: 'file';
  readonly file: ArtifactFile;
}

/** A body that is still arriving. The caller leaves the follower. */
export interface GrowingReply extends ReplyFacts {
  readonly kind: 'growing';
  readonly follower: Follower;
  readonly opened: OpenBody;
}

/** A body for this client alone, read in order. The caller closes it. */
export interface PassingReply extends ReplyFacts {
  readonly kind: 'passing';
  readonly body: PassThrough;
}

export type Reply = BytesReply | FileReply | GrowingReply | PassingReply;
