/** Repositories with major versions in branches, directories and nowhere. */
import { at, go, mod, type OddRepository, short, top } from './odd-repository.ts';

export const majors: readonly OddRepository[] = [
  {
    name: 'v2-by-branch',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] },
      {
        branch: 'next',
        from: 'main',
        files: { 'go.mod': mod(`${path}/v2`) },
        tags: ['v2.0.0', 'v2.1.0-rc.1'],
      },
      { branch: 'next', files: { 'more.go': 'package x\n' } },
    ],
    modules: [
      { suffix: '', asks: () => ['next', 'v2.0.0', 'v2.0.0+incompatible', 'main'] },
      { suffix: '/v2', asks: () => ['next', 'v1.0.0', 'main'] },
      { suffix: '/v3' },
    ],
  },
  {
    name: 'v2-by-directory',
    commits: (path) => [
      { files: { 'go.mod': mod(path), LICENSE: 'top\n', ...go }, tags: ['v1.0.0'] },
      { files: { 'v2/go.mod': mod(`${path}/v2`), 'v2/x.go': 'package x\n' }, tags: ['v1.1.0', 'v2.0.0'] },
    ],
    modules: [
      { suffix: '', asks: () => ['v2.0.0', 'main'] },
      { suffix: '/v2', asks: () => ['main', 'v1.1.0'] },
    ],
  },
  {
    name: 'v2-twice',
    commits: (path) => [
      { files: { 'go.mod': mod(`${path}/v2`), 'v2/go.mod': mod(`${path}/v2`), ...go }, tags: ['v2.0.0'] },
    ],
    modules: [top, { suffix: '/v2', asks: () => ['main'] }],
  },
  {
    name: 'v2-directory-of-another',
    commits: (path) => [
      { files: { 'go.mod': mod(`${path}/v2`), 'v2/go.mod': mod(`${path}/v3`), ...go }, tags: ['v2.0.0'] },
    ],
    modules: [{ suffix: '/v2', asks: () => ['main'] }],
  },
  {
    name: 'v2-directory-without-path',
    commits: (path) => [
      { files: { 'go.mod': mod(`${path}/v2`), 'v2/go.mod': 'go 1.20\n', ...go }, tags: ['v2.0.0'] },
    ],
    modules: [{ suffix: '/v2', asks: () => ['main'] }],
  },
  {
    name: 'incompatible',
    commits: () => [
      { files: go, tags: ['v1.0.0'] },
      { files: { 'y.go': 'package x\n' }, tags: ['v2.0.0', 'v3.1.0', 'v3.2.0-pre'] },
      { files: { 'z.go': 'package x\n' } },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'v2.0.0',
          'v1.0.0+incompatible',
          'main',
          `v3.2.1-0.${at(2)}-${short(commits[2])}+incompatible`,
          `v3.1.1-0.${at(2)}-${short(commits[2])}+incompatible`,
          `v3.0.0-${at(2)}-${short(commits[2])}+incompatible`,
        ],
      },
      { suffix: '/v2', asks: () => ['v2.0.0'] },
    ],
  },
  {
    name: 'incompatible-after-go-mod',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] },
      { files: { 'go.mod': null }, tags: ['v2.0.0'] },
    ],
    modules: [{ suffix: '', asks: () => ['v2.0.0', 'v2.0.0+incompatible', 'main'] }],
  },
  {
    name: 'incompatible-until-go-mod',
    commits: (path) => [
      { files: go, tags: ['v1.0.0', 'v2.0.0', 'v3.0.0'] },
      { files: { 'go.mod': mod(`${path}/v2`) }, tags: ['v2.1.0'] },
      { files: { 'go.mod': null }, tags: ['v4.0.0'] },
    ],
    modules: [
      { suffix: '', asks: () => ['v2.0.0+incompatible', 'v2.1.0', 'v2.1.0+incompatible', 'main'] },
      { suffix: '/v2', asks: () => ['v2.0.0', 'v2.1.0'] },
    ],
  },
  {
    name: 'incompatible-beside-v2-directory',
    commits: (path) => [
      {
        files: { ...go, 'v2/go.mod': mod(`${path}/v2`), 'v2/x.go': 'package x\n' },
        tags: ['v1.0.0', 'v2.0.0'],
      },
    ],
    modules: [{ suffix: '', asks: () => ['v2.0.0', 'v2.0.0+incompatible', 'main'] }, { suffix: '/v2' }],
  },
  {
    name: 'v2-tag-without-v2-path',
    commits: (path) => [{ files: { 'go.mod': mod(path), ...go }, tags: ['v2.0.0'] }],
    modules: [
      { suffix: '', asks: () => ['v2.0.0', 'v2.0.0+incompatible', 'main'] },
      { suffix: '/v2', asks: () => ['v2.0.0', 'main'] },
    ],
  },
  {
    name: 'v3-below-directory',
    commits: (path) => [
      {
        files: { ...go, LICENSE: 'top\n', 'sub/go.mod': mod(`${path}/sub`), 'sub/y.go': 'package sub\n' },
        tags: ['sub/v1.0.0'],
      },
      {
        files: { 'sub/v3/go.mod': mod(`${path}/sub/v3`), 'sub/v3/y.go': 'package sub\n' },
        tags: ['sub/v3.0.0', 'sub/v3.1.0+meta'],
      },
    ],
    modules: [
      top,
      { suffix: '/sub', asks: () => ['main', 'v3.0.0'] },
      { suffix: '/sub/v3', asks: () => ['main', 'v3.1.0+meta'] },
    ],
  },
];
