import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CliError } from './cli-error.ts';
import { WarmInput } from './warm-input.ts';

const hash = `h1:${'A'.repeat(43)}=`;

function read(name: string, text: string): string[] {
  const input = new WarmInput();
  input.add(name, text);
  return input.items.map(
    ({ path, version, exts, isQuery }) => `${path}@${version} ${exts.join('+')}${isQuery ? ' ?' : ''}`,
  );
}

describe('what warm reads', () => {
  it.each(['go.sum', 'dir/go.sum', 'standard input'])(
    'asks only for go.mod where go.sum names only that (%s)',
    (name) => {
      const text = `a.com/x v1.0.0 ${hash}\na.com/x v1.0.0/go.mod ${hash}\na.com/y v2.0.0+incompatible/go.mod ${hash}\n`;
      expect(read(name, text)).toEqual(['a.com/x@v1.0.0 info+mod+zip', 'a.com/y@v2.0.0+incompatible mod']);
    },
  );

  it.each(['go.mod', 'standard input'])(
    'takes the requirements of a go.mod, replaced where it says so (%s)',
    (name) => {
      const text = [
        '// about\nmodule example.com/main\n\ngo 1.22\n',
        'require (\n\ta.com/x v1.0.0\n\ta.com/y v1.0.0 // indirect\n\ta.com/z v1.0.0\n\ta.com/w v1.0.0\n)\n',
        'replace a.com/x => b.com/x v1.5.0\n',
        'replace (\n\ta.com/y v1.0.0 => ../y\n\ta.com/z v1.1.1 => b.com/z v1.0.0\n)\n',
      ].join('');
      expect(read(name, text)).toEqual([
        'b.com/x@v1.5.0 info+mod+zip',
        'a.com/z@v1.0.0 info+mod+zip',
        'a.com/w@v1.0.0 info+mod+zip',
      ]);
    },
  );

  it('takes lists with comments, version queries, and each version once', () => {
    const text = '# mine\n\na.com/x@v1.0.0\r\n  a.com/x@v1.0.0\na.com/y@latest\na.com/z@v1.2\n// end';
    expect(read('list.txt', text)).toEqual([
      'a.com/x@v1.0.0 info+mod+zip',
      'a.com/y@latest info+mod+zip ?',
      'a.com/z@v1.2 info+mod+zip ?',
    ]);
  });

  it('takes the output of go list -m all', () => {
    const text =
      'example.com/main\na.com/x v1.0.0\na.com/y v1.0.0 => b.com/y v1.1.0\na.com/z v1.0.0 => ../z\n';
    expect(read('standard input', text)).toEqual([
      'a.com/x@v1.0.0 info+mod+zip',
      'b.com/y@v1.1.0 info+mod+zip',
    ]);
  });

  it.each([
    ['list', 'a.com/x@v1.0.0\na.com/y\n', 'list:2: "a.com/y" names no version'],
    ['list', 'nodots@v1.0.0\n', 'list:1: the module path "nodots" is not valid'],
    ['go.sum', `a.com/x v1.0.0 ${hash}\na.com/x\n`, 'go.sum:2: not a line of go.sum'],
    ['go.mod', 'module\n', 'go.mod: not a go.mod file'],
    ['list', 'a.com/x@a/b\n', 'list:1:'],
  ])('refuses %s with the line at fault: %j', (name, text, said) => {
    expect(() => read(name, text)).toThrow(said);
    expect(() => read(name, text)).toThrow(CliError);
  });

  it('never throws anything but its own error', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('module x.com/a', 'require (', 'a.com/x@v1.0.0', '=>', hash),
    );
    fc.assert(
      fc.property(fc.constantFrom('go.sum', 'go.mod', 'x'), fc.array(line), (name, lines) => {
        try {
          read(name, lines.join('\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(CliError);
        }
      }),
    );
  });
});
