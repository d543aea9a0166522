/** Test help: webhooks of all forges on a data folder, and deliveries signed as the forges sign them. */
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { Secret } from '../lib/secret.ts';
import type { Delivery, DeliveryRecord, DeliveryResult } from './delivery.ts';
import type { WebhookHeaders } from './signatures.ts';
import { type Forge, forges, type Push } from './types.ts';
import {
  createWebhooks,
  type RefusedDelivery,
  type WebhookAnswer,
  type Webhooks,
  type WebhooksDeps,
} from './webhooks.ts';

export const secret = 'correct horse';
export const commit = '0123456789abcdef0123456789abcdef01234567';
export const zeros = '0'.repeat(40);

export const done: DeliveryResult = { outcome: 'done', published: [], refreshed: [], refused: [] };

/** Removed after the test; with its `meta` folder. */
export function dataFolder(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'modferry-webhooks-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  mkdirSync(join(dataDir, 'meta'));
  return dataDir;
}

export interface TestWebhooks {
  readonly webhooks: Webhooks;
  readonly clock: FakeClock;
  readonly dataDir: string;
  readonly pushes: Push[];
  readonly deliveries: Delivery[];
  readonly finished: DeliveryRecord[];
  readonly refused: RefusedDelivery[];
  /** To the webhook that is called like its forge, from 192.0.2.1. */
  readonly send: (forge: Forge, headers: WebhookHeaders, body: string | Buffer) => Promise<WebhookAnswer>;
}

export function startWebhooks(
  changes: Partial<WebhooksDeps> & { readonly clock?: FakeClock } = {},
): TestWebhooks {
  const clock = changes.clock ?? new FakeClock();
  const dataDir = changes.dataDir ?? dataFolder();
  const pushes: Push[] = [];
  const deliveries: Delivery[] = [];
  const finished: DeliveryRecord[] = [];
  const refused: RefusedDelivery[] = [];
  const webhooks = createWebhooks({
    webhooks: forges.map((forge) => ({ name: forge, forge, secret: new Secret(secret) })),
    instance: 'a',
    onPush: (push, delivery) => {
      pushes.push(push);
      deliveries.push(delivery);
      return Promise.resolve(done);
    },
    onDelivered: (record) => finished.push(record),
    onRefused: (each) => refused.push(each),
    ...changes,
    clock,
    dataDir,
  });
  onTestFinished(() => webhooks.close());
  return {
    webhooks,
    clock,
    dataDir,
    pushes,
    deliveries,
    finished,
    refused,
    send: (forge, headers, body) => webhooks.receive(forge, headers, Buffer.from(body), '192.0.2.1'),
  };
}

export function hexOf(body: string | Buffer, key = secret): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

/** A push of one tag as this forge documents it. */
export function tagPush(
  forge: Forge,
  tag = 'v1.0.0',
): { readonly headers: Record<string, string>; readonly body: string } {
  const ref = `refs/tags/${tag}`;
  const https = 'https://forge.example/team/lib.git';
  const ssh = 'git@forge.example:team/lib.git';
  const page = 'https://forge.example/team/lib';
  const names = { clone_url: https, ssh_url: ssh, html_url: page };
  const gitNames = { git_http_url: https, git_ssh_url: ssh, web_url: page };
  const body = JSON.stringify(
    {
      github: {
        ref,
        before: zeros,
        after: commit,
        created: true,
        deleted: false,
        repository: { id: 1, ...names },
      },
      gitea: { ref, before: zeros, after: commit, repository: { id: 1, ...names } },
      gitlab: {
        object_kind: 'tag_push',
        event_name: 'tag_push',
        before: zeros,
        after: commit,
        ref,
        project: gitNames,
      },
      gitee: {
        hook_name: 'tag_push_hooks',
        password: secret,
        timestamp: '1576754827988',
        ref,
        before: zeros,
        after: commit,
        created: true,
        deleted: false,
        repository: { ...names, ...gitNames },
      },
      generic: { urls: [https, ssh, page], refs: [{ ref, after: commit }] },
    }[forge],
  );
  const headers: Record<Forge, Record<string, string>> = {
    github: {
      'x-github-event': 'push',
      'x-hub-signature-256': `sha256=${hexOf(body)}`,
      'x-github-delivery': 'd-1',
    },
    gitea: { 'x-gitea-event': 'push', 'x-gitea-signature': hexOf(body), 'x-gitea-delivery': 'd-1' },
    gitlab: { 'x-gitlab-event': 'Tag Push Hook', 'x-gitlab-token': secret, 'x-gitlab-event-uuid': 'd-1' },
    gitee: {
      'x-gitee-event': 'Tag Push Hook',
      'x-gitee-token': secret,
      'x-gitee-timestamp': '1576754827988',
    },
    generic: {
      'x-modferry-signature': genericSignature(body, Date.UTC(2026, 0, 1)),
      'x-modferry-delivery': 'd-1',
    },
  };
  return { headers: { 'content-type': 'application/json', ...headers[forge] }, body };
}

export function genericSignature(body: string | Buffer, atMs: number, key = secret): string {
  const time = Math.floor(atMs / 1000);
  const hex = createHmac('sha256', key).update(`${time}.`).update(body).digest('hex');
  return `t=${time},v1=${hex}`;
}
