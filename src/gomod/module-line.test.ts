import { describe, expect, it } from 'vitest';
import { moduleLinePath } from './module-line.ts';

describe('moduleLinePath', () => {
  it.each([
    ['module example.com/a\n', 'example.com/a'],
    ['module example.com/a', 'example.com/a'],
    ['// about\n\n\tmodule\texample.com/a // more\r\n', 'example.com/a'],
    ['go 1.20\nmodule "example.com/a"\n', 'example.com/a'],
    ['module `example.com/a`\n', 'example.com/a'],
    ['module example.com/a extra\n', 'example.com/a extra'],
    ['module (\n\texample.com/a\n)\n', '('],
    ['module\nmodules x\nmodule//x\nmodule example.com/b\n', 'example.com/b'],
  ])('of %j is %j', (text, path) => {
    expect(moduleLinePath(Buffer.from(text))).toBe(path);
  });

  it.each(['', 'go 1.20\n', '\uFEFFmodule a.b/c\n', 'module "a.b\n', 'module `a\n', '//module a\n'])(
    'there is none in %j',
    (text) => {
      expect(moduleLinePath(Buffer.from(text))).toBe('');
    },
  );

  it.each(['\n', 'module\n', 'module \n', 'xmodule x\n', 'module //\n', ' ', '\r', 'module '])(
    'costs little on 16 MiB of %j',
    (text) => {
      const before = performance.now();
      moduleLinePath(Buffer.alloc(16 << 20, text));
      expect(performance.now() - before).toBeLessThan(10_000);
    },
  );

  it('finds a path between blanks, Go’s beyond ASCII too', () => {
    expect(moduleLinePath(Buffer.from(`module${' '.repeat(1 << 20)}x${' '.repeat(1 << 20)}`))).toBe('x');
    expect(moduleLinePath(Buffer.from('\u00a0module\u2003x\u0085\n'))).toBe('x');
    expect(moduleLinePath(Buffer.from('module \u00a0\nmodule y\n'))).toBe('y');
  });
});
