import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Version } from '../../gomod/types.ts';
import { parseCanonicalVersion } from '../../gomod/version.ts';
import { infoOf, subdirOf } from './info-text.ts';

const path = parseModulePath('example.com/r/sub');
const place = {
  vcs: 'git',
  url: 'https://example.com/r?a=<1>&b',
  root: 'example.com/r',
  subdir: '',
} as const;
const commit = '0123456789abcdef0123456789abcdef01234567';
const time = '2023-11-14T22:13:20Z';

function version(text: string): Version {
  const parsed = parseCanonicalVersion(path, text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

describe('infoOf', () => {
  it('is what Go writes, byte for byte', () => {
    const revision = { version: version('v1.0.0'), commit, time, ref: 'refs/tags/sub/v1.0.0' };
    expect(infoOf(revision, place, subdirOf(place, path))).toBe(
      '{"Version":"v1.0.0","Time":"2023-11-14T22:13:20Z","Origin":{"VCS":"git",' +
        '"URL":"https://example.com/r?a=\\u003c1\\u003e\\u0026b","Subdir":"sub",' +
        '"Hash":"0123456789abcdef0123456789abcdef01234567","Ref":"refs/tags/sub/v1.0.0"}}',
    );
  });

  it('names no ref for a pseudo-version, and no sub-directory for the top', () => {
    const revision = {
      version: version('v0.0.0-20231114221320-0123456789ab'),
      commit,
      time,
      ref: 'refs/heads/main',
    };
    expect(JSON.parse(infoOf(revision, { vcs: 'git', url: 'ssh://a.b/r' }, ''))).toEqual({
      Version: 'v0.0.0-20231114221320-0123456789ab',
      Time: time,
      Origin: { VCS: 'git', URL: 'ssh://a.b/r', Hash: commit },
    });
  });
});
