/** What the client is told when no source of a walk gave a usable answer. */
import type { ModulePath } from '../gomod/types.ts';
import type { SourceOutcome } from '../upstream/types.ts';
import { verdict } from '../upstream/verdict.ts';
import { SourcesFailure } from './types.ts';

/** The failure that the outcomes of one walk amount to (ruling 1). */
export function failureOf(
  outcomes: readonly SourceOutcome[],
  facts: {
    path: ModulePath;
    knownToExist: boolean;
    isPrivate: boolean;
    hint: string | undefined;
    what: string;
  },
): SourcesFailure {
  const isLoop = outcomes.some((outcome) => outcome.code === 'loop');
  // Our own question come back tells nothing where others have spoken: two modferries may list each other.
  const told = outcomes.filter((outcome) => outcome.code !== 'loop');
  const hasAbsence = told.some((outcome) => outcome.code === 'absent' || outcome.code === 'gone');
  const { kind, partial } = verdict(hasAbsence && !facts.isPrivate ? told : outcomes, {
    knownToExist: facts.knownToExist,
    isPrivate: facts.isPrivate,
  });
  if (isLoop && kind !== 'absent' && kind !== 'gone') {
    return new SourcesFailure('loop', 'an upstream leads back to this server', outcomes);
  }
  const text =
    kind === 'absent' || kind === 'gone'
      ? `${facts.what}: not found${facts.hint === undefined ? '' : ` (${facts.hint})`}`
      : `${facts.what}: no source could answer`;
  return new SourcesFailure(kind, text, outcomes, { partial });
}
