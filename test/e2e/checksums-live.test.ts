/**
 * Real modules from the real Go module proxy that this machine reaches, proven by the official checksum database, and
 * proven once more when nothing but the store is left.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type GoHome, goHome, goProject, runGo } from '../kit/go.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { jsonLines } from './checksums-support.ts';
import { expectCleanStore, runModferry } from './support.ts';

/** This machine's CA and proxy variables: how modferry gets out of here. */
const outward = Object.fromEntries(
  ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
    .flatMap((name) => [name, name.toLowerCase()])
    .flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const])),
);

const requires = {
  'github.com/BurntSushi/toml': 'v1.4.0',
  'github.com/google/go-cmp': 'v0.6.0',
  'golang.org/x/mod': 'v0.20.0',
  'gopkg.in/yaml.v3': 'v3.0.1',
};

let proxy: ModferryProcess;
beforeAll(async () => {
  const { GOPROXY, HOME, GOENV } = process.env;
  const goProxy = (await runGo(['env', 'GOPROXY'], { env: { GOPROXY, HOME, GOENV } })).stdout.trim();
  // GOSUMDB in the environment of its own: the official database, whatever this machine says.
  proxy = await startModferry({
    args: ['--upstream', goProxy],
    env: { ...outward, GOSUMDB: 'sum.golang.org' },
  });
  return proxy.close;
});

async function download(home: GoHome) {
  await using project = await goProject(requires);
  const env = { GOPROXY: proxy.url, GOSUMDB: 'sum.golang.org', GOFLAGS: '-modcacherw -mod=mod' };
  return await runGo(['mod', 'download', '-json'], { cwd: project.path, home, env });
}

describe('the official checksum database', () => {
  it('proves every .mod and .zip that a real project brings into the store', async () => {
    await using home = await goHome();
    expect(await download(home)).toMatchObject({ code: 0, stderr: '' });
    const stored = await jsonLines<{
      module: string;
      artifacts: Partial<Record<string, { proof: { by: string; database: string } | null }>>;
    }>(['ls', '--json', '--data', proxy.dataDir]);
    expect(stored.map(({ module }) => module)).toEqual(expect.arrayContaining(Object.keys(requires)));
    for (const { module, artifacts } of stored) {
      for (const ext of ['mod', 'zip'] as const) {
        const artifact = artifacts[ext];
        if (artifact === undefined) continue;
        expect(artifact.proof, `${module} ${ext}`).toMatchObject({ by: 'sumdb', database: 'sum.golang.org' });
      }
    }
    await expectCleanStore(proxy.dataDir);
  });

  it('proves it again offline, to a client that knows nothing', async () => {
    expect(await runModferry(['mode', 'offline', '--data', proxy.dataDir])).toMatchObject({ code: 0 });
    await using home = await goHome();
    const result = await download(home);
    expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout.match(/"Sum": "h1:/g)?.length).toBeGreaterThanOrEqual(4);
    const against = await runModferry(['verify', '--against-sumdb', '--data', proxy.dataDir], {
      env: { GOSUMDB: 'sum.golang.org' },
    });
    expect(against, `${against.stdout}${against.stderr}`).toMatchObject({ code: 0 });
  });
});
