import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { InvalidRequestError } from './invalid-request.ts';
import {
  escapePath,
  importPathFault,
  isModulePath,
  modulePathFault,
  parseModulePath,
  splitPathVersion,
  unescapePath,
} from './module-path.ts';

describe('module paths', () => {
  it('are accepted and refused exactly as by module.CheckPath', () => {
    const ours = vectors.paths.map(({ path }) => ({ path, ok: isModulePath(path) }));
    expect(ours).toEqual(vectors.paths.map(({ path, ok }) => ({ path, ok })));
    expect(ours.filter(({ ok }) => ok).length).toBeGreaterThan(100);
    expect(ours.filter(({ ok }) => !ok).length).toBeGreaterThan(300);
  });

  it('obey module.CheckImportPath as import paths', () => {
    const ours = vectors.paths.map(({ path }) => ({ path, ok: importPathFault(path) === undefined }));
    expect(ours).toEqual(vectors.paths.map((vector) => ({ path: vector.path, ok: vector.import })));
  });

  it('are split into prefix and major version as by module.SplitPathVersion', () => {
    const ours = vectors.paths.map(({ path }) => {
      const split = splitPathVersion(path);
      return { path, split: split === undefined ? null : [split.prefix, split.pathMajor] };
    });
    expect(ours).toEqual(vectors.paths.map(({ path, split }) => ({ path, split })));
  });

  it('are escaped as by module.EscapePath', () => {
    const valid = vectors.paths.filter(({ ok }) => ok);
    const ours = valid.map(({ path }) => escapePath(parseModulePath(path)));
    expect(ours).toEqual(valid.map(({ escaped }) => escaped));
  });

  it('are unescaped as by module.UnescapePath', () => {
    const ours = vectors.escapedPaths.map(({ escaped }) => ({
      escaped,
      path: attempt(() => unescapePath(escaped)),
    }));
    expect(ours).toEqual(vectors.escapedPaths);
  });

  it('come back unchanged after escaping, and no two share an escaped form even where case is folded', () => {
    const element = fc.string({
      unit: fc.constantFrom(...Array.from('abzABZ019-_.~')),
      minLength: 1,
      maxLength: 8,
    });
    const path = fc
      .array(element, { maxLength: 4 })
      .map((elements) => ['x.y', ...elements].join('/'))
      .filter(isModulePath);
    fc.assert(
      fc.property(path, path, (one, other) => {
        expect(unescapePath(escapePath(one))).toBe(one);
        expect(escapePath(one)).not.toMatch(/[A-Z]/);
        expect(escapePath(one) === escapePath(other)).toBe(one === other);
      }),
    );
  });

  it('fail with our own error only, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), (text) => {
        expect([null, text]).toContain(attempt(() => parseModulePath(text)));
        attempt(() => unescapePath(text));
      }),
    );
  });

  it.each([
    ['x.y/A', 'invalid_escape'],
    ['x.y/a!', 'invalid_escape'],
    ['x.y/!c!o!n', 'invalid_path'],
    ['localhost/x', 'invalid_path'],
  ])('answer %s with code %s and one printable line', (escaped, code) => {
    const error = errorOf(() => unescapePath(escaped));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^[ -~]+$/);
  });

  it('are refused above 2,048 characters', () => {
    const longest = `x.y/${'a'.repeat(2044)}`;
    expect(isModulePath(longest)).toBe(true);
    expect(modulePathFault(`${longest}a`)).toMatch(/longer than 2048/);
    expect(errorOf(() => unescapePath(`x.y/${'a'.repeat(5000)}`)).code).toBe('invalid_path');
  });

  it('refuse lone surrogates', () => {
    expect(modulePathFault('x.y/\ud800')).toBeDefined();
  });

  it('take linear time on 50 kB of hostile text', () => {
    for (const text of ['9', '.', '!a', '~1', 'v1.', '/', '-unstable']) {
      const hostile = text.repeat(50_000 / text.length);
      const start = performance.now();
      splitPathVersion(`x.y/v${hostile}x`);
      splitPathVersion(`gopkg.in/${hostile}`);
      attempt(() => unescapePath(hostile));
      attempt(() => parseModulePath(`x.y/${hostile}`));
      // Quadratic code needs seconds here; linear code less than one millisecond.
      expect(performance.now() - start).toBeLessThan(250);
    }
  });
});

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
