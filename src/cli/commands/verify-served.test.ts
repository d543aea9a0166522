import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import { startService } from '../../service/test-service.ts';
import { adminSockets, askRunning } from '../admin-client.ts';
import { fakeCli, publish, tempFolder } from '../test-kit.ts';

const name = 'github.com/spf13/cobra@v1.9.0';
const zipPath = '/github.com/spf13/cobra/@v/v1.9.0.zip';
const otherH1 = `h1:${'A'.repeat(43)}=`;

/** A modferry on a folder with one module, whose only upstream has nothing. */
async function serving(data: string) {
  const upstream = await startFakeUpstream();
  onTestFinished(upstream.close);
  const { url } = await startService(
    `
listen: 127.0.0.1:0
data: ${data}
upstreams:
  - { url: '${upstream.url}', probe: off }
`,
    data,
  );
  const order = async (path: string, body: object) =>
    askRunning(await adminSockets(data, 'auto', data), { method: 'POST', path }, body);
  return { get: (path: string) => fetch(`${url}${path}`), order, upstream };
}

describe('what verify --repair took out while a modferry runs', () => {
  it('is 403 with its cause, not 404, when no source has it', async () => {
    const data = tempFolder();
    await publish(data, name);
    const cli = fakeCli({ cwd: data, env: { MODFERRY_DATA: data } });
    writeFileSync(join(data, 'go.sum'), `${name.replace('@', ' ')} ${otherH1}\n`);
    expect((await cli.run('trust', 'go.sum')).code).toBe(0);
    const { get } = await serving(data);

    const { code, stdout } = await cli.run('verify', '--against-sumdb', '--repair');

    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('in quarantine now') });
    const answer = await get(zipPath);
    const text = await answer.text();
    expect({ status: answer.status, text }).toMatchObject({
      status: 403,
      text: expect.stringContaining('our copy is in quarantine'),
    });
  });

  it('leaves alone what nothing is said against, whoever orders it to be healed', async () => {
    const data = tempFolder();
    await publish(data, name);
    const { order, get, upstream } = await serving(data);

    const [path, version] = name.split('@');
    for (const ext of ['info', 'mod', 'zip']) {
      expect(await order('/heal', { path, version, ext })).toEqual({ outcome: 'present' });
    }

    expect(upstream.requests).toEqual([]);
    for (const ext of ['info', 'mod', 'zip']) {
      expect((await get(zipPath.replace(/zip$/, ext))).status).toBe(200);
    }
  });
});

describe('trusted go.sum lines that cannot be read', () => {
  it('block what would be published, and not what is stored', async () => {
    const data = tempFolder();
    await publish(data, name);
    mkdirSync(join(data, 'meta', 'trusted.sum'));
    const { get, order } = await serving(data);

    expect((await get(zipPath)).status).toBe(200);
    const answer = await order('/expect', { path: 'example.com/a', version: 'v1.0.0', ext: 'zip' });
    expect(answer).toMatchObject({
      kind: 'blocked',
      cause: 'unread',
      reason: expect.stringContaining('trusted.sum'),
    });
  });
});
