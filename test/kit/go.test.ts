import { access, chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from './fake-module.ts';
import { startFakeUpstream } from './fake-upstream.ts';
import { gate, hold, stall } from './faults.ts';
import { goHome, goProject, runGo } from './go.ts';

const MODULE = fakeModule({ path: 'example.com/a', version: 'v1.0.0' });

async function upstreamAndProject() {
  const upstream = await startFakeUpstream({ modules: [MODULE] });
  onTestFinished(upstream.close);
  const project = await goProject({ 'example.com/a': 'v1.0.0' }, { goSum: MODULE.goSum });
  onTestFinished(project.remove);
  return { upstream, cwd: project.path, env: { GOPROXY: upstream.url } };
}

describe('runGo', () => {
  it('knows nothing of this machine and asks nobody unless told', async () => {
    const result = await runGo([
      'env',
      'GOPROXY',
      'GOSUMDB',
      'GOENV',
      'GOTOOLCHAIN',
      'GOMODCACHE',
      'GOFLAGS',
    ]);
    const [proxy, sumdb, env, toolchain, modCache, flags] = result.stdout.split('\n');
    expect({ proxy, sumdb, env, toolchain, flags }).toEqual({
      proxy: 'off',
      sumdb: 'off',
      // The path of the settings file: there is none.
      env: '',
      toolchain: 'local',
      flags: '-modcacherw',
    });
    expect((await runGo(['telemetry'])).stdout).toBe('off\n');
    expect(modCache).toContain('modferry-go-');
    await expect(access(modCache ?? '')).rejects.toThrow('ENOENT');
  });

  it('gives output and exit code of a command that fails', async () => {
    const { cwd } = await upstreamAndProject();
    const result = await runGo(['mod', 'download'], { cwd });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('module lookup disabled by GOPROXY=off');
    expect(result.tookMs).toBeGreaterThan(0);
  });

  it('keeps a home from call to call when one is given, and nothing otherwise', async () => {
    const { upstream, ...options } = await upstreamAndProject();
    const home = await goHome();
    onTestFinished(home.remove);

    await runGo(['mod', 'download'], { ...options, home });
    await runGo(['mod', 'download'], { ...options, home });
    const afterHome = upstream.count('.zip');
    await runGo(['mod', 'download'], options);

    expect(afterHome).toBe(1);
    expect(upstream.count('.zip')).toBe(2);
    expect(await readdir(join(home.modCache, 'example.com'))).toEqual(['a@v1.0.0']);
  });

  it('kills a command that takes too long and says so', async () => {
    const { upstream, ...options } = await upstreamAndProject();
    upstream.faults.add({ match: '.zip', fault: stall(10) });
    const failure: unknown = await runGo(['mod', 'download'], { ...options, timeoutMs: 1500 }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'go_timeout' });
    await upstream.requests.at(-1)?.done;
    expect(upstream.requests.at(-1)?.aborted).toBe(true);
  });

  it('kills the whole process group when its signal aborts', async () => {
    const { upstream, ...options } = await upstreamAndProject();
    const door = gate();
    upstream.faults.add({ match: '.zip', fault: hold(10, door) });
    const controller = new AbortController();
    const running = runGo(['mod', 'download'], { ...options, signal: controller.signal });
    await door.reached;

    controller.abort(new Error('enough'));

    await expect(running).rejects.toThrow('enough');
    await upstream.requests.at(-1)?.done;
  });

  it('says that go is missing when it is', async () => {
    await expect(runGo(['version'], { env: { PATH: '/nonexistent' } })).rejects.toMatchObject({
      code: 'go_missing',
    });
  });

  it('kills children that a killed command leaves behind', async () => {
    const home = await goHome();
    onTestFinished(home.remove);
    const bin = join(home.path, 'bin');
    await mkdir(bin);
    // A stand-in for go that starts a child and waits for it for ever.
    await writeFile(join(bin, 'go'), `#!/bin/sh\nsleep 3600 &\necho $! > ${home.path}/child\nwait\n`);
    await chmod(join(bin, 'go'), 0o755);
    const options = { home, timeoutMs: 500, env: { PATH: `${bin}:/usr/bin:/bin` } };
    await expect(runGo([], options)).rejects.toMatchObject({ code: 'go_timeout' });
    const child = Number(await readFile(join(home.path, 'child'), 'utf8'));
    const state = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => 'gone Z');
    // Gone, or dead and not yet reaped by whoever inherited it.
    expect(state).toContain(' Z');
  });
});

describe('goProject', () => {
  it('writes a main module with requirements, imports and more files', async () => {
    const project = await goProject(
      { 'example.com/a': 'v1.0.0' },
      { imports: ['example.com/a'], goSum: 'x\n', files: { 'sub/x.go': 'package sub\n' } },
    );
    onTestFinished(project.remove);
    const read = (name: string): Promise<string> => readFile(join(project.path, name), 'utf8');
    expect(await read('go.mod')).toBe(
      'module project.test/main\n\ngo 1.21\n\nrequire example.com/a v1.0.0\n',
    );
    expect(await read('main.go')).toContain('import _ "example.com/a"');
    expect([await read('go.sum'), await read('sub/x.go')]).toEqual(['x\n', 'package sub\n']);
  });
});
