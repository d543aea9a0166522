/** Repositories with odd files: what becomes a part of the zip, and what makes Go refuse it. */
import { randomBytesOf } from './odd-bytes.ts';
import { asksMain, bare, go, mod, type OddRepository, tagged } from './odd-repository.ts';

const vendored = {
  'vendor/modules.txt': '# a.b/c v1.0.0\n',
  'vendor/a.b/c/c.go': 'package c\n',
  'vendor/direct.go': 'package vendor\n',
  'pkg/vendor/z.go': 'package z\n',
  'pkg/vendor/foo/foo.go': 'package foo\n',
  'pkg/vendor/modules.txt': 'x\n',
  'a/vendor/v.go': 'package v\n',
  'é/vendor/v.go': 'package v\n',
  'long/er/vendor/v.go': 'package v\n',
  'notvendor/a/b.go': 'package b\n',
};

export const contents: readonly OddRepository[] = [
  {
    name: 'plain',
    commits: (path) => [
      {
        files: { 'go.mod': mod(path, '\ngo 1.21\n'), ...go, 'README.md': '# x\n', LICENSE: 'free\n' },
        tags: ['v1.0.0'],
      },
      { files: { 'd/e/f.go': 'package e\n' }, tags: ['v1.1.0'] },
      { files: { 'x.go': 'package x // 3\n' } },
    ],
    modules: [asksMain, { suffix: '/d/e', asks: () => ['main'] }],
  },
  { name: 'vendor-old', commits: tagged(vendored, (path) => mod(path, '\ngo 1.20\n')) },
  { name: 'vendor-new', commits: tagged(vendored, (path) => mod(path, '\ngo 1.24\n')) },
  { name: 'vendor-new-patch', commits: tagged(vendored, (path) => mod(path, '\ngo 1.24.1\n')) },
  { name: 'vendor-release-candidate', commits: tagged(vendored, (path) => mod(path, '\ngo 1.24rc1\n')) },
  {
    name: 'vendor-unreadable-go-mod',
    commits: tagged(vendored, (path) => mod(path, '\ngo 1.24\nrequire x\n')),
  },
  { name: 'vendor-without-go-mod', commits: bare(vendored) },
  {
    name: 'links',
    commits: tagged({
      link: { symlink: 'x.go' },
      'd/up': { symlink: '../../../etc/passwd' },
      dead: { symlink: '/nowhere' },
    }),
  },
  { name: 'link-with-a-bad-name', commits: tagged({ 'a:b': { symlink: 'x.go' } }) },
  {
    name: 'submodule',
    commits: tagged({
      '.gitmodules': '[submodule "s"]\n\tpath = s\n\turl = https://example.com/s\n',
      s: { submodule: 'a'.repeat(40) },
    }),
  },
  {
    name: 'export-attributes',
    commits: tagged({
      '.gitattributes': 'secret export-ignore\ndir export-ignore\nsubst.txt export-subst\n',
      secret: 's\n',
      'dir/x': 'x\n',
      'subst.txt': '$Format:%H$\n',
      'sub/.gitattributes': '* export-ignore\n',
      'sub/y': 'y\n',
    }),
  },
  {
    name: 'line-ends',
    commits: tagged({
      '.gitattributes': '*.crlf text eol=crlf\n*.auto text=auto\n*.bin -text\n*.lf text eol=lf\n',
      'a.crlf': 'one\ntwo\n',
      'b.crlf': 'one\r\ntwo\r\n',
      'c.auto': 'one\r\ntwo\r\n',
      'd.bin': 'one\r\n\0',
      'e.lf': 'one\r\ntwo\n',
    }),
  },
  { name: 'line-ends-of-go-mod', commits: tagged({ '.gitattributes': '* text eol=crlf\n' }) },
  {
    name: 'line-ends-below',
    commits: (path) => [
      {
        files: {
          '.gitattributes': '*.txt text eol=crlf\n',
          'sub/go.mod': mod(`${path}/sub`),
          'sub/a.txt': 'one\ntwo\n',
          'a.txt': 'x\n',
        },
        tags: ['sub/v1.0.0'],
      },
    ],
    modules: [{ suffix: '/sub' }],
  },
  {
    name: 'other-attributes',
    commits: tagged({
      '.gitattributes':
        '*.id ident\n*.u16 working-tree-encoding=UTF-16LE\n*.big filter=lfs diff=lfs merge=lfs -text\n*.sh filter=nothing\n',
      'a.id': '$Id$\n',
      'b.u16': 'text\n',
      'd.sh': 'x\n',
      'c.big': 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n',
    }),
  },
  {
    name: 'modes',
    commits: tagged({
      'run.sh': { content: '#!/bin/sh\n', executable: true },
      'd/run': { content: '', executable: true },
    }),
  },
  { name: 'case-collision', commits: tagged({ 'README.md': 'a\n', 'readme.md': 'b\n' }) },
  { name: 'case-collision-of-directories', commits: tagged({ 'Docs/a': 'a\n', 'docs/b': 'b\n' }) },
  { name: 'case-collision-unicode', commits: tagged({ 'É.txt': 'a\n', 'é.txt': 'b\n' }) },
  {
    name: 'case-collision-left-out',
    commits: tagged({
      'sub/go.mod': mod('a.b/c'),
      'sub/A': 'a\n',
      'sub/a': 'b\n',
      'vendor/x/B': 'a\n',
      'vendor/x/b': 'b\n',
    }),
  },
  { name: 'case-collision-with-link', commits: tagged({ LINK: { symlink: 'x.go' }, link: 'x\n' }) },
  {
    name: 'names-allowed',
    commits: tagged({
      'with space.txt': 'a\n',
      'naïve.txt': 'b\n',
      '日本.txt': 'c\n',
      '..foo': 'd\n',
      '.hidden/.x': 'e\n',
      '-rf': 'f\n',
      'a~1.txt': 'g\n',
      '!#$%&()+,-.=@[]^_{}~ ': 'h\n',
      '.hg_archival.txt': 'i\n',
      'sub/.hg_archival.txt': 'j\n',
      '.gitignore': 'ignored\n',
      ignored: 'k\n',
      'd/.gitkeep': '',
    }),
  },
  { name: 'name-con', commits: tagged({ 'con.txt': 'a\n' }) },
  { name: 'name-colon', commits: tagged({ 'a:b': 'a\n' }) },
  { name: 'name-dot-at-end', commits: tagged({ 'a.': 'a\n' }) },
  { name: 'name-emoji', commits: tagged({ '😀.txt': 'a\n' }) },
  { name: 'name-quote', commits: tagged({ "it's": 'a\n' }) },
  { name: 'name-backslash', commits: tagged({ 'a\\b': 'a\n' }) },
  { name: 'name-dots-only', commits: tagged({ '.../a': 'a\n' }) },
  {
    name: 'name-bad-left-out',
    commits: tagged({ 'sub/go.mod': mod('a.b/c'), 'sub/a:b': 'a\n', 'vendor/x/con': 'a\n' }),
  },
  {
    name: 'big-files',
    commits: tagged({
      'noise.bin': randomBytesOf(3_000_000),
      'zeros.bin': Buffer.alloc(2_000_000),
      'empty.bin': '',
    }),
  },
  {
    name: 'many-files',
    commits: tagged(
      Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`d${i % 50}/f${i}.txt`, `${i}\n`])),
    ),
  },
];
