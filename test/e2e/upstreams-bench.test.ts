/** `modferry upstreams bench` as a process: two mirrors, one of which is slow or lies. */
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { runModferry, upstream } from './support.ts';

const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3', paddingBytes: 300_000 });
const other = fakeModule({ path: lib.path, version: lib.version, files: { 'x.go': 'package lib\n' } });

const bench = (...args: readonly string[]) =>
  runModferry(['upstreams', 'bench', '--module', 'example.com/lib@v1.2.3', ...args]);

describe('modferry upstreams bench', () => {
  it('ranks two mirrors and ends with lines that can be used as they stand', async () => {
    const slow = await upstream({ modules: [lib], latencyMs: 80 });
    const quick = await upstream({ modules: [lib] });
    const { code, stdout, stderr } = await bench(slow.url, quick.url);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.indexOf(`1.  ${new URL(quick.url).host}`)).toBeGreaterThan(0);
    expect(stdout).toContain(`go env -w 'GOPROXY=${quick.url}|${slow.url},direct'`);
    expect(slow.count('.zip')).toBe(3);
  });

  it('has numbers for scripts, and 1 as exit code when nothing is usable', async () => {
    const one = await upstream({ modules: [lib] });
    const two = await upstream({ modules: [other] });
    const { code, stdout } = await bench('--json', '--rounds', '2', one.url, two.url);

    expect(code).toBe(1);
    const document = JSON.parse(stdout) as { mirrors: { bytes: string }[]; samples: { kind: string }[] };
    expect(document.mirrors.map(({ bytes }) => bytes)).toEqual(['unclear', 'unclear']);
    expect(document.samples).toHaveLength(16);
    expect(document).toMatchObject({ recommended: { goproxy: null, yaml: null } });
  });
});
