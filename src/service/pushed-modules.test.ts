import { describe, expect, it } from 'vitest';
import type { ModulePath } from '../gomod/types.ts';
import { pushedModules, versionsOfTag } from './pushed-modules.ts';

const commit = 'a'.repeat(40);
const root = 'corp.example/lib';

function repository(...paths: readonly string[]) {
  return { root, subdir: '', paths: paths as readonly ModulePath[] };
}

function push(ref: string, after: string | undefined = commit) {
  return { urls: ['https://forge.example/lib'], refs: [{ ref, after }] };
}

describe('versionsOfTag', () => {
  it.each([
    ['v1.2.3', root, '', ['corp.example/lib@v1.2.3']],
    ['v0.1.0-rc.1', root, '', ['corp.example/lib@v0.1.0-rc.1']],
    ['v2.0.0', root, '', ['corp.example/lib/v2@v2.0.0', 'corp.example/lib@v2.0.0+incompatible']],
    ['v10.1.0', root, '', ['corp.example/lib/v10@v10.1.0', 'corp.example/lib@v10.1.0+incompatible']],
    ['sub/v1.0.0', root, '', ['corp.example/lib/sub@v1.0.0']],
    ['sub/dir/v2.0.0', root, '', ['corp.example/lib/sub/dir/v2@v2.0.0']],
    ['v2.1.0', 'gopkg.in/yaml.v2', '', ['gopkg.in/yaml.v2@v2.1.0']],
    ['v3.0.0', 'gopkg.in/yaml.v2', '', []],
    ['go/v1.0.0', root, 'go', ['corp.example/lib@v1.0.0']],
    ['go/x/v1.0.0', root, 'go', ['corp.example/lib/x@v1.0.0']],
    ['go/v2.0.0', root, 'go', ['corp.example/lib/v2@v2.0.0', 'corp.example/lib@v2.0.0+incompatible']],
    ['v1.0.0', root, 'go', []],
    ['golang/v1.0.0', root, 'go', []],
    ['v1', root, '', []],
    ['1.0.0', root, '', []],
    ['release', root, '', []],
    ['v1.0.0+meta', root, '', []],
    ['v2.0.0+incompatible', root, '', []],
    ['v0.0.0-20260101000000-0123456789ab', root, '', []],
    ['../v1.0.0', root, '', []],
    ['.hidden/v1.0.0', root, '', []],
    ['a b/v1.0.0', root, '', []],
    ['/v1.0.0', root, '', []],
  ])('%s in %s, folder "%s"', (tag, path, subdir, wanted) => {
    const found = versionsOfTag(tag, { root: path, subdir });
    expect(found.map((each) => `${each.path}@${each.version}`)).toEqual(wanted);
  });
});

describe('pushedModules', () => {
  it('has a new tag published and the lists of its modules refreshed, asked for before or not', () => {
    const found = pushedModules(push('refs/tags/new/v1.0.0'), repository(root));
    expect(found.versions.flat().map(({ path, version }) => `${path}@${version}`)).toEqual([
      'corp.example/lib/new@v1.0.0',
    ]);
    expect([found.lists, found.queries]).toEqual([['corp.example/lib/new'], []]);
  });

  it('has the lists refreshed of a deleted tag, and nothing published', () => {
    const found = pushedModules(
      { urls: [], refs: [{ ref: 'refs/tags/v2.0.0', after: undefined }] },
      repository(root),
    );
    expect(found).toEqual({ versions: [], lists: [`${root}/v2`, root], queries: [] });
  });

  it('has queries and lists refreshed of every known module after a push to a branch', () => {
    const paths = [root, `${root}/v2`, `${root}/sub`];
    expect(pushedModules(push('refs/heads/main'), repository(...paths))).toEqual({
      versions: [],
      lists: paths,
      queries: paths,
    });
  });

  it('takes a tag that is no version for a query', () => {
    expect(pushedModules(push('refs/tags/nightly'), repository(root))).toEqual({
      versions: [],
      lists: [],
      queries: [root],
    });
  });
});
