import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { modulePlaceOf } from './module-place.ts';
import { listVersions, taggedVersions, versionOfTag } from './tagged-versions.ts';

function placed(path: string, root: string, subdir = '') {
  return modulePlaceOf({ root, subdir }, parseModulePath(path));
}

const root = placed('example.com/r', 'example.com/r');
const sub = placed('example.com/r/sub', 'example.com/r');
const subV2 = placed('example.com/r/sub/v2', 'example.com/r');

describe('taggedVersions', () => {
  it('takes canonical versions that fit the path, by the prefix of the directory', () => {
    const tags = [
      'v1.2.0',
      'v1.10.0',
      'v1.0.0-rc.1',
      'sub/v0.1.0',
      'sub/v2.0.0',
      'sub/v2/v2.5.0',
      'v2.0.0',
      'v3.0.0-a',
    ];
    expect(taggedVersions(root, tags)).toEqual({
      fitting: ['v1.0.0-rc.1', 'v1.2.0', 'v1.10.0'],
      incompatible: ['v2.0.0', 'v3.0.0-a'],
    });
    expect(taggedVersions(sub, tags)).toEqual({ fitting: ['v0.1.0'], incompatible: [] });
    expect(taggedVersions(subV2, tags)).toEqual({ fitting: ['v2.0.0'], incompatible: [] });
  });

  it('passes over everything else', () => {
    const odd = [
      '1.0.0',
      'v1',
      'v1.0',
      'v01.0.0',
      'v1.0.0+meta',
      'v2.0.0+incompatible',
      'V1.0.0',
      'v1.0.0-01',
      '',
      'x',
    ];
    const pseudo = ['v0.0.0-20200101000000-abcdefabcdef', 'v1.0.1-0.20200101000000-abcdefabcdef'];
    expect(taggedVersions(root, [...odd, ...pseudo])).toEqual({ fitting: [], incompatible: [] });
  });

  it('gives gopkg.in paths their major version, and none to the unstable ones', () => {
    const yaml = placed('gopkg.in/yaml.v2', 'gopkg.in/yaml.v2');
    const tags = ['v1.0.0', 'v2.0.0', 'v2.1.0', 'v3.0.0'];
    expect(taggedVersions(yaml, tags)).toEqual({ fitting: ['v2.0.0', 'v2.1.0'], incompatible: [] });
    const unstable = placed('gopkg.in/yaml.v2-unstable', 'gopkg.in/yaml.v2-unstable');
    expect(taggedVersions(unstable, tags)).toEqual({ fitting: [], incompatible: [] });
  });
});

describe('listVersions', () => {
  const tags = taggedVersions(root, ['v1.0.0', 'v2.0.0', 'v2.1.0', 'v3.0.0']);

  it('has +incompatible versions where no go.mod forbids them', async () => {
    expect(await listVersions(tags, async () => false)).toEqual([
      'v1.0.0',
      'v2.0.0+incompatible',
      'v2.1.0+incompatible',
      'v3.0.0+incompatible',
    ]);
  });

  it('has none when the highest fitting version has a go.mod', async () => {
    expect(await listVersions(tags, async (version) => version === 'v1.0.0')).toEqual(['v1.0.0']);
  });

  it('leaves out a major version whose highest has a go.mod', async () => {
    const list = await listVersions(tags, async (version) => version === 'v2.1.0');
    expect(list).toEqual(['v1.0.0', 'v3.0.0+incompatible']);
    expect(await listVersions(tags, async (version) => version === 'v2.0.0')).toHaveLength(4);
  });

  it('equals a plain model for any set of tags', async () => {
    const number = fc.constantFrom(0, 1, 2, 3, 10);
    const tail = fc.constantFrom(
      '',
      '',
      '',
      '-rc.1',
      '+meta',
      '+incompatible',
      '-0.20200101000000-abcdefabcdef',
    );
    const version = fc.tuple(number, number, number, tail).map(([a, b, c, d]) => `v${a}.${b}.${c}${d}`);
    const other = fc.constantFrom('v1', 'v1.2', 'main', 'v01.0.0', '1.0.0', 'sub/v1.0.0', 'sub/v2.0.0');
    const tagSets = fc.uniqueArray(fc.oneof({ weight: 6, arbitrary: version }, other), { maxLength: 20 });
    const withGoMod = fc.func(fc.boolean());
    await fc.assert(
      fc.asyncProperty(tagSets, withGoMod, async (set, hasGoMod) => {
        const list = await listVersions(taggedVersions(root, set), async (one) => hasGoMod(one));
        expect(list).toEqual(model(set, hasGoMod));
      }),
      { numRuns: 500 },
    );
  });
});

/** The rules once more in the plainest way, for numbers below 100 and the tails above. */
function model(tags: readonly string[], hasGoMod: (version: string) => boolean): string[] {
  const plain = tags.filter((tag) => /^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-rc\.1)?$/.test(tag));
  const keyOf = (tag: string): number => {
    const [major = 0, minor = 0, patch = 0] = tag.slice(1).split('-')[0]?.split('.').map(Number) ?? [];
    return ((major * 100 + minor) * 100 + patch) * 2 + (tag.includes('-') ? 0 : 1);
  };
  const sorted = plain.sort((a, b) => keyOf(a) - keyOf(b));
  const majorOf = (tag: string): number => Math.trunc(keyOf(tag) / 20_000);
  const low = sorted.filter((tag) => majorOf(tag) < 2);
  const last = low.at(-1);
  if (last !== undefined && hasGoMod(last) && low.length < sorted.length) return low;
  const high = sorted.filter((tag) => majorOf(tag) >= 2);
  const kept = high.filter((tag) => {
    const lastOfMajor = high.findLast((one) => majorOf(one) === majorOf(tag));
    return lastOfMajor !== undefined && !hasGoMod(lastOfMajor);
  });
  return [...low, ...kept.map((tag) => `${tag}+incompatible`)];
}

describe('versionOfTag', () => {
  it.each([
    ['v1.0.0', { version: 'v1.0.0', isCanonical: true }],
    ['v1.0.0+meta', { version: 'v1.0.0', isCanonical: false }],
    ['v2.0.0+incompatible', { version: 'v2.0.0', isCanonical: false }],
    ['v1.0', undefined],
    ['v1', undefined],
    ['sub/v1.0.0', undefined],
    ['v0.0.0-20200101000000-abcdefabcdef', undefined],
  ])('%s', (tag, expected) => {
    expect(versionOfTag(root, tag)).toEqual(expected);
  });
});
