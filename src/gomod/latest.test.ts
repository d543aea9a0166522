import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { parseGoModLax } from './go-mod-file.ts';
import { isRetracted, latestVersion } from './latest.ts';

const own = 'module x.y/z\n\ngo 1.20\n';
const bare = 'module x.y/z\n';
const older = 'v0.0.0-20200101120000-ffffffffffff';
const newer = 'v0.0.0-20210101120000-000000000000';

/** Go.mod texts by version; `*` is for all others; a version without any has none that can be had. */
async function latest(
  versions: readonly string[],
  goMods: Readonly<Record<string, string>> = { '*': own },
  path?: string,
): Promise<string | undefined> {
  return latestVersion(versions, {
    goModOf: async (version) => {
      const text = goMods[version] ?? goMods['*'];
      return text === undefined ? undefined : parseGoModLax(text);
    },
    ...(path === undefined ? {} : { path }),
  });
}

describe('the latest version', () => {
  it('is what the go command chooses for @latest, +incompatible and retractions included', async () => {
    const ours = [];
    for (const { versions, goMods } of vectors.latest) {
      ours.push({ versions, goMods, latest: (await latest(versions, goMods, 'x.y/z')) ?? '' });
    }
    expect(ours).toEqual(vectors.latest);
    expect(ours.length).toBeGreaterThan(40);
  });

  it.each([
    ['the highest release', ['v1.9.0', 'v1.10.0', 'v1.2.0'], 'v1.10.0'],
    ['a release even below a higher pre-release', ['v1.0.0', 'v1.1.0-rc.1'], 'v1.0.0'],
    ['the highest pre-release without a release', ['v1.0.0-rc.2', 'v1.0.0-rc.10'], 'v1.0.0-rc.10'],
    ['a pre-release even beside a newer pseudo-version', ['v0.1.0-alpha', newer], 'v0.1.0-alpha'],
    [
      'the pseudo-version with the latest time, not the highest',
      [newer, 'v1.0.1-0.20200101120000-abcdef'],
      newer,
    ],
    ['the pseudo-version with the latest time', [older, newer], newer],
    ['the one there is', ['v2.0.0+incompatible'], 'v2.0.0+incompatible'],
  ])('is %s', async (_, versions, expected) => {
    expect(await latest(versions)).toBe(expected);
  });

  it('is none for an empty list and for a list of junk', async () => {
    expect(await latest([])).toBeUndefined();
    expect(await latest(['main', 'v1', 'v1.0.0+meta'])).toBeUndefined();
  });

  it('ignores +incompatible versions when the highest compatible one has a go.mod', async () => {
    expect(await latest(['v1.0.0', 'v2.0.0+incompatible'])).toBe('v1.0.0');
    expect(await latest(['v1.0.0-rc.1', 'v2.0.0+incompatible'])).toBe('v1.0.0-rc.1');
  });

  it('is +incompatible when the highest compatible one has no go.mod of its own', async () => {
    expect(await latest(['v1.0.0', 'v1.1.0', 'v2.0.0+incompatible'], { '*': own, 'v1.1.0': bare })).toBe(
      'v2.0.0+incompatible',
    );
  });

  it('asks the highest compatible version only, a pre-release too', async () => {
    const versions = ['v1.0.0', 'v1.1.0-rc.1', 'v2.0.0+incompatible'];
    expect(await latest(versions, { 'v1.0.0': bare, 'v1.1.0-rc.1': own })).toBe('v1.0.0');
    expect(await latest(versions, { 'v1.0.0': own, 'v1.1.0-rc.1': bare })).toBe('v2.0.0+incompatible');
  });

  it('takes a bare go.mod of another path for the own one when the path is known', async () => {
    const versions = ['v1.0.0', 'v2.0.0+incompatible'];
    expect(await latest(versions, { '*': bare }, 'x.y/z')).toBe('v2.0.0+incompatible');
    expect(await latest(versions, { '*': bare }, 'fork.y/z')).toBe('v1.0.0');
  });

  it('leaves out what the highest version retracts, itself too', async () => {
    const goMods = { 'v1.2.0': `${own}retract [v1.1.0, v1.2.0]\n`, '*': own };
    expect(await latest(['v1.0.0', 'v1.1.0', 'v1.1.5', 'v1.2.0'], goMods)).toBe('v1.0.0');
  });

  it('does not follow retractions of a version that is not the highest', async () => {
    expect(await latest(['v1.0.0', 'v1.1.0'], { 'v1.0.0': `${own}retract v1.1.0\n`, '*': own })).toBe(
      'v1.1.0',
    );
  });

  it('reads retractions from the version chosen, a release, not from a higher pre-release', async () => {
    const goMods = { 'v1.1.0-rc.1': `${own}retract v1.0.0\n`, '*': own };
    expect(await latest(['v0.9.0', 'v1.0.0', 'v1.1.0-rc.1'], goMods)).toBe('v1.0.0');
  });

  it('falls from retracted releases to a pre-release, then to a pseudo-version, then to none', async () => {
    const all = { '*': `${own}retract [v1.0.0, v1.9.0]\n` };
    expect(await latest(['v1.0.0', 'v2.0.0-rc.1'], all, 'x.y/z')).toBe('v2.0.0-rc.1');
    expect(await latest(['v1.0.0', newer], all)).toBe(newer);
    expect(await latest(['v1.0.0'], all)).toBeUndefined();
    expect(await latest([older, newer], { '*': `${own}retract ${newer}\n` })).toBeUndefined();
  });

  it('lets +incompatible in when retraction removes the compatible versions', async () => {
    const goMods = { '*': `${own}retract v1.0.0\n` };
    expect(await latest(['v1.0.0', 'v2.0.0+incompatible'], goMods)).toBe('v2.0.0+incompatible');
  });

  it('retracts nothing when the go.mod cannot be had or Go could not parse it', async () => {
    expect(await latest(['v1.0.0'], {})).toBe('v1.0.0');
    expect(await latest(['v1.0.0'], { '*': 'module x.y/z\nretract v1.0.0\nrequire bad\n' })).toBe('v1.0.0');
    expect(await latest(['v1.0.0', 'v2.0.0+incompatible'], {})).toBe('v1.0.0');
  });

  it('asks for no go.mod more than three times, however long the list', async () => {
    let asked = 0;
    const versions = Array.from(
      { length: 2000 },
      (_, index) => `v${index}.0.0${index > 1 ? '+incompatible' : ''}`,
    );
    await latestVersion(versions, {
      goModOf: async () => {
        asked += 1;
        return parseGoModLax(`${own}retract v1.0.0\n`);
      },
    });
    expect(asked).toBeLessThanOrEqual(3);
  });
});

describe('a retraction', () => {
  it('includes both ends and compares by precedence', () => {
    const intervals = [{ low: 'v1.0.0', high: 'v1.2.0', rationale: '' }];
    const answers = ['v0.9.0', 'v1.0.0-rc.1', 'v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.2.1-0.20200101120000-abc'];
    expect(answers.map((version) => isRetracted(version, intervals))).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
    ]);
  });
});
