/**
 * What is told of each answered request, for metrics. Ready answers under their own URL are the hot path: they are
 * only counted, two additions each, and whoever wants to know reads the counters.
 */

export const requestArtifacts = [
  'info',
  'mod',
  'zip',
  'list',
  'latest',
  'query',
  'sumdb',
  'page',
  'other',
] as const;

/** `page`: home, `/readyz` and the like. `other`: what is no path of the GOPROXY protocol. */
export type RequestArtifact = (typeof requestArtifacts)[number];

export interface RequestEvents {
  /** One answer that was not ready under its URL, at its end. */
  request: {
    artifact: RequestArtifact;
    /** As in the access log: `store`, `upstream:NAME`, `modferry`, `none`. */
    source: string;
    /** 499 for a client that left before an answer. */
    status: number;
    /** Of the body, as far as it was sent. */
    bytes: number;
    /** From the request to the end of its answer. */
    tookMs: number;
    firstByteMs: number;
    /** The client went away, or the transfer was broken on purpose. */
    aborted: boolean;
  };
}

/** Ready answers sent. They are whole 200 answers from the store. */
export interface HotCounter {
  requests: number;
  /** Of their bodies. */
  bytes: number;
}

export type HotCounters = { readonly [Artifact in RequestArtifact]: HotCounter };

/** All zero. */
export function newHotCounters(): HotCounters {
  const none = (): HotCounter => ({ requests: 0, bytes: 0 });
  return {
    info: none(),
    mod: none(),
    zip: none(),
    list: none(),
    latest: none(),
    query: none(),
    sumdb: none(),
    page: none(),
    other: none(),
  };
}
