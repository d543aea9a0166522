import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fakeCli, tempFolder } from '../test-kit.ts';

function withFile(text: string, name = 'modferry.yaml'): string {
  const cwd = tempFolder();
  writeFileSync(join(cwd, name), text);
  return cwd;
}

describe('modferry config check', () => {
  it('prints every fault with its place and exits with 78', async () => {
    const cwd = withFile('listen: nowhere\ningest:\n  hodl: 2s\nprivate: [https://git.corp.example]\n');
    const { code, stdout, stderr } = await fakeCli({ cwd }).run('config', 'check');
    expect(code).toBe(78);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^modferry\.yaml:1:9: listen: "nowhere" is not HOST:PORT; write HOST:PORT/);
    expect(lines[1]).toMatch(/^modferry\.yaml:3:3: .*did you mean "hold"\?/);
    expect(lines[2]).toMatch(/^modferry\.yaml:4:\d+: .*scheme/);
    expect(stderr).toBe('modferry: 3 faults in modferry.yaml\n');
  });

  it('says so when there are none', async () => {
    const { code, stdout } = await fakeCli({ cwd: withFile('listen: localhost:9090\n') }).run(
      'config',
      'check',
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'modferry.yaml: no faults\n' });
  });

  it('checks the file that is named, and the environment', async () => {
    const cli = fakeCli({ cwd: withFile('data: /x\n', 'other.yaml'), env: { MODFERRY_LISTN: 'x' } });
    const { code, stdout } = await cli.run('config', 'check', '--json', 'other.yaml');
    expect(code).toBe(78);
    expect(JSON.parse(stdout)).toMatchObject({ file: 'other.yaml', faults: [{ file: 'MODFERRY_LISTN' }] });
  });

  it('tells of a file that is not there', async () => {
    const { code, stdout } = await fakeCli({ env: { MODFERRY_CONFIG: 'gone.yaml' } }).run('config', 'check');
    expect(code).toBe(78);
    expect(stdout).toContain('gone.yaml: there is no such file');
  });
});

describe('modferry config show', () => {
  it('prints a file that gives the same configuration again, secrets masked', async () => {
    const cwd = withFile(
      'listen: [localhost:9090]\nupstreams:\n  - url: https://goproxy.cn\n    token: hunter2\ningest: { hold: 3s }\n',
    );
    const { code, stdout } = await fakeCli({ cwd }).run('config', 'show');
    expect(code).toBe(0);
    expect(stdout).not.toContain('hunter2');
    expect(parse(stdout)).toMatchObject({
      listen: ['localhost:9090'],
      ingest: { hold: '3s', tail: '64KiB' },
      upstreams: [{ url: 'https://goproxy.cn' }],
    });
  });

  it('tells where values come from when asked', async () => {
    const cwd = withFile('ingest:\n  hold: 3s\n');
    const cli = fakeCli({ cwd, env: { MODFERRY_DATA: '/srv/go' } });
    const yaml = (await cli.run('config', 'show', '--origin')).stdout;
    expect(yaml).toMatch(/^ {2}hold: 3s # modferry\.yaml:2:9$/m);
    expect(yaml).toMatch(/^data: \/srv\/go # MODFERRY_DATA$/m);
    const json: unknown = JSON.parse((await cli.run('config', 'show', '--origin', '--json')).stdout);
    expect(json).toMatchObject({ data: { value: '/srv/go', layer: 'env' } });
  });

  it('has plain values in JSON', async () => {
    const { stdout } = await fakeCli().run('config', 'show', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ listen: 'localhost:8080', store: { stop_at: '95%' } });
  });

  it('ends with 78 and the faults when the configuration is wrong', async () => {
    const { code, stderr } = await fakeCli({ cwd: withFile('listen: 7\n') }).run('config', 'show');
    expect(code).toBe(78);
    expect(stderr).toContain('modferry.yaml:1:9: listen:');
  });
});

describe('modferry config schema', () => {
  it('prints a JSON schema with the keys of the file', async () => {
    const { code, stdout } = await fakeCli().run('config', 'schema');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', properties: { listen: {}, upstreams: {} } });
  });
});
