/** The border of `publish/`: versions that are uploaded here, and taken back by name only (tombstones). */
import type { ModulePath, Version } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';

/**
 * `exists`: another content of this version is published (409). `tombstone`: it was unpublished, and its name stays
 * taken (409). `invalid`: zip, go.mod or version break a rule (400). `too_large` (413). `absent`: nothing to unpublish
 * (404). `slow`: the client sent too little for too long (408). `disk_full` (503). `busy`: no place among the uploads
 * for a while (503).
 */
export type PublishErrorCode =
  | 'exists'
  | 'tombstone'
  | 'invalid'
  | 'too_large'
  | 'absent'
  | 'slow'
  | 'disk_full'
  | 'busy';

/** Message: sentences that tell the publisher what to do. */
export class PublishError extends ModferryError<PublishErrorCode> {}

export interface Published {
  readonly path: ModulePath;
  readonly version: Version;
  /** `present`: the very same content was published before (200 instead of 201). */
  readonly outcome: 'published' | 'present';
  readonly h1: string;
  readonly goModH1: string;
  readonly sizeBytes: number;
}

export interface Tombstone {
  readonly path: ModulePath;
  readonly version: Version;
  readonly reason: string;
  readonly who: string;
  readonly atMs: number;
}

export interface Registry {
  /** Takes a module zip from the client, checks all of it, publishes .zip, .mod and .info. Rejects with PublishError. */
  publish(upload: {
    readonly path: ModulePath;
    readonly version: Version;
    /** Ends only when the client sent all; throws when it went away. */
    readonly body: AsyncIterable<Buffer>;
    readonly declaredBytes: number | undefined;
    readonly who: string;
    readonly signal: AbortSignal;
  }): Promise<Published>;
  /** Removes the version and leaves a tombstone with the reason. Rejects with PublishError `absent`. */
  unpublish(path: ModulePath, version: Version, reason: string, who: string): Promise<Tombstone>;
  /** Memory only. */
  tombstoneOf(path: ModulePath, version: Version): Tombstone | undefined;
  tombstones(path: ModulePath): readonly Tombstone[];
}
