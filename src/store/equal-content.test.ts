import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isEqualContent } from './equal-content.ts';

function info(fields: Record<string, unknown>): { sha256: string; text: string } {
  const text = JSON.stringify(fields);
  return { sha256: text, text };
}

describe('equal content', () => {
  it('is symmetric and holds for one and the same bytes', () => {
    const side = fc.record({
      sha256: fc.constantFrom('a', 'b'),
      h1: fc.constantFrom(undefined, 'h1:x', 'h1:y'),
      text: fc.oneof(
        fc.json(),
        fc.constantFrom('{"Version":"v1"}', '{"Version":"v1","Time":"2024-01-01T00:00:00Z"}'),
      ),
    });
    fc.assert(
      fc.property(fc.constantFrom('info', 'mod', 'zip'), side, side, (ext, one, other) => {
        expect(isEqualContent(ext, one, other)).toBe(isEqualContent(ext, other, one));
        expect(isEqualContent(ext, one, { ...other, sha256: one.sha256 })).toBe(true);
      }),
    );
  });

  it('never takes two unknown hashes for equal', () => {
    expect(isEqualContent('zip', { sha256: 'a' }, { sha256: 'b' })).toBe(false);
  });

  it('knows one time in two spellings, to the nanosecond', () => {
    const time = info({ Version: 'v1.0.0', Time: '2024-05-06T07:08:09.123456789Z' });
    const spelt = info({ Version: 'v1.0.0', Time: '2024-05-06T09:08:09.123456789+02:00' });
    const other = info({ Version: 'v1.0.0', Time: '2024-05-06T07:08:09.123456788Z' });
    expect(isEqualContent('info', time, spelt)).toBe(true);
    expect(isEqualContent('info', time, other)).toBe(false);
    expect(isEqualContent('info', time, info({ Version: 'v1.0.0' }))).toBe(false);
  });
});
