import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../audit/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { deliveryActions } from '../../service/delivery-actions.ts';
import type { DeliveryRecord } from '../../webhooks/delivery.ts';
import { DeliveryLog } from '../../webhooks/delivery-log.ts';
import { createWebhooks } from '../../webhooks/webhooks.ts';
import { fakeCli, jsonLines, playServer, tempFolder } from '../test-kit.ts';

const commit = 'a'.repeat(40);

function record(changes: Partial<DeliveryRecord>): DeliveryRecord {
  return {
    id: '000000000001',
    atMs: Date.UTC(2026, 0, 2),
    webhook: 'team',
    forge: 'gitea',
    event: 'push',
    from: '192.0.2.1',
    push: { urls: ['https://forge.example/lib'], refs: [{ ref: 'refs/tags/v1.0.0', after: commit }] },
    refsLeftOut: 0,
    replayOf: undefined,
    state: 'done',
    result: {
      outcome: 'done',
      published: ['corp.example/lib@v1.0.0'],
      refreshed: ['corp.example/lib'],
      refused: [],
    },
    tookMs: 1_234,
    ...changes,
  };
}

const failed = record({
  id: '000000000002',
  atMs: Date.UTC(2026, 0, 3),
  state: 'failed',
  push: {
    urls: ['https://forge.example/lib'],
    refs: [{ ref: 'refs/tags/v1.1.0\u001b[2J', after: undefined }],
  },
  result: {
    outcome: 'failed',
    published: [],
    refreshed: [],
    refused: [{ name: 'corp.example/lib', why: 'no route' }],
  },
});

async function withDeliveries(...records: readonly DeliveryRecord[]): Promise<string> {
  const data = tempFolder();
  mkdirSync(join(data, 'meta'));
  const log = new DeliveryLog(data, systemClock);
  for (const each of records) await log.write(each);
  return data;
}

describe('modferry deliveries', () => {
  it('lists what came and what was made of it', async () => {
    const data = await withDeliveries(record({}), failed);
    const { code, stdout } = await fakeCli().run('deliveries', '--data', data);
    expect(code).toBe(0);
    const [first, second] = stdout.split('\n');
    expect(first).toMatch(
      /^000000000001 {2}2026-01-02 .* done +team +https:\/\/forge\.example\/lib +v1\.0\.0 .* stored corp\.example\/lib@v1\.0\.0; refreshed 1 module \(1\.2 s\)$/,
    );
    expect(second).toMatch(/ failed +team .* -v1\.1\.0\?\[2J +corp\.example\/lib: no route \(1\.2 s\)$/);
  });

  it('lists what failed, for scripts', async () => {
    const data = await withDeliveries(record({}), failed, record({ id: '000000000003', state: 'part' }));
    const { stdout } = await fakeCli().run('deliveries', '--failed', '--json', '--data', data);
    expect(jsonLines(stdout).map(({ id, state }) => [id, state])).toEqual([
      ['000000000003', 'part'],
      ['000000000002', 'failed'],
    ]);
  });

  it('says when there are none, and what is wrong', async () => {
    const data = tempFolder();
    expect(await fakeCli().run('deliveries', '--data', data)).toMatchObject({
      code: 0,
      stderr: 'no such deliveries\n',
    });
    expect((await fakeCli().run('deliveries', '--data', join(data, 'x'))).stderr).toMatch(
      /there is no data folder/,
    );
  });
});

describe('modferry deliveries replay', () => {
  async function playing(data: string, state: 'done' | 'failed') {
    const audited: AuditEntry[] = [];
    const webhooks = createWebhooks({
      webhooks: [],
      clock: systemClock,
      dataDir: data,
      instance: 'a',
      onPush: async () => ({ outcome: state, published: [], refreshed: [], refused: [] }),
    });
    await playServer(data, deliveryActions({ webhooks, audit: { note: (entry) => audited.push(entry) } }));
    return audited;
  }

  it('has a running modferry act once more', async () => {
    const data = await withDeliveries(failed);
    const audited = await playing(data, 'done');
    const { code, stdout } = await fakeCli().run(
      'deliveries',
      'replay',
      '00000000',
      '--json',
      '--data',
      data,
    );
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([{ state: 'done', replayOf: '000000000002', from: 'local' }]);
    expect(audited).toMatchObject([
      { action: 'replay', result: 'ok', reason: 'delivery 000000000002 of team: done' },
    ]);
  });

  it('fails when it fails again', async () => {
    const data = await withDeliveries(failed);
    await playing(data, 'failed');
    const { code, stdout, stderr } = await fakeCli().run('deliveries', 'replay', failed.id, '--data', data);
    expect(code).toBe(1);
    expect(stdout).toContain('(replay of 000000000002)');
    expect(stderr).toBe('modferry: it failed again\n');
  });

  it('says which delivery is not there, and that nothing is running', async () => {
    const data = await withDeliveries(failed);
    const unknown = await fakeCli().run('deliveries', 'replay', 'ffff', '--data', data);
    expect(unknown).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is not one delivery ffff/),
    });
    const alone = await fakeCli().run('deliveries', 'replay', failed.id, '--data', data);
    expect(alone).toMatchObject({ code: 69, stderr: expect.stringMatching(/no modferry is running/) });
  });
});
