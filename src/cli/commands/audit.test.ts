import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createAudit } from '../../audit/audit-log.ts';
import type { AuditEntry } from '../../audit/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { followingContext } from '../test-following.ts';
import { fakeCli, jsonLines, tempFolder } from '../test-kit.ts';
import { audit } from './audit.ts';

const publish: AuditEntry = {
  action: 'publish',
  who: 'token:ci',
  from: '10.0.0.1',
  result: 'ok',
  module: 'corp.example/lib',
  version: 'v1.0.0',
};
const denied: AuditEntry = {
  action: 'denied',
  who: 'anonymous',
  from: '10.0.0.9',
  result: 'refused',
  module: 'corp.example/secret',
  reason: 'route team-a: read\u001b[2J',
};

async function noteIn(dataDir: string, instance: string, ...entries: readonly AuditEntry[]): Promise<void> {
  const audit = createAudit({ clock: systemClock, dataDir, instance });
  for (const entry of entries) audit.note(entry);
  await audit.close();
}

describe('modferry audit', () => {
  it('prints who did what, and nothing that drives the terminal', async () => {
    const data = tempFolder();
    await noteIn(data, 'a', publish, denied, denied);
    const { code, stdout } = await fakeCli().run('audit', '--data', data);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}publish +token:ci +from 10\.0\.0\.1 +corp\.example\/lib@v1\.0\.0\n/,
    );
    expect(stdout).toMatch(/ denied +refused +anonymous .* route team-a: read\?\[2J \(2 times\)\n$/);
    expect(stdout).not.toContain('\u001b');
  });

  it('says which token, and what else an entry tells', async () => {
    const data = tempFolder();
    const token: AuditEntry = { action: 'token_create', who: 'user:ops', from: 'local', result: 'ok' };
    await noteIn(
      data,
      'a',
      { ...token, data: { id: '3f9a0c21', name: 'ci\u001b[2J' } },
      { ...token, action: 'token_revoke', data: { id: '3f9a0c21', name: undefined } },
      { ...publish, data: { outcome: 'published', h1: 'x'.repeat(100), size: 12 } },
      { ...token, action: 'rules', data: { revision: 2, restartNeededFor: [] } },
    );
    const { stdout } = await fakeCli().run('audit', '--data', data);
    expect(stdout.split('\n').map((line) => /(?:from \S+) +(.*)$/.exec(line)?.[1] ?? '')).toEqual([
      'name ci?[2J, id 3f9a0c21',
      'id 3f9a0c21',
      `corp.example/lib@v1.0.0  outcome published, h1 ${'x'.repeat(60)}…, size 12`,
      'revision 2',
      '',
    ]);
  });

  it('selects', async () => {
    const data = tempFolder();
    await noteIn(data, 'a', publish, denied, { ...publish, module: 'corp.example/lib/sub' });
    const modulesFor = async (...args: readonly string[]): Promise<unknown> => {
      const { stdout } = await fakeCli().run('audit', '--json', '--data', data, ...args);
      return jsonLines(stdout).map(({ module }) => module);
    };
    expect(await modulesFor('--action', 'publish')).toEqual(['corp.example/lib', 'corp.example/lib/sub']);
    expect(await modulesFor('--module', 'corp.example/s*')).toEqual(['corp.example/secret']);
    expect(await modulesFor('--who', 'ci', '--limit', '1')).toEqual(['corp.example/lib/sub']);
    expect(await modulesFor('--result', 'refused', '--since', '24h')).toEqual(['corp.example/secret']);
  });

  it('says when there is nothing, and what is wrong', async () => {
    const data = tempFolder();
    expect(await fakeCli().run('audit', '--data', data)).toMatchObject({
      code: 0,
      stderr: 'no such entries\n',
    });
    expect(await fakeCli().run('audit', '--data', join(data, 'none'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is no data folder/),
    });
    expect(await fakeCli().run('audit', '--data', data, '--module', '[')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is no module pattern/),
    });
  });

  it('follows what other processes write until Ctrl-C, over a turn of the files', async () => {
    const data = tempFolder();
    await noteIn(data, 'a', publish);
    const { context, lines, interrupt } = followingContext(data);
    const reasons = (): unknown[] => lines().map(({ reason }) => reason ?? 'published');
    const running = audit.call(context, { follow: true, json: true });
    await expect.poll(reasons).toEqual(['published']);
    const other = createAudit({ clock: systemClock, dataDir: data, instance: 'b', maxBytes: 200 });
    for (const reason of ['one', 'two', 'three']) {
      other.note({ ...publish, reason });
      await other.flush();
    }
    await other.close();
    await expect.poll(reasons).toEqual(['published', 'one', 'two', 'three']);
    interrupt();
    await running;
  });
});
