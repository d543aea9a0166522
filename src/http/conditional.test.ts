import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNotModified, resolveRange } from './conditional.ts';

const validators = { etag: '"abc"', lastModifiedMs: Date.parse('2026-11-01T10:00:00Z') + 345 };

describe('isNotModified', () => {
  it.each([
    ['"abc"', true],
    ['W/"abc"', true],
    ['"x", "abc"', true],
    ['*', true],
    ['"x"', false],
    ['abc', false],
  ])('If-None-Match %s gives %s', (ifNoneMatch, expected) => {
    expect(isNotModified({ ifNoneMatch }, validators)).toBe(expected);
  });

  it('compares If-Modified-Since by whole seconds', () => {
    expect(isNotModified({ ifModifiedSince: 'Sun, 01 Nov 2026 10:00:00 GMT' }, validators)).toBe(true);
    expect(isNotModified({ ifModifiedSince: 'Sun, 01 Nov 2026 09:59:59 GMT' }, validators)).toBe(false);
    expect(isNotModified({ ifModifiedSince: 'yesterday' }, validators)).toBe(false);
  });

  it('lets If-None-Match outrank If-Modified-Since', () => {
    const headers = { ifNoneMatch: '"x"', ifModifiedSince: 'Sun, 01 Nov 2026 10:00:00 GMT' };

    expect(isNotModified(headers, validators)).toBe(false);
  });
});

describe('resolveRange', () => {
  it.each([
    ['bytes=0-0', { kind: 'part', start: 0, endExclusive: 1 }],
    ['bytes=5-', { kind: 'part', start: 5, endExclusive: 10 }],
    ['bytes=-3', { kind: 'part', start: 7, endExclusive: 10 }],
    ['bytes=-300', { kind: 'part', start: 0, endExclusive: 10 }],
    ['bytes=0-999', { kind: 'part', start: 0, endExclusive: 10 }],
    ['bytes=10-', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    ['bytes=3-2', { kind: 'whole' }],
    ['bytes=0-1,4-5', { kind: 'whole' }],
    ['items=0-1', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=a-b', { kind: 'whole' }],
    ['bytes=99999999999999999999-', { kind: 'whole' }],
  ])('%s of 10 bytes', (range, expected) => {
    expect(resolveRange(range, undefined, 10, validators)).toEqual(expected);
  });

  it('honours If-Range only when it matches strongly', () => {
    expect(resolveRange('bytes=0-1', '"abc"', 10, validators).kind).toBe('part');
    expect(resolveRange('bytes=0-1', 'W/"abc"', 10, validators).kind).toBe('whole');
    expect(resolveRange('bytes=0-1', '"old"', 10, validators).kind).toBe('whole');
    expect(resolveRange('bytes=0-1', 'Sun, 01 Nov 2026 10:00:00 GMT', 10, validators).kind).toBe('part');
  });

  it('never leaves the file, whatever is asked', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(2_000), fc.nat(2_000), (size, first, last) => {
        const result = resolveRange(`bytes=${first}-${last}`, undefined, size, validators);
        if (result.kind !== 'part') return;
        expect(result.start).toBe(first);
        expect(result.endExclusive).toBeLessThanOrEqual(size);
        expect(result.endExclusive).toBeGreaterThan(result.start);
      }),
    );
  });
});
