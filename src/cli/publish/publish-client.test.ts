import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Version } from '../../gomod/types.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { tempFolder } from '../test-kit.ts';
import { PublishClient } from './publish-client.ts';

const { signal } = new AbortController();
const name = { path: parseModulePath('corp.test/lib'), version: 'v1.0.0' as Version };

async function serverUrl(answers: 'when all came' | 'while it comes'): Promise<string> {
  const server = createServer((request, response) => {
    if (answers === 'while it comes') response.end('{}');
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each(['when all came', 'while it comes'] as const)(
  'leaves no timer behind that would keep the command from ending: answered %s',
  async (answers) => {
    const clock = new FakeClock();
    const client = new PublishClient({
      server: await serverUrl(answers),
      token: undefined,
      ca: undefined,
      env: {},
      clock,
    });
    const file = join(tempFolder(), 'module.zip');
    writeFileSync(file, Buffer.alloc(100_000));

    for (let round = 0; round < 20; round += 1) {
      expect((await client.publish(name, { file, sizeBytes: 100_000 }, () => {}, signal)).status).toBe(200);
      expect((await client.unpublish(name, 'a reason', signal)).status).toBe(200);
    }
    client.close();
    // What is left of the sending ends behind the answer.
    for (let step = 0; step < 20; step += 1) await turn();

    expect(clock.timers).toBe(0);
  },
);
