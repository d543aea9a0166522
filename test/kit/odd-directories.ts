/** Repositories with modules below the top, without tags, without commits. */
import { asksMain, at, go, mod, type OddRepository, short } from './odd-repository.ts';

export const directories: readonly OddRepository[] = [
  {
    name: 'nested',
    commits: (path) => [
      {
        files: {
          'go.mod': mod(path),
          ...go,
          'a/go.mod': mod(`${path}/a`),
          'a/a.go': 'package a\n',
          'a/b/go.mod': mod(`${path}/a/b`),
          'a/b/b.go': 'package b\n',
          'a/c/c.go': 'package c\n',
        },
        tags: ['v1.0.0', 'a/v1.1.0'],
        annotatedTags: ['a/b/v1.2.0', 'a/v0.9.0'],
      },
      { files: { 'a/a.go': 'package a // more\n' } },
    ],
    modules: [
      asksMain,
      {
        suffix: '/a',
        asks: (commits) => [
          'main',
          short(commits[0]),
          `v1.1.1-0.${at(1)}-${short(commits[1])}`,
          `v1.0.1-0.${at(1)}-${short(commits[1])}`,
        ],
      },
      { suffix: '/a/b', asks: () => ['main', 'v1.1.0'] },
      { suffix: '/a/c', asks: () => ['main'] },
    ],
  },
  {
    name: 'license-inherited',
    commits: (path) => [
      {
        files: { LICENSE: 'top\n', COPYING: 'x\n', 'sub/go.mod': mod(`${path}/sub`), ...go },
        tags: ['sub/v1.0.0'],
      },
    ],
    modules: [asksMain, { suffix: '/sub' }],
  },
  {
    name: 'license-own',
    commits: (path) => [
      {
        files: { LICENSE: 'top\n', 'sub/LICENSE': 'own\n', 'sub/go.mod': mod(`${path}/sub`) },
        tags: ['sub/v1.0.0'],
      },
    ],
    modules: [{ suffix: '/sub' }],
  },
  {
    name: 'license-links',
    commits: (path) => [
      {
        files: {
          LICENSE: { symlink: 'docs/LICENSE.md' },
          'docs/LICENSE.md': 'text\n',
          'sub/go.mod': mod(`${path}/sub`),
          'other/go.mod': mod(`${path}/other`),
          'other/LICENSE': { symlink: '../docs/LICENSE.md' },
        },
        tags: ['sub/v1.0.0', 'other/v1.0.0'],
      },
    ],
    modules: [{ suffix: '/sub' }, { suffix: '/other' }],
  },
  {
    name: 'license-in-lower-case',
    commits: (path) => [
      {
        files: { LICENSE: 'top\n', 'sub/license': 'own\n', 'sub/go.mod': mod(`${path}/sub`) },
        tags: ['sub/v1.0.0'],
      },
    ],
    modules: [{ suffix: '/sub' }],
  },
  { name: 'empty', commits: () => [], modules: [{ suffix: '', asks: () => ['main', 'v1.0.0'] }] },
  {
    name: 'only-branches',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go } },
      { branch: 'dev', from: 'main', files: { 'dev.go': 'package x\n' }, zone: '+0800' },
      { files: { 'go.mod': mod(path, '\ngo 1.20\n') } },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'main',
          'dev',
          'HEAD',
          'nothing',
          commits[0] ?? '',
          (commits[1] ?? '').slice(0, 7),
          (commits[1] ?? '').slice(0, 6),
          (commits[2] ?? '').slice(0, 20),
          `v0.0.0-${at(1)}-${short(commits[1])}`,
          `v0.0.0-${at(0)}-${short(commits[1])}`,
          `v0.0.0-${at(1)}-${(commits[1] ?? '').slice(0, 11)}`,
          `v0.0.0-${at(1)}-${(commits[1] ?? '').slice(0, 13)}`,
          `v1.0.0-${at(1)}-${short(commits[1])}`,
          `v0.0.1-0.${at(1)}-${short(commits[1])}`,
          `v0.0.0-${at(1)}-dev`,
          `v0.0.0-${at(1)}-000000000000`,
          'v0.0.0-20230231000000-000000000000',
        ],
      },
    ],
  },
  {
    name: 'head-is-trunk',
    head: 'trunk',
    commits: (path) => [
      { branch: 'trunk', files: { 'go.mod': mod(path), ...go } },
      { branch: 'main', from: 'trunk', files: { 'y.go': 'package x\n' } },
    ],
    modules: [asksMain],
  },
];
