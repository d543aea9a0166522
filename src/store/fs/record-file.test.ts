import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArtifactRecord, Proof, Trust, Unproven } from '../store.ts';
import { parseRecord, renderRecord } from './record-file.ts';

const count = fc.maxSafeNat();
const proof: fc.Arbitrary<Proof> = fc.oneof(
  fc
    .record({ database: fc.string({ unit: 'binary' }), recordId: fc.nat(), above: fc.nat(), atMs: count })
    .map(({ above, ...rest }) => ({
      by: 'sumdb' as const,
      ...rest,
      treeSize: rest.recordId + above + 1,
    })),
  fc.record({ by: fc.constant('go.sum' as const), label: fc.string({ unit: 'binary' }), atMs: count }),
  fc.record({ by: fc.constant('operator' as const), reason: fc.string({ unit: 'binary' }), atMs: count }),
);
const unproven = fc.constantFrom<Unproven>('off', 'unreachable', 'none');
const trust: fc.Arbitrary<Trust> = fc.oneof(
  fc.constant({}),
  proof.map((known) => ({ proof: known })),
  unproven.map((known) => ({ unproven: known })),
);
const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
const facts = fc.record({
  sizeBytes: count,
  sha256: hex,
  source: fc.string(),
  storedAtMs: count,
  modifiedAtMs: count,
});
const record: fc.Arbitrary<ArtifactRecord> = fc
  .tuple(facts, trust)
  .map(([known, trusted]) => ({ ...known, ...trusted }));

const plain = { sizeBytes: 1, sha256: 'a'.repeat(64), source: 's', storedAtMs: 2, modifiedAtMs: 3 };
const proven = { by: 'sumdb', database: 'sum.test', recordId: 7, treeSize: 8, atMs: 9 };

describe('the text of a record', () => {
  it('gives back every record with its trust', () => {
    fc.assert(
      fc.property(record, (each) => {
        expect(parseRecord(renderRecord(each))).toEqual(each);
      }),
    );
  });

  it('that is cut anywhere is no record', () => {
    fc.assert(
      fc.property(record, fc.nat(), (each, at) => {
        const text = renderRecord(each).trimEnd();
        expect(parseRecord(text.slice(0, at % text.length))).toBeUndefined();
      }),
    );
  });

  it('never gives a trust of another shape, nor both kinds, whatever JSON stands there', () => {
    fc.assert(
      fc.property(facts, fc.jsonValue(), fc.jsonValue(), (known, one, other) => {
        const parsed = parseRecord(JSON.stringify({ ...known, proof: one, unproven: other }));
        // The record itself is good: only what is claimed of its truth falls away.
        expect(parsed).toMatchObject(known);
        expect(parsed?.proof).toBeUndefined();
        expect(parsed?.unproven).toBeUndefined();
      }),
    );
  });

  it('as older versions wrote it is whole, with nothing known of its truth', () => {
    expect(parseRecord(JSON.stringify(plain))).toEqual(plain);
  });

  it.each<[string, unknown]>([
    ['a record outside its tree', { ...proven, recordId: 8 }],
    ['a negative record', { ...proven, recordId: -1 }],
    ['a tree beyond 2^53', { ...proven, treeSize: 2 ** 60 }],
    ['a fraction', { ...proven, recordId: 0.5 }],
    ['no database', { ...proven, database: undefined }],
    ['no time', { ...proven, atMs: undefined }],
    ['an unknown kind', { ...proven, by: 'magic' }],
    ['an operator without a reason', { by: 'operator', atMs: 1 }],
    ['a go.sum without a label', { by: 'go.sum', label: 1, atMs: 1 }],
    ['a list', [proven]],
  ])('has no proof by %s', (_, bad) => {
    expect(parseRecord(JSON.stringify({ ...plain, proof: bad }))).toEqual(plain);
  });

  it('with both a proof and a reason for none proves nothing', () => {
    expect(parseRecord(JSON.stringify({ ...plain, proof: proven, unproven: 'off' }))).toEqual(plain);
  });
});
