import { describe, expect, it } from 'vitest';
import type { SourceOutcome } from './types.ts';
import { verdict } from './verdict.ts';

/** A code, or `absent?` and `gone?` for an absence said by one that is out. */
type Said = SourceOutcome['code'] | 'absent?' | 'gone?';

function outcomesOf(said: readonly Said[]): SourceOutcome[] {
  return said.map((one) => {
    const plain = { source: 's', message: '', tookMs: 1 };
    if (one === 'absent?') return { ...plain, code: 'absent', isDoubtful: true };
    if (one === 'gone?') return { ...plain, code: 'gone', isDoubtful: true };
    return { ...plain, code: one };
  });
}

const open = { knownToExist: false, isPrivate: false };
const known = { knownToExist: true, isPrivate: false };
const hidden = { knownToExist: false, isPrivate: true };
const knownHidden = { knownToExist: true, isPrivate: true };

describe('verdict', () => {
  it.each([
    // Nobody was asked.
    { said: [], facts: open, kind: 'unavailable', partial: false },
    { said: ['skipped'], facts: open, kind: 'unavailable', partial: false },
    { said: ['skipped'], facts: known, kind: 'unavailable', partial: false },
    { said: ['skipped'], facts: hidden, kind: 'unavailable', partial: false },
    { said: ['busy', 'busy'], facts: open, kind: 'unavailable', partial: false },
    { said: ['busy', 'skipped'], facts: open, kind: 'unavailable', partial: false },
    { said: ['busy', 'skipped'], facts: hidden, kind: 'unavailable', partial: false },
    // A path never seen to exist: one who knows is enough.
    { said: ['absent'], facts: open, kind: 'absent', partial: false },
    { said: ['absent', 'gone'], facts: open, kind: 'absent', partial: false },
    { said: ['gone', 'gone'], facts: open, kind: 'gone', partial: false },
    { said: ['absent', 'connect'], facts: open, kind: 'absent', partial: true },
    { said: ['timeout', 'gone'], facts: open, kind: 'gone', partial: true },
    { said: ['absent', 'busy'], facts: open, kind: 'absent', partial: true },
    { said: ['absent', 'skipped'], facts: open, kind: 'absent', partial: true },
    { said: ['gone', 'skipped'], facts: open, kind: 'gone', partial: true },
    { said: ['absent', 'beaten'], facts: open, kind: 'absent', partial: true },
    { said: ['absent', 'absent?'], facts: open, kind: 'absent', partial: true },
    { said: ['gone', 'absent?'], facts: open, kind: 'gone', partial: true },
    { said: ['absent', 'skipped', 'reset'], facts: open, kind: 'absent', partial: true },
    // A path known to exist: one that failed might have had it; one that is out does not count.
    { said: ['absent', 'absent'], facts: known, kind: 'absent', partial: false },
    { said: ['absent', 'connect'], facts: known, kind: 'failed', partial: false },
    { said: ['absent', 'timeout'], facts: known, kind: 'failed', partial: false },
    { said: ['absent', 'busy'], facts: known, kind: 'failed', partial: false },
    { said: ['absent', 'skipped'], facts: known, kind: 'absent', partial: true },
    { said: ['absent', 'beaten'], facts: known, kind: 'absent', partial: true },
    { said: ['absent', 'absent?'], facts: known, kind: 'failed', partial: false },
    { said: ['absent', 'skipped', 'reset'], facts: known, kind: 'failed', partial: false },
    // A private route: every source of it, those that were not asked included.
    { said: ['absent', 'absent'], facts: hidden, kind: 'absent', partial: false },
    { said: ['gone', 'gone'], facts: hidden, kind: 'gone', partial: false },
    { said: ['absent', 'dns'], facts: hidden, kind: 'failed', partial: false },
    { said: ['absent', 'skipped'], facts: hidden, kind: 'failed', partial: false },
    { said: ['absent', 'beaten'], facts: hidden, kind: 'failed', partial: false },
    { said: ['absent', 'absent?'], facts: hidden, kind: 'failed', partial: false },
    { said: ['absent', 'absent'], facts: knownHidden, kind: 'absent', partial: false },
    { said: ['absent', 'skipped'], facts: knownHidden, kind: 'failed', partial: false },
    // With no healthy upstream at all it is never 404.
    { said: ['absent?'], facts: open, kind: 'failed', partial: false },
    { said: ['gone?', 'absent?'], facts: open, kind: 'failed', partial: false },
    { said: ['absent?', 'skipped'], facts: open, kind: 'failed', partial: false },
    { said: ['absent?', 'timeout'], facts: open, kind: 'failed', partial: false },
    { said: ['absent?'], facts: hidden, kind: 'failed', partial: false },
    // Failures only: out of time when all that was really asked was.
    { said: ['connect', 'dns'], facts: open, kind: 'failed', partial: false },
    { said: ['timeout', 'timeout'], facts: open, kind: 'timeout', partial: false },
    { said: ['timeout', 'skipped'], facts: open, kind: 'timeout', partial: false },
    { said: ['timeout', 'skipped'], facts: hidden, kind: 'timeout', partial: false },
    { said: ['timeout', 'busy'], facts: open, kind: 'timeout', partial: false },
    { said: ['timeout', 'beaten'], facts: open, kind: 'timeout', partial: false },
    { said: ['timeout', 'status'], facts: open, kind: 'failed', partial: false },
    { said: ['status', 'skipped'], facts: open, kind: 'failed', partial: false },
    { said: ['busy', 'status'], facts: open, kind: 'failed', partial: false },
    { said: ['refused'], facts: open, kind: 'failed', partial: false },
    { said: ['loop'], facts: open, kind: 'failed', partial: false },
  ] as const)('of $said with $facts is $kind, partial $partial', ({ said, facts, kind, partial }) => {
    expect(verdict(outcomesOf(said), facts)).toEqual({ kind, partial });
  });
});

describe('verdict, who must have spoken', () => {
  const open = { knownToExist: false, isPrivate: false };
  const known = { knownToExist: true, isPrivate: false };
  const absent: SourceOutcome = { source: 'a', code: 'absent', message: '', tookMs: 1 };
  const resting: SourceOutcome = { source: 'b', code: 'skipped', message: '', tookMs: 0, mayKnow: true };
  const out: SourceOutcome = { source: 'b', code: 'skipped', message: '', tookMs: 0 };

  it('does not take a pause for ignorance: a known version is not absent without it', () => {
    expect(verdict([absent, resting], known)).toEqual({ kind: 'failed', partial: false });
    expect(verdict([absent, out], known)).toEqual({ kind: 'absent', partial: true });
    expect(verdict([absent, resting], open)).toEqual({ kind: 'absent', partial: true });
    expect(verdict([resting], known)).toEqual({ kind: 'unavailable', partial: false });
  });

  it.each<SourceOutcome>([
    { source: 's', code: 'status', message: '', tookMs: 1, status: 500, isStrict: true },
    { source: 's', code: 'timeout', message: '', tookMs: 1, isStrict: true },
    { source: 's', code: 'skipped', message: '', tookMs: 0, isStrict: true },
    { source: 's', code: 'absent', message: '', tookMs: 1, isStrict: true, isDoubtful: true },
  ])("is never absent without the 404 of one that keeps Go's `,` rule: %j", (strict) => {
    for (const facts of [open, known]) expect(verdict([absent, strict], facts).kind).not.toBe('absent');
    expect(verdict([absent, { ...absent, source: 's', isStrict: true }], open).kind).toBe('absent');
  });

  it('is as partial as what a parent told', () => {
    expect(verdict([{ ...absent, isPartial: true }], open)).toEqual({ kind: 'absent', partial: true });
  });
});
