import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { load } from '../config/load-kit.ts';
import { systemClock } from '../lib/clock.ts';
import { createLog } from '../telemetry/log.ts';
import { Service } from './service.ts';
import { watchThreads } from './test-threads.ts';

describe('a reload', () => {
  it('ends the threads of PAC scripts that were in use before', async () => {
    const dir = await tempDir('service');
    onTestFinished(() => dir.remove());
    const upstream = await startFakeUpstream();
    onTestFinished(upstream.close);
    const pac = join(dir.path, 'proxy.pac');
    await writeFile(pac, 'function FindProxyForURL() { return "DIRECT"; }');
    const { config } = await load(`
listen: 127.0.0.1:0
data: ${join(dir.path, 'data')}
upstreams:
  - { url: '${upstream.url}', proxy: 'pac:${pac}', probe: off }
`);
    const threads = watchThreads();
    const { service, started } = await Service.start({
      config,
      env: { GOSUMDB: 'off' },
      clock: systemClock,
      log: createLog({ level: 'silent', format: 'json', write: () => {} }),
      version: '0.0.0',
      cwd: dir.path,
      goEnv: Promise.resolve(undefined),
      writeAccess: async () => {},
      reload: async () => ({}),
    });
    onTestFinished(() => service.stop());
    const answer = await fetch(`${started.urls[0]}/example.com/m/@v/list`);
    expect(answer.status).toBe(404);
    expect(upstream.requests).toHaveLength(1);
    expect(threads.alive).toBe(1);

    await service.apply(config);
    await threads.none();
  });
});
