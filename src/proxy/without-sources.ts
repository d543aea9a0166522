/** What the use cases must know of the sources as a whole, and what is said when nobody may be asked. */
import type { ModulePath } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';

/** Read at each use: health and operators change it between two requests. */
export interface SourcesState {
  /** True in offline mode: nobody is asked for anything, and no refresh is started. */
  isOffline(): boolean;
  /**
   * False: every source of this module is out, resting or has an open breaker now. Whoever has something kept is then
   * answered at once instead of waiting for a timeout.
   */
  mayAnswer(path: ModulePath): boolean;
  /** How long an asker waits for a refresh of something that is kept but older than the stale window. 2 s is right. */
  patienceMs(): number;
}

/** 404, uncached (ruling 1's named exception), for what is not stored when only stored things may be served. */
export function notStored(what: string, isOffline: boolean): SourcesFailure {
  return isOffline
    ? offlineFailure(what)
    : new SourcesFailure('not_fetched', `${what}: not stored, and fetching was not allowed`);
}

export function offlineFailure(what: string): SourcesFailure {
  return new SourcesFailure(
    'not_fetched',
    `${what}: not stored, and modferry is in offline mode (modferry mode normal ends it)`,
  );
}
