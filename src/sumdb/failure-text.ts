/** What it means that no source gave a good answer, as one sentence that says what to do. */
import { messageOf } from '../lib/errors.ts';
import type { SourceOutcome } from '../upstream/types.ts';
import { verdict } from '../upstream/verdict.ts';
import { type ForkEvidence, SumdbError, type SumdbErrorCode } from './types.ts';

/** Sources that are named in a sentence. */
const maxNamed = 4;

/** `unproven`: why an answer that came could not be verified, if one came. */
export function askFailure(
  database: string,
  operation: string,
  outcomes: readonly SourceOutcome[],
  unproven: SumdbError | undefined,
): SumdbError {
  const code = codeOf(outcomes, unproven);
  const who = causes(outcomes);
  const what = sentence(code, database, operation);
  // Clients see the beginning only: of an absence the advice is what helps, of a failure the causes are.
  const text = code === 'absent' ? `${what}; ${advice[code]} (${who})` : `${what} (${who}); ${advice[code]}`;
  // Too little time for its proof is too little time for the answer.
  const tooLate = unproven?.outcomes.filter(({ isTooLate }) => isTooLate === true) ?? [];
  return new SumdbError(code, text, [...outcomes, ...tooLate], { cause: unproven });
}

function codeOf(outcomes: readonly SourceOutcome[], unproven: SumdbError | undefined): SumdbErrorCode {
  // One that lies or is broken must not turn into an absence because the others have nothing.
  if (outcomes.some(({ code }) => code === 'refused') || unproven?.code === 'refused') return 'refused';
  const { kind } = verdict(outcomes, { knownToExist: true, isPrivate: false });
  return kind === 'absent' || kind === 'gone' ? 'absent' : 'unreachable';
}

function sentence(code: SumdbErrorCode, database: string, operation: string): string {
  const what = operation.startsWith('lookup/')
    ? `a record for ${operation.slice('lookup/'.length)}`
    : operation;
  switch (code) {
    case 'absent':
      return `the checksum database ${database} does not have ${what}`;
    case 'refused':
      return `what came from the checksum database ${database} as ${what} failed its verification`;
    default:
      return `the checksum database ${database} could not be asked for ${what}`;
  }
}

const advice = {
  absent: 'check the name, and if it is private, name it in `private:` or GONOSUMDB',
  refused: 'look at the sources that are named, or add another upstream',
  unreachable: 'try again in some seconds; where nobody can be reached for good: checksums.mode',
  forked: 'look at the evidence before anything is reset',
  offline: 'leave offline mode to fetch it',
} as const satisfies Record<SumdbErrorCode, string>;

function causes(outcomes: readonly SourceOutcome[]): string {
  if (outcomes.length === 0) return 'no upstream offers it, and no address of its own is set';
  const named = outcomes
    .slice(0, maxNamed)
    .map(({ source, message }) => `${source}: ${messageOf(message, 160)}`);
  const more = outcomes.length - named.length;
  return `${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** It was not asked for, and is not kept. */
export function offlineError(database: string, what: string): SumdbError {
  return new SumdbError(
    'offline',
    `${what} of the checksum database ${database} is not kept here, and nobody is asked now; ${advice.offline}`,
  );
}

/** The known head was lost, and this one is of another history as far as what is kept can tell. */
export function unlikeKeptError(database: string): SumdbError {
  return new SumdbError(
    'unreachable',
    `its head lacks records kept here, and the known one was lost; if it is right: modferry sumdb reset ${database}`,
  );
}

/** No new record is trusted. */
export function forkedError(database: string, { source, known, other }: ForkEvidence): SumdbError {
  const sizes = `${sizeIn(known)} and ${sizeIn(other)} records, the second from ${source}`;
  return new SumdbError(
    'forked',
    `the checksum database ${database} has signed two heads that contradict each other (${sizes}), so no new record is trusted; look at the evidence with modferry sumdb show ${database}`,
  );
}

/** Second line of a tree head. */
function sizeIn(note: string): string {
  return messageOf(note.split('\n')[1] ?? '', 20) || 'an unknown number of';
}
