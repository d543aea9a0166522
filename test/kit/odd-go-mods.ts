/** Repositories with odd go.mod files, and without one. */
import { asksMain, bare, mod, type OddRepository, tagged } from './odd-repository.ts';

export const goMods: readonly OddRepository[] = [
  {
    name: 'no-go-mod',
    commits: bare({ 'sub/y.go': 'package y\n' }),
    modules: [asksMain, { suffix: '/sub', asks: () => ['main'] }],
  },
  { name: 'go-mod-crlf', commits: tagged({}, (path) => `module ${path}\r\n\r\ngo 1.20\r\n`) },
  { name: 'go-mod-bom', commits: tagged({}, (path) => `\uFEFFmodule ${path}\n`), modules: [asksMain] },
  { name: 'go-mod-quoted', commits: tagged({}, (path) => `\n// x\nmodule\t"${path}" // y\n`) },
  { name: 'go-mod-raw-quoted', commits: tagged({}, (path) => `module \`${path}\`\n`) },
  { name: 'go-mod-block', commits: tagged({}, (path) => `module (\n\t${path}\n)\n`) },
  { name: 'go-mod-without-path', commits: tagged({}, () => 'go 1.20\n'), modules: [asksMain] },
  { name: 'go-mod-of-another', commits: tagged({}, () => mod('example.com/other/module')) },
  {
    name: 'go-mod-of-another-v2',
    commits: tagged({}, () => mod('example.com/other/v2')),
    modules: [asksMain],
  },
  { name: 'go-mod-of-gopkg', commits: tagged({}, () => mod('gopkg.in/other.v3')) },
  { name: 'go-mod-malformed', commits: tagged({}, () => mod('example.com/other/v1')), modules: [asksMain] },
  { name: 'go-mod-empty', commits: tagged({}, () => ''), modules: [asksMain] },
  {
    name: 'go-mod-link',
    commits: bare({ 'go.mod': { symlink: 'real.mod' }, 'real.mod': mod('a.b/c') }),
    modules: [asksMain],
  },
  {
    name: 'go-mod-link-to-a-path',
    commits: bare({
      'go.mod': { symlink: 'module x' },
      'sub/go.mod': { symlink: '../go.mod' },
      'sub/y.go': 'package y\n',
    }),
    modules: [asksMain, { suffix: '/sub', asks: () => ['main'] }],
  },
  { name: 'go-mod-directory', commits: bare({ 'go.mod/x.txt': 'x\n' }) },
  { name: 'go-mod-in-capitals', commits: bare({ 'GO.MOD': mod('a.b/c') }) },
  {
    name: 'go-mod-in-capitals-below',
    commits: tagged({ 'sub/Go.Mod': mod('a.b/c'), 'sub/y.go': 'package y\n' }),
  },
  {
    name: 'go-mod-in-testdata',
    commits: tagged({ 'testdata/mod/go.mod': mod('a.b/c'), 'testdata/mod/y': 'y', 'testdata/z': 'z' }),
  },
];
