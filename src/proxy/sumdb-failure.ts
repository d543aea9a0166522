/** What a client is told when the client of a checksum database could not answer. */
import type { ModulePath } from '../gomod/types.ts';
import { failureOf } from '../ingest/source-failure.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { SumdbError } from '../sumdb/types.ts';
import { notStored } from './without-sources.ts';

export interface AskedOf {
  /** The database's name. */
  readonly name: string;
  /** What followed `/sumdb/`. */
  readonly rest: string;
  readonly isOffline: boolean;
}

/** The table from a SumdbError to the failure that `http/` has a status for. Both carry what each source said. */
export function sumdbFailure(error: SumdbError, { name, rest, isOffline }: AskedOf): SourcesFailure {
  const { code, message, outcomes } = error;
  switch (code) {
    case 'absent':
      return absent(error, rest);
    case 'unreachable': {
      const told = verdictOf(error, rest);
      // Absences alone, of a tile say, tell nothing about what was asked: no 404 may come of them.
      const kind = told.isAbsence ? 'failed' : told.code;
      return new SourcesFailure(kind, message, outcomes, { cause: error });
    }
    case 'refused':
      return new SourcesFailure('failed', message, outcomes, { cause: error });
    case 'forked':
      return new SourcesFailure(
        'unavailable',
        `${name} has shown two tree heads that contradict each other: no new record is trusted until an operator has looked at it (modferry sumdb show ${name})`,
        outcomes,
        { cause: error },
      );
    case 'offline':
      return notStored(`/sumdb/${rest}`, isOffline);
    default:
      return code satisfies never;
  }
}

/** An absence is told as such only when every way agreed: it sends the client elsewhere for good. */
function absent(error: SumdbError, rest: string): SourcesFailure {
  const { message, outcomes } = error;
  // Known without asking, such as a tile that no tree can have.
  if (outcomes.length === 0) return new SourcesFailure('absent', message, [], { cause: error });
  const told = verdictOf(error, rest);
  const text = told.isAbsence ? message : told.message;
  return new SourcesFailure(told.code, text, outcomes, { partial: told.partial, cause: error });
}

function verdictOf({ outcomes }: SumdbError, rest: string): SourcesFailure {
  return failureOf(outcomes, {
    path: rest as ModulePath,
    // A 404 must not hide that another way failed.
    knownToExist: true,
    isPrivate: false,
    hint: undefined,
    what: `/sumdb/${rest}`,
  });
}
