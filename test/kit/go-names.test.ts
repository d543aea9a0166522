import { assert, property, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, escapeName, isPseudoVersion, latestOf, unescapeName } from './go-names.ts';

describe('escapeName', () => {
  it('writes upper case as ! and lower case', () => {
    expect(escapeName('github.com/Azure/SDK')).toBe('github.com/!azure/!s!d!k');
  });

  it('is undone by unescapeName', () => {
    assert(
      property(stringMatching(/^[A-Za-z0-9./_~-]*$/), (name) => {
        expect(unescapeName(escapeName(name))).toBe(name);
      }),
    );
  });
});

describe('compareVersions', () => {
  it('orders as semver.org rule 11 does, pre-releases before their release', () => {
    const inOrder = [
      'v1.0.0-alpha',
      'v1.0.0-alpha.1',
      'v1.0.0-alpha.beta',
      'v1.0.0-beta.2',
      'v1.0.0-beta.11',
    ];
    inOrder.push('v1.0.0-rc.1', 'v1.0.0', 'v1.2.0', 'v1.10.0', 'v2.0.0+incompatible');
    expect(inOrder.toReversed().sort(compareVersions)).toEqual(inOrder);
  });
});

describe('isPseudoVersion', () => {
  it.each(['v0.0.0-20240102030405-abcdefabcdef', 'v1.2.4-0.20240102030405-abcdefabcdef'])(
    'knows %s',
    (version) => {
      expect(isPseudoVersion(version)).toBe(true);
    },
  );

  it.each(['v1.2.3', 'v1.2.3-pre', 'v1.2.3-rc.1'])('does not take %s for one', (version) => {
    expect(isPseudoVersion(version)).toBe(false);
  });
});

describe('latestOf', () => {
  it('prefers releases, then pre-releases, then pseudo-versions', () => {
    const pseudo = 'v2.0.1-0.20240102030405-abcdefabcdef';
    expect(latestOf(['v1.0.0', 'v2.0.0-rc.1', pseudo])).toBe('v1.0.0');
    expect(latestOf(['v2.0.0-rc.1', pseudo])).toBe('v2.0.0-rc.1');
    expect(latestOf([pseudo])).toBe(pseudo);
    expect(latestOf([])).toBeUndefined();
  });
});
