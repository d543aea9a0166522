import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { InvalidRequestError } from './invalid-request.ts';
import { parseModulePath } from './module-path.ts';
import {
  canonicalVersion,
  compareVersions,
  escapeVersion,
  fitsPath,
  isCanonical,
  isIncompatible,
  isPrerelease,
  isPseudoVersion,
  parseCanonicalVersion,
  parseVersionQuery,
  pseudoVersionRev,
  pseudoVersionTimeMs,
  sortVersions,
  unescapeVersion,
} from './version.ts';

describe('versions', () => {
  it('are canonical exactly where module.CanonicalVersion gives them back', () => {
    const ours = vectors.versions.map(({ text }) => ({
      text,
      moduleCanonical: canonicalVersion(text) ?? '',
      isCanonical: isCanonical(text),
    }));
    const theirs = vectors.versions.map(({ text, moduleCanonical }) => ({
      text,
      moduleCanonical,
      isCanonical: text !== '' && text === moduleCanonical,
    }));
    expect(ours).toEqual(theirs);
  });

  it('are pseudo-versions, with revision and time, exactly where module says so', () => {
    const ours = vectors.versions.map(({ text }) => ({
      text,
      pseudo: isPseudoVersion(text),
      rev: pseudoVersionRev(text),
      timeMs: pseudoVersionTimeMs(text),
    }));
    expect(ours).toEqual(
      vectors.versions.map(({ text, pseudo, rev, timeMs }) => ({ text, pseudo, rev, timeMs })),
    );
    expect(ours.filter(({ pseudo }) => pseudo).length).toBeGreaterThan(50);
  });

  it('are escaped or refused as by module.EscapeVersion', () => {
    const ours = vectors.versions.map(({ text }) => ({
      text,
      escaped: attempt(() => escapeVersion(parseVersionQuery(text))),
    }));
    expect(ours).toEqual(vectors.versions.map(({ text, escaped }) => ({ text, escaped })));
  });

  it('are unescaped or refused as by module.UnescapeVersion', () => {
    const ours = vectors.escapedVers.map(({ escaped }) => ({
      escaped,
      text: attempt(() => unescapeVersion(escaped)),
    }));
    expect(ours).toEqual(vectors.escapedVers);
  });

  it('fit a path exactly where module.Check says so', () => {
    const checked = vectors.fits.filter(({ path }) => attempt(() => parseModulePath(path)) !== null);
    const ours = checked.map(({ path, version }) => ({
      path,
      version,
      ok: fitsPath(path, version),
      canonical: parseCanonicalVersion(path, version) !== undefined,
    }));
    expect(ours).toEqual(checked);
    expect(ours.filter(({ ok }) => ok).length).toBeGreaterThan(50);
  });

  it('can be canonical without fitting the path, as v2.0.0 without /v2', () => {
    expect(isCanonical('v2.0.0')).toBe(true);
    expect(fitsPath('x.y/z', 'v2.0.0')).toBe(false);
    expect(fitsPath('x.y/z', 'v2.0.0+incompatible')).toBe(true);
    expect(fitsPath('x.y/z/v2', 'v2.0.0')).toBe(true);
    expect(parseCanonicalVersion('x.y/z', 'v2.0.0')).toBeUndefined();
  });

  it('are sorted as by semver.Sort', () => {
    for (const { list, sorted } of vectors.sorted) expect(sortVersions(list)).toEqual(sorted);
    for (const { list, sorted } of vectors.sorted) expect([...list].sort(compareVersions)).toEqual(sorted);
  });

  it('come back unchanged after escaping', () => {
    fc.assert(
      fc.property(anyVersion, (version) => {
        const query = parseVersionQuery(version);
        expect(unescapeVersion(escapeVersion(query))).toBe(version);
        expect(escapeVersion(query)).not.toMatch(/[A-Z]/);
      }),
    );
  });

  it('have one total order', () => {
    fc.assert(
      fc.property(anyVersion, anyVersion, anyVersion, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)) || 0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
        }
        expect(compareVersions(a, b) === 0).toBe(a === b);
      }),
    );
  });

  it('tell pre-releases and +incompatible ones', () => {
    expect(['v1.0.0', 'v1.0.0-rc.1', 'v0.0.0-20200101120000-abcdef', 'main'].map(isPrerelease)).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(['v2.0.0', 'v2.0.0+incompatible', 'v2.0.0+x'].map(isIncompatible)).toEqual([false, true, false]);
  });

  it.each([
    ['a/b', 'invalid_version'],
    ['A', 'invalid_escape'],
    ['!', 'invalid_escape'],
    ['', 'invalid_version'],
    ['nul', 'invalid_version'],
    ['a\nb', 'invalid_version'],
    ['a'.repeat(2049), 'invalid_version'],
    ['a'.repeat(9000), 'invalid_version'],
  ])('answer %j with one printable line', (escaped, code) => {
    const error = errorOf(() => unescapeVersion(escaped));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^[ -~…]{1,300}$/);
  });

  it('take linear time on 50 kB of hostile text', () => {
    for (const text of ['.0', '0.20200101120000-', '!a', 'a.', '-0', '.0.20200101120000-a']) {
      const hostile = `v1.2.3-${text.repeat(50_000 / text.length)}`;
      const start = performance.now();
      isPseudoVersion(hostile);
      isPseudoVersion(`${hostile}a`);
      attempt(() => unescapeVersion(hostile));
      fitsPath('x.y/z', hostile);
      expect(performance.now() - start).toBeLessThan(250);
    }
  });
});

const identifier = fc.string({ unit: fc.constantFrom(...Array.from('09azAZ-')), minLength: 1, maxLength: 4 });
const number = fc.constantFrom('0', '1', '2', '10', '99999999999999999999');
const anyVersion = fc
  .tuple(number, number, number, fc.array(identifier, { maxLength: 3 }), fc.boolean())
  .map(
    ([x, y, z, pre, old]) =>
      `v${x}.${y}.${z}${pre.length > 0 ? `-${pre.join('.')}` : ''}${old ? '+incompatible' : ''}`,
  )
  .filter((version) => isCanonical(version));

function attempt(run: () => string): string | null {
  try {
    return run();
  } catch (error) {
    if (error instanceof InvalidRequestError) return null;
    throw error;
  }
}

function errorOf(run: () => unknown): InvalidRequestError {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidRequestError) return error;
  }
  throw new Error('expected an InvalidRequestError');
}
