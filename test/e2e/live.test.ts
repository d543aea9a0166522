/**
 * One suite through the real Go module proxy that this machine reaches, whose address `go env GOPROXY` gives at
 * run time: real modules, the real checksum database through /sumdb/, and a toolchain switch.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type GoHome, goHome, goProject, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { ask, expectCleanStore, runModferry } from './support.ts';

/** This machine's CA and proxy variables: how modferry gets out of here. */
const outward = Object.fromEntries(
  ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
    .flatMap((name) => [name, name.toLowerCase()])
    .flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const])),
);

let proxy: ModferryProcess;
let home: GoHome;
beforeAll(async () => {
  const { GOPROXY, HOME, GOENV } = process.env;
  const goProxy = (await runGo(['env', 'GOPROXY'], { env: { GOPROXY, HOME, GOENV } })).stdout.trim();
  // Real modules: the official database proves them.
  proxy = await startModferry({
    args: ['--upstream', goProxy],
    // A record that was proven for the zip is a hit when go looks it up.
    env: { ...outward, GOSUMDB: undefined, MODFERRY_LOG_ACCESS: 'all' },
  });
  home = await goHome();
  return async () => {
    await home.remove();
    await proxy.close();
  };
});

/** Everything goes through modferry: go has no other way out. */
function env(): Record<string, string> {
  return { GOPROXY: proxy.url, GOSUMDB: 'sum.golang.org', GOFLAGS: '-modcacherw -mod=mod' };
}

describe('the real proxy', () => {
  it('gives a real project, verified by the checksum database through modferry', async () => {
    await using project = await goProject({
      'github.com/BurntSushi/toml': 'v1.4.0',
      'github.com/google/go-cmp': 'v0.6.0',
      'golang.org/x/mod': 'v0.20.0',
      'gopkg.in/yaml.v3': 'v3.0.1',
    });
    const result = await runGo(['mod', 'download', '-json'], { cwd: project.path, home, env: env() });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('"Sum": "h1:');
    const log = proxy.stderr();
    expect(log).toMatch(/"artifact":"sumdb"[^\n]*sum\.golang\.org\/supported[^\n]*"status":200/);
    expect(log).toMatch(/"artifact":"sumdb"[^\n]*lookup\/github\.com\/![a-z]/);
    await expectCleanStore(proxy.dataDir);
  });

  it('gives list and @latest of a real module', async () => {
    const listed = await runGo(['list', '-m', '-versions', 'golang.org/x/mod'], { home, env: env() });
    expect(listed.code).toBe(0);
    expect(listed.stdout).toMatch(/ v0\.19\.0 v0\.20\.0 /);
    const latest = await ask(proxy.url, '/golang.org/x/mod/@latest');
    expect(latest.status).toBe(200);
    const { Version } = JSON.parse(latest.text) as { Version: string };
    expect(listed.stdout).toContain(` ${Version}`);
  });

  it('says what the source said about a version that does not exist', async () => {
    const answer = await ask(proxy.url, '/golang.org/x/mod/@v/v0.20.99.info');
    // Some mirrors that stand in for the official proxy refuse with 403 what they do not have: no knowledge, a failure.
    const isRefusal = answer.text.includes('403');
    expect(answer.status, answer.text).toBe(isRefusal ? 502 : 404);
    expect(answer.text).toMatch(/ (ms|s)\)$/m);
  });

  it('lets go switch to another toolchain, fetched and proven through modferry', async () => {
    const own = (await runGo(['env', 'GOVERSION'])).stdout.trim();
    const [, major = '1', patch = '0'] = /^go(1\.\d+)\.(\d+)/.exec(own) ?? [];
    const other = `go${major}.${Number(patch) > 0 ? Number(patch) - 1 : Number(patch) + 1}`;
    await using project = await goProject();
    const result = await runGo(['version'], {
      cwd: project.path,
      home,
      env: { ...env(), GOTOOLCHAIN: other },
      timeoutMs: 170_000,
    });
    expect(result.stderr).toContain(`downloading ${other}`);
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining(other) });
    expect(proxy.stderr()).toMatch(/sumdb[^\n]*lookup\/golang\.org\/toolchain@/);
    const { stdout } = await runModferry(['ls', '--data', proxy.dataDir, 'golang.org/toolchain']);
    expect(stdout).toContain(`golang.org/toolchain@v0.0.1-${other}.`);
    expect(await readFile(join(proxy.dataDir, 'meta/format'), 'utf8')).toContain('1');
  });
});
