import { createHmac } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { load } from '../config/load-kit.ts';
import { startService } from './test-service.ts';

async function ping(url: string, name: string, secret: string): Promise<number> {
  const body = '{}';
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  const answer = await fetch(`${url}/-/v1/webhooks/${name}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'ping',
      'x-hub-signature-256': `sha256=${signature}`,
    },
    body,
  });
  await answer.arrayBuffer();
  return answer.status;
}

it('webhooks are as the last reload has them, their secrets too', async () => {
  const dir = await tempDir('webhook-reload');
  onTestFinished(() => dir.remove());
  const common = `listen: 127.0.0.1:0, data: '${dir.path}/data', upstreams: ['http://127.0.0.1:9']`;
  const { service, url } = await startService(
    `{${common}, webhooks: [{name: one, forge: github, secret: old-secret-of-one}, {name: two, forge: github, secret: secret-of-two}]}`,
    dir.path,
  );
  expect(await ping(url, 'one', 'old-secret-of-one')).toBe(200);
  const { config } = await load(
    `{${common}, webhooks: [{name: one, forge: github, secret: new-secret-of-one}, {name: three, forge: github, secret: secret-of-three}]}`,
  );
  expect(await service.apply(config)).toEqual({ restartNeededFor: [] });
  expect(await ping(url, 'one', 'old-secret-of-one')).toBe(401);
  expect(await ping(url, 'one', 'new-secret-of-one')).toBe(200);
  expect(await ping(url, 'two', 'secret-of-two')).toBe(404);
  expect(await ping(url, 'three', 'secret-of-three')).toBe(200);
});
