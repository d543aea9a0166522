/** Repositories with odd tags, branches and histories. */
import { asksMain, at, go, mod, type OddRepository, short, tagged } from './odd-repository.ts';

export const tags: readonly OddRepository[] = [
  {
    name: 'annotated-and-light',
    commits: (path) => [
      {
        files: { 'go.mod': mod(path), ...go },
        tags: ['v1.0.0', 'v1.0.1-rc.1'],
        annotatedTags: ['v1.0.1', 'latest-one'],
      },
      { files: { 'y.go': 'package x\n' }, annotatedTags: ['v1.2.0'] },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'latest-one',
          short(commits[0]),
          'main',
          `v1.0.2-0.${at(0)}-${short(commits[0])}`,
          `v1.0.2-0.${at(1)}-${short(commits[1])}`,
          `v1.2.1-0.${at(1)}-${short(commits[1])}`,
        ],
      },
    ],
  },
  {
    name: 'tag-on-another-branch',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] },
      { branch: 'release', from: 'main', files: { 'r.go': 'package x\n' }, tags: ['v1.5.0'] },
      { files: { 'm.go': 'package x\n' } },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'main',
          'release',
          `v1.5.1-0.${at(2)}-${short(commits[2])}`,
          `v1.0.1-0.${at(2)}-${short(commits[2])}`,
        ],
      },
    ],
  },
  {
    name: 'tag-names',
    commits: (path) => [
      {
        files: { 'go.mod': mod(path), ...go },
        tags: [
          'v1.0.0+meta',
          '1.2.3',
          'v1',
          'v1.2',
          'v01.2.3',
          'v1.02.3',
          'release-1',
          'V1.9.0',
          'v1.3.0-rc.01',
        ],
      },
      {
        files: { 'y.go': 'package x\n' },
        tags: ['v1.3.0-rc.1', 'v1.4.0+a', 'v1.4.0+b', 'v1.1.0.1', 'v2.0.0+incompatible'],
      },
      { files: { 'z.go': 'package x\n' }, tags: ['v99999999999999999999.0.0', 'v0.99999999999999999999.0'] },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'v1.0.0+meta',
          'v1.4.0+a',
          '1.2.3',
          'release-1',
          'v1.0.0',
          'main',
          short(commits[0]),
          short(commits[1]),
        ],
      },
    ],
  },
  {
    name: 'pre-release-only',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0-beta.2', 'v1.0.0-beta.10'] },
      { files: { 'y.go': 'package x\n' } },
    ],
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'main',
          `v1.0.0-beta.2.0.${at(1)}-${short(commits[1])}`,
          `v1.0.0-beta.3.0.${at(1)}-${short(commits[1])}`,
        ],
      },
    ],
  },
  {
    name: 'retracts-itself',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] },
      { files: { 'go.mod': mod(path, '\nretract v1.1.0 // mistake\n') }, tags: ['v1.1.0'] },
      { files: { 'y.go': 'package x\n' } },
    ],
    modules: [{ suffix: '', asks: (commits) => ['main', short(commits[1])] }],
  },
  {
    name: 'retracts-all',
    commits: (path) => [
      { files: { 'go.mod': mod(path, '\nretract [v0.0.0, v1.9.9]\n'), ...go }, tags: ['v1.0.0', 'v1.1.0'] },
      { files: { 'y.go': 'package x\n' } },
    ],
    modules: [asksMain],
  },
  {
    name: 'deprecated',
    commits: tagged({}, (path) => `// Deprecated: use another.\n${mod(path, '\ngo 1.20\n')}`),
  },
  {
    name: 'merges',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go } },
      { branch: 'side', from: 'main', files: { 's.go': 'package x\n' }, tags: ['v1.3.0'] },
      { files: { 'm.go': 'package x\n' }, tags: ['v1.2.0'] },
      { merge: ['side'], files: { 's.go': 'package x\n' } },
    ],
    modules: [{ suffix: '', asks: (commits) => ['main', `v1.2.1-0.${at(3)}-${short(commits[3])}`] }],
  },
  {
    name: 'pseudo-version-tag',
    commits: (path) => [
      {
        files: { 'go.mod': mod(path), ...go, 'sub/go.mod': mod(`${path}/sub`) },
        tags: ['v0.0.0-20200101000000-abcdefabcdef', 'v1.0.0', 'sub/v0.1.0'],
      },
      { files: { 'y.go': 'package x\n' }, tags: ['v1.1.1-0.20200101000000-abcdefabcdef'] },
    ],
    modules: [
      {
        suffix: '',
        asks: () => ['main', 'v0.0.0-20200101000000-abcdefabcdef', 'v1.1.1-0.20200101000000-abcdefabcdef'],
      },
      { suffix: '/sub', asks: () => ['main'] },
    ],
  },
  {
    name: 'branch-like-a-version',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0', 'stable'] },
      { branch: 'v9.9.9', from: 'main', files: { 'y.go': 'package x\n' } },
      { branch: 'v1.9.9', from: 'main', files: { 'y.go': 'package x\n' } },
      { branch: 'stable', from: 'main', files: { 'z.go': 'package x\n' } },
      { branch: 'abcdef1', from: 'main', files: { 'w.go': 'package x\n' } },
    ],
    modules: [{ suffix: '', asks: () => ['v9.9.9', 'v1.9.9', 'stable', 'abcdef1'] }],
  },
  {
    name: 'hidden-refs',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go } },
      { branch: 'gone', from: 'main', files: { 'pull.go': 'package x\n' } },
    ],
    after: async (repo) => {
      await repo.setRef('refs/pull/1/head', repo.commits[1] ?? '');
      await repo.deleteRef('refs/heads/gone');
    },
    modules: [
      {
        suffix: '',
        asks: (commits) => [
          'main',
          short(commits[1]),
          commits[1] ?? '',
          `v0.0.0-${at(1)}-${short(commits[1])}`,
        ],
      },
    ],
  },
  {
    name: 'tags-on-blob-and-tree',
    commits: (path) => [{ files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] }],
    after: async (repo) => {
      await repo.setRef('refs/tags/a-blob', await repo.git(['rev-parse', 'main:x.go']));
      await repo.setRef('refs/tags/v0.5.0', await repo.git(['rev-parse', 'main:x.go']));
      await repo.setRef('refs/tags/a-tree', await repo.git(['rev-parse', 'main^{tree}']));
    },
    modules: [{ suffix: '', asks: () => ['a-blob', 'a-tree', 'v0.5.0', 'main'] }],
  },
  {
    name: 'sha256',
    objectFormat: 'sha256',
    commits: (path) => [
      { files: { 'go.mod': mod(path), ...go }, tags: ['v1.0.0'] },
      { files: { 'y.go': 'package x\n' } },
    ],
    modules: [{ suffix: '', asks: (commits) => ['main', commits[0] ?? '', short(commits[1])] }],
  },
];
