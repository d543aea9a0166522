import { assert, dictionary, property, stringMatching, uint8Array } from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeGraph, fakeModule, hash1 } from './fake-module.ts';
import { startFakeUpstream } from './fake-upstream.ts';
import { goHome, goProject, runGo } from './go.ts';
import { zipBytes } from './zip-bytes.ts';

describe('fakeModule', () => {
  it('gives the same bytes for the same options and others for another version', () => {
    const options = { path: 'example.com/a', version: 'v1.0.0', paddingBytes: 1000 };
    expect(fakeModule(options)).toEqual(fakeModule(options));
    expect(fakeModule({ ...options, version: 'v1.0.1' }).zipH1).not.toBe(fakeModule(options).zipH1);
  });

  it('writes requirements, retractions and the go version into go.mod', () => {
    const made = fakeModule({
      path: 'example.com/a',
      requires: { 'example.com/b': 'v1.2.0' },
      retract: ['[v0.1.0, v0.2.0]'],
      goVersion: '1.17',
    });
    expect(made.mod.toString()).toBe(
      'module example.com/a\n\ngo 1.17\nrequire example.com/b v1.2.0\nretract [v0.1.0, v0.2.0]\n',
    );
  });

  it('pads with bytes that do not compress', () => {
    expect(fakeModule({ path: 'example.com/a', paddingBytes: 100_000 }).zip.length).toBeGreaterThan(100_000);
  });

  it('is taken by the go command with the very hashes that it names', async () => {
    const modules = [
      fakeModule({
        path: 'example.com/Upper/a',
        version: 'v1.2.3',
        requires: { 'example.com/b/v2': 'v2.0.0' },
      }),
      fakeModule({
        path: 'example.com/b/v2',
        version: 'v2.0.0',
        files: { 'sub/näme.txt': 'ü' },
        paddingBytes: 50_000,
      }),
      fakeModule({ path: 'example.com/old', version: 'v3.0.0+incompatible', hasGoMod: false }),
      fakeModule({ path: 'example.com/z1', zip: { compress: false } }),
      fakeModule({ path: 'example.com/z2', zip: { dataDescriptors: false } }),
      fakeModule({ path: 'example.com/z3', zip: { compress: false, dataDescriptors: false } }),
    ];
    const upstream = await startFakeUpstream({ modules });
    onTestFinished(upstream.close);
    const project = await goProject(Object.fromEntries(modules.map(({ path, version }) => [path, version])), {
      imports: modules.map(({ path }) => path),
      goSum: modules.map(({ goSum }) => goSum).join(''),
    });
    onTestFinished(project.remove);
    const home = await goHome();
    onTestFinished(home.remove);
    const options = { cwd: project.path, home, env: { GOPROXY: upstream.url } };

    const download = await runGo(['mod', 'download', '-json'], options);
    const vet = await runGo(['list', '-deps', '-f', '{{.ImportPath}} {{.Error}}', './...'], options);

    expect(download).toMatchObject({ code: 0, stderr: '' });
    for (const { zipH1, modH1 } of modules) {
      expect(download.stdout).toContain(`"Sum": "${zipH1}"`);
      expect(download.stdout).toContain(`"GoModSum": "${modH1}"`);
    }
    expect(vet.stdout).toContain('example.com/Upper/a <nil>');
    expect(upstream.count('/@v/v2.0.0.zip')).toBe(1);
  }, 60_000);
});

describe('fakeGraph', () => {
  it('makes as many modules as asked, all reached from the roots', () => {
    const { modules, levels } = fakeGraph({ modules: 23, levels: 4, fanOut: 2 });
    const required = new Set(
      modules.flatMap(({ mod }) => [...mod.toString().matchAll(/^require (\S+)/gm)].map(([, path]) => path)),
    );
    expect(modules).toHaveLength(23);
    expect(levels).toHaveLength(4);
    for (const { path } of levels.slice(1).flat()) expect(required).toContain(path);
  });

  it('is walked to its last level by the go command', async () => {
    const { modules, levels } = fakeGraph({ modules: 12, levels: 3 });
    const upstream = await startFakeUpstream({ modules });
    onTestFinished(upstream.close);
    const project = await goProject(
      Object.fromEntries((levels[0] ?? []).map(({ path }) => [path, 'v1.0.0'])),
    );
    onTestFinished(project.remove);

    const list = await runGo(['list', '-m', 'all'], {
      cwd: project.path,
      env: { GOPROXY: upstream.url, GOFLAGS: '-mod=mod' },
    });

    expect(list.stdout.trim().split('\n')).toHaveLength(1 + modules.length);
    expect(upstream.count(/\.mod$/)).toBe(12);
  }, 60_000);
});

describe('hash1', () => {
  it('does not depend on the order of files', () => {
    const files = ['b', 'a', 'é'].map((name) => ({ name, content: Buffer.from(name) }));
    expect(hash1(files)).toBe(hash1(files.toReversed()));
  });
});

describe('zipBytes', () => {
  it('has a central directory that ends the file, whatever the content', () => {
    assert(
      property(dictionary(stringMatching(/^[a-z]{1,8}$/), uint8Array({ maxLength: 200 })), (files) => {
        const entries = Object.entries(files).map(([name, content]) => ({ name, content }));
        const zip = zipBytes(entries);
        const end = zip.subarray(-22);
        expect(end.readUInt32LE(0)).toBe(0x06054b50);
        expect(end.readUInt16LE(10)).toBe(entries.length);
        expect(end.readUInt32LE(12) + end.readUInt32LE(16) + 22).toBe(zip.length);
      }),
    );
  });
});
