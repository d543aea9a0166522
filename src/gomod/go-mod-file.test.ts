import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { ContentError } from './content-error.ts';
import { parseGoModLax } from './go-mod-file.ts';

describe('a go.mod read by lax rules', () => {
  it('is faulty exactly where modfile.ParseLax refuses it', () => {
    const ours = vectors.goMods.map(({ text }) => ({ text, ok: parseGoModLax(text).fault === undefined }));
    expect(ours).toEqual(vectors.goMods.map(({ text, ok }) => ({ text, ok })));
  });

  it('says what modfile.ParseLax says', () => {
    const good = vectors.goMods.filter(({ ok }) => ok);
    const ours = good.map(({ text }) => {
      const file = parseGoModLax(text);
      return {
        text,
        module: file.module,
        go: file.go,
        requires: file.requires.map(({ path, version, indirect }) => [path, version, indirect]),
        retracts: file.retracts.map(({ low, high, rationale }) => [low, high, rationale]),
      };
    });
    expect(ours).toEqual(
      good.map(({ text, module, go, requires, retracts }) => ({ text, module, go, requires, retracts })),
    );
    expect(good.length).toBeGreaterThan(200);
  });

  it('declares a module wherever modfile.ModulePath finds one in a file that cannot be parsed', () => {
    const faulty = vectors.goMods.filter(({ ok, scan }) => !ok && scan !== '');
    const missed = faulty.filter(({ text }) => !parseGoModLax(text).declaresModule);
    expect(missed).toEqual([]);
    expect(faulty.length).toBeGreaterThan(50);
  });

  it('reads bytes and text alike', () => {
    const text = 'module x.y/z\r\n\r\ngo 1.21\r\ntoolchain go1.22.1\r\nrequire a.b/c v1.2.3 // indirect\r\n';
    const file = parseGoModLax(Buffer.from(text));
    expect(file).toEqual(parseGoModLax(text));
    expect(file).toEqual({
      declaresModule: true,
      module: 'x.y/z',
      go: '1.21',
      toolchain: 'go1.22.1',
      requires: [{ path: 'a.b/c', version: 'v1.2.3', indirect: true }],
      retracts: [],
      isBare: false,
      fault: undefined,
    });
  });

  it('keeps what stands in good lines when another line is faulty', () => {
    const file = parseGoModLax(
      'module x.y/z\nrequire a.b/c v1.0.0\nreplace "unclosed\nrequire d.e/f v1.1.0\n',
    );
    expect(file.fault).toMatch(/quoted string/);
    expect(file.requires.map(({ path }) => path)).toEqual(['a.b/c', 'd.e/f']);
  });

  it('declares no module without a module line, and none for a page', () => {
    for (const text of [
      '',
      'go 1.20\n',
      '// module x.y/z\n',
      '<html>module x</html>',
      '404 page not found\n',
    ]) {
      expect(parseGoModLax(text).declaresModule).toBe(false);
    }
  });

  it('is bare when it is what Go writes for a version without a go.mod', () => {
    expect(parseGoModLax('module x.y/z\n').isBare).toBe(true);
    expect(parseGoModLax('module x.y/z\n\n').isBare).toBe(false);
    expect(parseGoModLax('module x.y/z\ngo 1.20\n').isBare).toBe(false);
  });

  it('throws nothing whatever the text, and only ContentError above 16 MiB', () => {
    const odd = fc.string({
      unit: fc.constantFrom(...Array.from('module requirtact\n\n"`\\()[],/ \r\t'), '\ud800', '\u0000'),
    });
    fc.assert(fc.property(odd, (text) => parseGoModLax(text).requires.length >= 0));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => parseGoModLax(bytes).requires.length >= 0));
    expect(() => parseGoModLax(Buffer.alloc(16 * 1024 * 1024 + 1))).toThrow(ContentError);
  });

  it('takes linear time on hostile text', () => {
    for (const text of [
      '(',
      '"',
      '\n',
      '// c\n',
      'module ',
      'a/',
      'retract [\n',
      ' ',
      '\\',
      'module \n',
      '\u00a0',
      '"\\u0041',
    ]) {
      const hostile = text.repeat(200_000 / text.length);
      const start = performance.now();
      parseGoModLax(hostile);
      parseGoModLax(`module (\n${hostile}`);
      parseGoModLax(`module "${hostile}"\n`);
      expect(performance.now() - start, JSON.stringify(text)).toBeLessThan(1000);
    }
  });
});
