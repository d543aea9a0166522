import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { clientSettings, renderSettings } from '../client-settings.ts';
import { fakeCli, tempFolder } from '../test-kit.ts';

function privateConfig(): string {
  const cwd = tempFolder();
  writeFileSync(
    join(cwd, 'modferry.yaml'),
    "listen: ':9090'\npath_prefix: /go\nprivate: ['*.corp.example', git.x.org/a]\n",
  );
  return cwd;
}

describe('modferry env', () => {
  it('prints nothing but GOPROXY when nothing is private', async () => {
    expect(await fakeCli().run('env')).toEqual({
      code: 0,
      stdout: 'export GOPROXY=http://localhost:8080\n',
      stderr: '',
    });
  });

  it('keeps private patterns from the checksum database and go from going around modferry', async () => {
    const { stdout } = await fakeCli({ cwd: privateConfig() }).run('env');
    expect(stdout).toBe(
      "export GOPROXY=http://localhost:9090/go\nexport GONOSUMDB='*.corp.example,git.x.org/a'\nexport GONOPROXY=none\n",
    );
    expect(stdout).not.toContain('GOPRIVATE');
    expect(stdout).not.toContain('GOSUMDB=off');
  });

  it('counts the private patterns of the environment, each once', async () => {
    const cli = fakeCli({ cwd: privateConfig(), env: { GOPRIVATE: 'git.x.org/a,z.example' } });
    const { stdout } = await cli.run('env', '--format', 'json');
    expect(JSON.parse(stdout)).toEqual({
      GOPROXY: 'http://localhost:9090/go',
      GONOSUMDB: '*.corp.example,git.x.org/a,z.example',
      GONOPROXY: 'none',
    });
  });

  it('takes the URL it is given, without a trailing slash', async () => {
    const { stdout } = await fakeCli().run('env', '--url', 'https://goproxy.corp.example/');
    expect(stdout).toBe('export GOPROXY=https://goproxy.corp.example\n');
  });

  it.each(['goproxy.corp.example', 'https://a,https://b', 'ftp://x', 'https://x/?q=1', ''])(
    'refuses "%s" as a URL',
    async (url) => {
      expect((await fakeCli().run('env', '--url', url)).code).toBe(2);
    },
  );

  it('asks for --url where the system chooses the port', async () => {
    const { code, stderr } = await fakeCli({ env: { MODFERRY_LISTEN: 'localhost:0' } }).run('env');
    expect(code).toBe(1);
    expect(stderr).toContain('give it with --url');
  });
});

describe('where a log-in is needed', () => {
  it('names goauth, and says what a .netrc would have', async () => {
    const { stdout, stderr } = await fakeCli().run(
      'env',
      '--url',
      'https://goproxy.corp.example:8443/go',
      '--login',
    );
    expect(stdout).toBe(
      '# Without modferry login, go takes a token from ~/.netrc:\n' +
        '# machine goproxy.corp.example:8443 login token password YOUR_TOKEN\n' +
        "export GOPROXY=https://goproxy.corp.example:8443/go\nexport GOAUTH='modferry goauth;netrc'\n",
    );
    expect(stderr).toBe('');
  });

  it('knows it by the log-ins of this user', async () => {
    const env = { HOME: tempFolder() };
    const url = 'https://goproxy.corp.example';
    await fakeCli({ env, stdin: 'mf_abc' }).run('login', '--server', url, '--token');
    const { stdout } = await fakeCli({ env, cwd: privateConfig() }).run(
      'env',
      '--url',
      url,
      '--format',
      'json',
    );
    expect(JSON.parse(stdout)).toMatchObject({ GONOPROXY: 'none', GOAUTH: 'modferry goauth;netrc' });
    expect(stdout).not.toContain('mf_abc');
    expect((await fakeCli({ env }).run('env', '--url', url, '--no-login')).stdout).not.toContain('GOAUTH');
    expect((await fakeCli({ env }).run('env', '--url', `${url}:1`)).stdout).not.toContain('GOAUTH');
  });

  it.each([
    ['http://goproxy.corp.example', /credentials over https only; other clients would send them/],
    ['http://localhost:8080', /credentials over https only; what needs a log-in cannot be had/],
  ])('warns of %s', async (url, message) => {
    expect((await fakeCli().run('env', '--url', url, '--login')).stderr).toMatch(message);
    expect((await fakeCli().run('env', '--url', url)).stderr).toBe('');
  });

  it.each(['sh', 'powershell', 'dockerfile'] as const)(
    'is a comment and a setting for %s',
    async (format) => {
      const { stdout } = await fakeCli().run(
        'env',
        '--url',
        'https://x.example',
        '--login',
        '--format',
        format,
      );
      const [first, second, ...rest] = stdout.trim().split('\n');
      expect([first, second].every((line) => line?.startsWith('# '))).toBe(true);
      expect(rest.at(-1)).toMatch(/GOAUTH/);
    },
  );
});

describe('the formats', () => {
  const settings = clientSettings('http://localhost:8080', ['it\'s $HOME \\ "*".x']);
  const patterns = settings[1]?.[1];

  it('are read back by a shell as they were', () => {
    const script = `${renderSettings(settings, 'sh')}printf %s "$GOPROXY|$GONOSUMDB|$GONOPROXY"`;
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(stdout).toBe(`http://localhost:8080|${patterns}|none`);
  });

  it('give go env -w one argument each', () => {
    const script = `go() { printf '<%s>' "$@"; }\n${renderSettings(settings, 'go')}`;
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(stdout).toBe(
      `<env><-w><GOPROXY=http://localhost:8080><env><-w><GONOSUMDB=${patterns}><env><-w><GONOPROXY=none>`,
    );
  });

  it('are YAML for CI, with the dollar sign doubled for GitLab', () => {
    expect(parse(renderSettings(settings, 'github'))).toEqual({ env: Object.fromEntries(settings) });
    expect(parse(renderSettings(settings, 'gitlab'))).toMatchObject({
      variables: { GONOSUMDB: patterns?.replace('$', '$$$$') },
    });
  });

  it('quote for PowerShell and Dockerfiles', () => {
    expect(renderSettings(settings, 'powershell')).toContain(`$env:GONOSUMDB = 'it''s $HOME \\ "*".x'\n`);
    expect(renderSettings(settings, 'dockerfile')).toBe(
      'ENV GOPROXY=http://localhost:8080\n' +
        String.raw`ENV GONOSUMDB="it's \$HOME \\ \"*\".x"` +
        '\nENV GONOPROXY=none\n',
    );
  });
});
