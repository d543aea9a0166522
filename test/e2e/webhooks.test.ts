/**
 * Deliveries of every forge over HTTP: what a push does to what the real `go` command is given, although everything is
 * fresh for an hour here; and what forged, repeated and oversized deliveries do: nothing.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDeliveries } from '../../src/webhooks/delivery-log.ts';
import { type Forge, forges } from '../../src/webhooks/types.ts';
import { type FakeGitRepo, makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import {
  moduleFiles,
  type PrivateGround,
  type PrivateModferry,
  privateGround,
  startPrivateModferry,
} from './private-support.ts';
import { eventually, runModferry } from './support.ts';
import {
  type Delivered,
  forgeries,
  genericSignature,
  signedDelivery,
  underAnotherId,
} from './webhook-deliveries.ts';

const secret = 'a long random text';

let ground: PrivateGround;
let server: GitServer;
let modferry: PrivateModferry;
const repositories = new Map<Forge, FakeGitRepo>();

const moduleOf = (forge: Forge): string => `${forge}.corp.test/team/lib`;

beforeAll(async () => {
  ground = await privateGround('webhooks');
  for (const forge of forges) {
    const path = moduleOf(forge);
    const repository = await makeGitRepo(join(ground.repositories, `${path}.git`), [
      { files: moduleFiles(path), tags: ['v1.0.0'] },
    ]);
    repositories.set(forge, repository);
  }
  server = await startGitServer({ root: ground.repositories });
  modferry = await startPrivateModferry(ground, {
    config: {
      private: '*.corp.test',
      freshness: { private: '1h' },
      direct: { repositories: [{ match: '*.corp.test', url: `${server.url}/{root}.git` }] },
      webhooks: forges.map((forge) => ({ name: forge, forge, secret })),
    },
  });
});

afterAll(async () => {
  await modferry[Symbol.asyncDispose]();
  await server.close();
  await ground[Symbol.asyncDispose]();
});

function delivery(forge: Forge, ref: string, after: string, name = moduleOf(forge)): Delivered {
  return signedDelivery(forge, { url: `${server.url}/${name}`, ref, after, secret });
}

async function deliver(
  forge: Forge,
  { headers, body }: Delivered,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${modferry.process.url}/-/v1/webhooks/${forge}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, text: await response.text() };
}

/** Delivers it and waits until it was acted on; the record. */
async function delivered(forge: Forge, sent: Delivered) {
  const { status, text } = await deliver(forge, sent);
  expect({ status, text }).toMatchObject({ status: 202 });
  const { id } = JSON.parse(text) as { id: string };
  const record = await eventually(
    async () => (await readDeliveries(modferry.dataDir)).find((each) => each.id === id),
    (found) => found !== undefined && found.state !== 'waiting',
  );
  return record;
}

async function versionsOf(forge: Forge): Promise<string> {
  return (await modferry.get(`/${moduleOf(forge)}/@v/list`)).text.trim().replaceAll('\n', ' ');
}

async function versionOf(forge: Forge, query: 'latest' | 'main'): Promise<string> {
  const name = query === 'latest' ? '@latest' : `@v/${query}.info`;
  const { text } = await modferry.get(`/${moduleOf(forge)}/${name}`);
  return (JSON.parse(text) as { Version: string }).Version;
}

function repositoryOf(forge: Forge): FakeGitRepo {
  const found = repositories.get(forge);
  if (found === undefined) throw new Error(forge);
  return found;
}

describe.each(forges)('a webhook of %s', (forge) => {
  const path = moduleOf(forge);

  it('stores a pushed tag at once, and list and @latest have it', async () => {
    expect([await versionsOf(forge), await versionOf(forge, 'latest')]).toEqual(['v1.0.0', 'v1.0.0']);
    const [commit = ''] = await repositoryOf(forge).add({
      files: { 'more.go': 'package lib\n' },
      tags: ['v1.1.0'],
    });
    expect(await versionsOf(forge)).toBe('v1.0.0');

    const record = await delivered(forge, delivery(forge, 'refs/tags/v1.1.0', commit));
    expect(record).toMatchObject({
      state: 'done',
      webhook: forge,
      result: { published: [`${path}@v1.1.0`], refreshed: [path], refused: [] },
    });

    server.requests.length = 0;
    modferry.forgetLog();
    expect([await versionsOf(forge), await versionOf(forge, 'latest')]).toEqual(['v1.0.0 v1.1.0', 'v1.1.0']);
    const { code, stderr } = await modferry.go(['mod', 'download', `${path}@latest`]);
    expect(code, stderr).toBe(0);
    await modferry.served({ module: path, version: 'v1.1.0', artifact: 'zip', source: 'store', status: 200 });
    expect(server.requests).toEqual([]);
  });

  it('a push to a branch makes its query asked anew', async () => {
    const before = await versionOf(forge, 'main');
    const [commit = ''] = await repositoryOf(forge).add({ files: { 'more.go': 'package lib // main\n' } });
    expect(await versionOf(forge, 'main')).toBe(before);
    const record = await delivered(forge, delivery(forge, 'refs/heads/main', commit));
    expect(record).toMatchObject({ state: 'done', result: { published: [] } });
    expect(await versionOf(forge, 'main')).toMatch(new RegExp(`-${commit.slice(0, 12)}$`));
  });

  it('a forged one is 401 and does nothing', async () => {
    const known = (await readDeliveries(modferry.dataDir)).length;
    server.requests.length = 0;
    const right = delivery(forge, 'refs/tags/v1.2.0', 'a'.repeat(40));
    for (const { headers, body } of forgeries(forge, right)) {
      const { status, text } = await deliver(forge, { headers, body });
      expect({ headers, status, text }).toMatchObject({ status: 401, text: 'the signature is not right\n' });
    }
    expect(await readDeliveries(modferry.dataDir)).toHaveLength(known);
    expect(server.requests).toEqual([]);
  });

  it('the same one again is a duplicate', async () => {
    const sent = delivery(forge, 'refs/tags/v1.1.0', repositoryOf(forge).commits[1] ?? '');
    await delivered(forge, sent);
    const known = (await readDeliveries(modferry.dataDir)).length;
    server.requests.length = 0;
    expect(await deliver(forge, sent)).toEqual({ status: 200, text: '{"duplicate":true}\n' });
    // These sign the body and not the id.
    if (['github', 'gitea', 'generic'].includes(forge)) {
      const again = await deliver(forge, underAnotherId(sent));
      expect(again).toEqual({ status: 200, text: '{"duplicate":true}\n' });
    }
    expect(await readDeliveries(modferry.dataDir)).toHaveLength(known);
    expect(server.requests).toEqual([]);
  });
});

describe('deliveries', () => {
  it('are shown and replayed by modferry deliveries', async () => {
    const list = await runModferry(['deliveries', '--data', modferry.dataDir]);
    expect(list.stdout).toMatch(
      / done +github +http:\/\/127\.0\.0\.1:\d+\/\S+ +v1\.1\.0 +stored github\.corp\.test\/team\/lib@v1\.1\.0/,
    );
    const [first] = await readDeliveries(modferry.dataDir);
    server.requests.length = 0;
    const replayed = await runModferry([
      'deliveries',
      'replay',
      first?.id ?? '',
      '--json',
      '--data',
      modferry.dataDir,
    ]);
    expect(JSON.parse(replayed.stdout)).toMatchObject({ state: 'done', from: 'local', replayOf: first?.id });
    expect(server.count('refs')).toBeGreaterThan(0);
  });

  it('that name an address unknown here make modferry ask nobody', async () => {
    server.requests.length = 0;
    const record = await delivered(
      'github',
      delivery('github', 'refs/tags/v9.0.0', 'a'.repeat(40), 'someone/else'),
    );
    expect(record?.state).toBe('unknown');
    expect(server.requests).toEqual([]);
  });

  it('signed too long ago are 401', async () => {
    const { body, headers } = delivery('generic', 'refs/tags/v1.2.0', 'a'.repeat(40));
    const old = genericSignature(secret, Math.floor(Date.now() / 1000) - 400, body);
    const { status } = await deliver('generic', {
      headers: { ...headers, 'x-modferry-signature': old },
      body,
    });
    expect(status).toBe(401);
  });

  it('over 1 MiB are 413, signed or not', async () => {
    const big = {
      ...delivery('gitlab', 'refs/tags/v1.2.0', 'a'.repeat(40)),
      body: ' '.repeat(1024 * 1024 + 1),
    };
    expect(await deliver('gitlab', big)).toMatchObject({ status: 413 });
    expect(await deliver('gitlab', { ...big, headers: {} })).toMatchObject({ status: 413 });
    const huge = { ...big, body: ' '.repeat(30 * 1024 * 1024) };
    expect(await deliver('gitlab', huge)).toMatchObject({ status: 413 });
  });

  it('of no webhook are 404, and their refusals stand in the audit', async () => {
    const response = await fetch(`${modferry.process.url}/-/v1/webhooks/nobody`, {
      method: 'POST',
      body: '{}',
    });
    expect(response.status).toBe(404);
    const { stdout } = await runModferry(['audit', '--json', '--data', modferry.dataDir]);
    const refused = stdout
      .split('\n')
      .filter((line) => line.includes('"delivery"') && line.includes('"refused"'));
    for (const forge of forges)
      expect(refused.some((line) => line.includes(`"webhook:${forge}"`))).toBe(true);
    expect(stdout).not.toContain(secret);
  });
});
