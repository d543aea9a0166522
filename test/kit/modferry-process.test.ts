import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type StartModferryOptions, startModferry } from './modferry-process.ts';
import { tempDir } from './temp.ts';

/** A stand-in for modferry: listens, prints what it was given, and obeys a few commands by signal. */
const STAND_IN = `
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
if (process.env.CRASH) { console.error('no disk'); process.exit(7); }
const server = createServer((q, r) => r.end('hello'));
server.listen(0, '127.0.0.1', () => {
  console.error('modferry listening on http://127.0.0.1:' + server.address().port);
  console.log('ARGS ' + JSON.stringify(process.argv.slice(2)));
  console.log('ENV ' + Object.keys(process.env).sort().join(','));
  console.log('GOSUMDB ' + (process.env.GOSUMDB ?? 'none'));
});
process.on('SIGHUP', () => {
  const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1e6)'], { stdio: 'pipe' });
  globalThis.kept = Buffer.alloc(150 * 1024 * 1024, 1);
  child.stdout.once('data', () => console.log('child ' + child.pid));
});
const free = () => {
  globalThis.kept = undefined;
  gc();
  // Memory goes back to the system on a thread of V8's own.
  if (process.memoryUsage.rss() > 150 * 1024 * 1024) setImmediate(free);
  else console.log('freed');
};
process.on('SIGUSR2', free);
process.on('SIGTERM', () => { console.log('bye'); process.exit(3); });
`;

async function start(options: StartModferryOptions = {}) {
  const dir = await tempDir('stand-in');
  onTestFinished(dir.remove);
  const script = join(dir.path, 'main.mjs');
  await writeFile(script, STAND_IN);
  const started = await startModferry({ command: [process.execPath, '--expose-gc', script], ...options });
  onTestFinished(started.close);
  return started;
}

describe('startModferry', () => {
  it('waits for the address and gives it', async () => {
    const modferry = await start();
    expect(await (await fetch(modferry.url)).text()).toBe('hello');
    expect(modferry.port).toBe(Number(new URL(modferry.url).port));
    expect(modferry.readyAfterMs).toBeGreaterThan(0);
  });

  it('hands over listen address, data folder, configuration and arguments, and no setting of this machine', async () => {
    const modferry = await start({
      args: ['--upstream', 'off'],
      config: { offline: true },
      env: { EXTRA: '1' },
    });
    const [, args = ''] = await modferry.waitForLine(/^ARGS (.*)/);
    const [, env] = await modferry.waitForLine(/^ENV (.*)/);
    expect(JSON.parse(args)).toEqual([
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--data',
      modferry.dataDir,
      '--config',
      modferry.configFile,
      '--upstream',
      'off',
    ]);
    expect(await readFile(modferry.configFile ?? '', 'utf8')).toBe('{"offline":true}');
    expect(env).toBe('EXTRA,GOSUMDB,HOME,NODE_COMPILE_CACHE,PATH');
  });

  it.each([
    { env: {}, expected: 'off' },
    { env: { GOSUMDB: 'sum.test+1+k' }, expected: 'sum.test+1+k' },
    { env: { GOSUMDB: undefined }, expected: 'none' },
  ])('turns checksum databases off unless the test says otherwise: $expected', async ({ env, expected }) => {
    const modferry = await start({ env });
    const [, gosumdb] = await modferry.waitForLine(/^GOSUMDB (.*)/);
    expect(gosumdb).toBe(expected);
  });

  it('tells how it ended, and what it said, when stopped', async () => {
    const modferry = await start();
    const exit = await modferry.stop();
    expect(exit).toEqual({ code: 3, signal: null });
    expect(modferry.stdout()).toContain('bye\n');
    expect(modferry.stderr()).toContain('listening on');
    await expect(modferry.waitForLine(/never/)).rejects.toThrow('it ended with 3');
  });

  it('kills it with its children, and close removes its folders', async () => {
    const modferry = await start();
    modferry.signal('SIGHUP');
    const [, child] = await modferry.waitForLine(/^child (\d+)/);

    const exit = await modferry.kill();
    await modferry.close();

    expect(exit.signal).toBe('SIGKILL');
    const state = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => 'gone Z');
    expect(state).toContain(' Z');
    await expect(access(join(modferry.dataDir, '..'))).rejects.toThrow('ENOENT');
  });

  it('says what it printed when it ends instead of listening', async () => {
    await expect(start({ env: { CRASH: '1' } })).rejects.toMatchObject({
      code: 'not_ready',
      message: expect.stringContaining('no disk'),
      fields: { exit: { code: 7, signal: null } },
    });
  });

  it('says so when the program cannot be started at all', async () => {
    await expect(startModferry({ command: ['/nonexistent/modferry'] })).rejects.toMatchObject({
      code: 'not_ready',
      message: expect.stringContaining('ENOENT'),
    });
  });

  it.runIf(process.platform === 'linux')(
    'measures the peak of the tree, kept after it is freed, and resets it',
    async () => {
      const modferry = await start();
      const atFirst = modferry.peakRssBytes();
      modferry.signal('SIGHUP');
      await modferry.waitForLine(/^child/);
      const grown = modferry.peakRssBytes();
      modferry.signal('SIGUSR2');
      await modferry.waitForLine(/^freed/);

      expect(grown - atFirst).toBeGreaterThan(150 * 1024 * 1024);
      expect(modferry.peakRssBytes()).toBeGreaterThanOrEqual(grown);
      modferry.resetPeakRss();
      expect(modferry.peakRssBytes()).toBeLessThan(grown - 100 * 1024 * 1024);
      expect(modferry.rssBytes()).toBeGreaterThan(10 * 1024 * 1024);
    },
  );
});
