import { describe, expect, it } from 'vitest';
import { parseModuleArgument } from './module-argument.ts';

describe('MODULE[@VERSION]', () => {
  it.each([
    ['golang.org/x/mod', 'golang.org/x/mod', undefined],
    ['golang.org/x/mod@v0.20.0', 'golang.org/x/mod', 'v0.20.0'],
    ['github.com/Azure/x/v2@v2.0.0-rc.1', 'github.com/Azure/x/v2', 'v2.0.0-rc.1'],
    ['example.com/x@v3.0.0+incompatible', 'example.com/x', 'v3.0.0+incompatible'],
  ])('reads %s', (text, path, version) => {
    expect(parseModuleArgument(text)).toEqual({ path, version });
  });

  it.each([
    ['', 'write it as in go.mod'],
    ['nodots', 'no host name'],
    ['https://github.com/spf13/cobra.git', 'write github.com/spf13/cobra'],
    ['golang.org/x/mod@', 'write it in full'],
    ['golang.org/x/mod@latest', 'is not a canonical version'],
    ['golang.org/x/mod@0.20.0', 'write v0.20.0'],
    ['golang.org/x/mod@v0.20', 'write it in full, e.g. v1.2.3'],
    ['golang.org/x/mod@v2.0.0', 'ends in /v2'],
    ['example.com/x/v2@v1.0.0', 'does not fit the module path'],
  ])('refuses %s and says what to write', (text, advice) => {
    const refused = () => parseModuleArgument(text);
    expect(refused).toThrow(advice);
    expect(refused).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});
