import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pseudoTimestamp, pseudoVersion, pseudoVersionBase } from './pseudo-version.ts';
import { compareSemver } from './semver.ts';
import { isPseudoVersion, pseudoVersionRev, pseudoVersionTimeMs } from './version.ts';

const timeS = 1_700_000_000;
const hash = 'abcdef0123456789abcdef0123456789abcdef01';
const suffix = '20231114221320-abcdef012345';

describe('pseudoVersion', () => {
  it.each([
    ['', undefined, `v0.0.0-${suffix}`],
    ['v2', undefined, `v2.0.0-${suffix}`],
    ['', 'v1.2.3', `v1.2.4-0.${suffix}`],
    ['v2', 'v2.9.99', `v2.9.100-0.${suffix}`],
    ['', 'v1.2.3-rc.1', `v1.2.3-rc.1.0.${suffix}`],
    ['', 'v0.0.99999999999999999999', `v0.0.100000000000000000000-0.${suffix}`],
  ])('major %j after %s is %s', (major, base, expected) => {
    expect(pseudoVersion(major, base, timeS, hash)).toBe(expected);
  });

  it('tells the time in UTC, to the second', () => {
    expect(pseudoTimestamp(0)).toBe('19700101000000');
    expect(pseudoTimestamp(1_709_210_096)).toBe('20240229123456');
  });

  it('comes right after its base, and gives it back', () => {
    const number = fc.nat({ max: 300 });
    const prerelease = fc.constantFrom('', '-rc', '-rc.1', '-0', '-alpha.0', '-x-y');
    const base = fc.tuple(number, number, number, prerelease).map(([a, b, c, d]) => `v${a}.${b}.${c}${d}`);
    fc.assert(
      fc.property(base, fc.integer({ min: 0, max: 4_000_000_000 }), (older, seconds) => {
        const version = pseudoVersion('', older, seconds, hash);
        expect(isPseudoVersion(version)).toBe(true);
        expect(compareSemver(version, older)).toBe(1);
        expect(pseudoVersionBase(version)).toEqual({ kind: 'version', version: older });
        expect(pseudoVersionTimeMs(version)).toBe(seconds * 1000);
        expect(pseudoVersionRev(version)).toBe(hash.slice(0, 12));
      }),
    );
  });
});

describe('pseudoVersionBase', () => {
  it.each([
    [`v0.0.0-${suffix}`, undefined],
    [`v2.0.0-${suffix}`, undefined],
    [`v1.2.4-0.${suffix}`, 'v1.2.3'],
    [`v2.0.1-0.${suffix}+incompatible`, 'v2.0.0+incompatible'],
    [`v1.2.3-rc.1.0.${suffix}`, 'v1.2.3-rc.1'],
    [`v1.0.0-pre.0.${suffix}`, 'v1.0.0-pre'],
  ])('of %s is %s', (version, base) => {
    const expected = base === undefined ? { kind: 'none' } : { kind: 'version', version: base };
    expect(pseudoVersionBase(version)).toEqual(expected);
  });

  it.each([`v1.0.0-0.${suffix}`, `v2.0.0-${suffix}+incompatible`, 'v1.2.3'])(
    '%s cannot have one',
    (version) => {
      expect(pseudoVersionBase(version).kind).toBe('fault');
    },
  );
});
